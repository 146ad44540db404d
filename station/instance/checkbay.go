package instance

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"hallmark/station/reason"
)

// CheckBays does what a start does with the bays before the first Run, and names the mistakes of all of them. It reads board
// definitions, recipes and images, and asks no hardware and no programmer.
func (f *Files) CheckBays(bays []BaySpec) error {
	var errs []error
	for _, bay := range bays {
		_, err := f.CheckBay(bay)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// CheckBay is CheckBays for one bay. It returns the image that the bay flashes, for people.
func (f *Files) CheckBay(bay BaySpec) (image string, err error) {
	if _, err := f.link(bay); err != nil {
		return "", err
	}
	emulated := ""
	if bay.Kind != nil {
		if !f.Config.Boards.AllowEmulated {
			return "", reason.Usage(fmt.Errorf("bay %s: %w", bay.Name, errNotEmulated))
		}
		emulated, err = f.image(bay.Kind, Images{})
		switch {
		case err != nil && !errors.Is(err, errNoFirmware):
			return "", fmt.Errorf("bay %s: %w", bay.Name, err)
		case err != nil && bay.Bay.HasProbe() && bay.Board.Firmware.Image == "":
			return "", nil // a flag of the command that enrols may name the image
		}
	}
	port, err := f.debugPort(bay, emulated, nil)
	if err != nil {
		return "", err
	}
	if p, ok := port.(*debugPort); ok && p.image != nil {
		image = fmt.Sprintf("%s, SHA-256 %s", p.image.Name, hex.EncodeToString(p.image.SHA256[:]))
		if doubt := ProductDoubt(p.image); doubt != "" {
			image += "; warning: " + doubt
		}
	}
	return image, nil
}

// Programmer asks the programmer of a bay for its version, without a probe; empty: the bay has no probe.
func (f *Files) Programmer(ctx context.Context, bay BaySpec) (version string, err error) {
	switch {
	case bay.Bay == nil || !bay.Bay.HasProbe() || bay.Board == nil:
		return "", nil
	case bay.Bay.Probe == nil: // the probe carries SMP
		version, err = newOpenOCD(bay.Board).Check(ctx)
	default:
		driver, none := driverFor(bay.Bay.Probe.Driver, string(f.Dir), bay.Board, selection(bay))
		if none != nil {
			return "", fmt.Errorf("bay %s: %w", bay.Name, none)
		}
		version, err = driver.Check(ctx)
	}
	if err != nil {
		return "", fmt.Errorf("bay %s: %w", bay.Name, err)
	}
	return version, nil
}

// Machine returns the directory that holds dev and sys of this machine.
func (f *Files) Machine() string { return cmp.Or(f.options.Root, "/") }
