package health

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"hallmark/devices/usb"
	"hallmark/station/hardware"
	"hallmark/station/instance"
	"hallmark/station/reason"
)

var (
	// errBays: some bays cannot work. The rows name them.
	errBays = errors.New("cannot work")
	// errPlaces: a warning. A board with USB of its own appears with the board.
	errPlaces = errors.New("not plugged in as station.yaml says")
)

// hasBays reports whether `station doctor` looks at a station.yaml with bays. A shift opens its bays before its checks.
func (c *Checker) hasBays() bool {
	files, err := c.files.get()
	return c.ready == nil && err == nil && len(files.Config.Bays) > 0
}

// checkBays looks at each bay as a start does, asks its programmer for its version, and compares its place with what is plugged in.
func (c *Checker) checkBays(ctx context.Context) (finding, []string, error) {
	files, err := c.files.get()
	if err != nil {
		return finding{}, nil, err
	}
	bays, err := instance.ConfiguredBays(files.Dir, files.Config)
	if err != nil {
		return finding{}, nil, err
	}
	tree, err := usb.Scan(files.Machine())
	if err != nil {
		return finding{}, nil, err
	}
	var rows, unfit, misplaced []string
	places := hardware.Compare(files.Config.Bays, string(files.Dir), tree, nil)
	for i, bay := range bays {
		text, err := examineBay(ctx, files, bay)
		rows = append(rows, text)
		for _, trouble := range places[i].Troubles {
			rows = append(rows, fmt.Sprintf("%s: %s", bay.Name, trouble))
		}
		switch {
		case err != nil:
			unfit = append(unfit, bay.Name)
		case len(places[i].Troubles) > 0:
			misplaced = append(misplaced, bay.Name)
		}
	}
	switch {
	case len(unfit) > 0:
		err = fmt.Errorf("%s of %d %w: %s", reason.Count(len(unfit), "bay", "bays"), len(bays), errBays, strings.Join(unfit, ", "))
	case len(misplaced) > 0:
		err = fmt.Errorf("%s of %d %w: %s", reason.Count(len(misplaced), "bay", "bays"), len(bays), errPlaces, strings.Join(misplaced, ", "))
	}
	return said("bays", reason.Count(len(bays), "bay", "bays"), len(bays)), rows, err
}

// examineBay returns one line: place, probe, programmer, board definition and image, or why the bay cannot work.
func examineBay(ctx context.Context, files *instance.Files, bay instance.BaySpec) (string, error) {
	image, err := files.CheckBay(bay)
	programmer := ""
	if err == nil {
		programmer, err = files.Programmer(ctx, bay)
	}
	if err != nil {
		return fmt.Sprintf("%v; next: %s", err, reason.Of(err).Next), err
	}
	parts := []string{"emulated board"}
	switch {
	case bay.Bay.USB != "":
		parts = []string{"USB path " + bay.Bay.USB}
	case bay.Port != "":
		parts = []string{"port " + bay.Port}
	}
	if bay.Bay.HasProbe() {
		parts = append(parts, strings.Join(strings.Fields("probe "+bay.Bay.ProbeSerial()), " "), programmer)
	}
	if bay.Board != nil {
		parts = append(parts, "board "+bay.Board.Name)
	}
	if image != "" {
		parts = append(parts, "flashes "+image)
	} else if bay.Bay.Probe != nil {
		parts = append(parts, "flashes nothing: the definition names no firmware")
	}
	return fmt.Sprintf("%s: %s", bay.Name, strings.Join(parts, "; ")), nil
}
