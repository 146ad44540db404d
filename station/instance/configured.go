package instance

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"hallmark/configs"
	"hallmark/station/workdir"
)

var (
	errNoBays       = errors.New("--boards is missing, and station.yaml has no bays: want --boards KIND:NUMBER, or bays (`station bays --yaml` prints those of this machine)")
	errEmulatedBay  = errors.New("the board definition is for an emulated board: leave usb, port and interface out")
	errNoPlace      = errors.New("the board definition is for hardware: want usb or port, the place of the board (`station bays` prints the USB paths)")
	errBlankRTT     = errors.New("an emulated board over RTT is blank: write probe: {driver: openocd} into the bay, so that the step flash gives it firmware")
	errHiddenProbe  = errors.New("the programmer of its recipe does not say which probe it took, and the bench has more than one: want probe.usb, the USB path of the probe (`station bays` prints it)")
	errUnknownBoard = errors.New("the board definition is for a kind of emulated board that this station does not know")
)

// SelectBays returns the bays of --boards or, if boards is empty, the bays of station.yaml.
func SelectBays(dir workdir.Dir, boards string) ([]BaySpec, error) {
	if boards != "" {
		return ParseBays(boards)
	}
	config, err := configs.Load(dir.Config())
	if err != nil {
		return nil, err
	}
	if len(config.Bays) == 0 {
		return nil, errNoBays
	}
	return ConfiguredBays(dir, config)
}

// SelectBay returns the bay for one board: a bay of station.yaml by its name, or what OneBoard accepts.
func SelectBay(dir workdir.Dir, name string) ([]BaySpec, error) {
	if config, err := configs.Load(dir.Config()); err == nil && slices.ContainsFunc(config.Bays, func(b configs.Bay) bool { return b.Name == name }) {
		bays, err := ConfiguredBays(dir, config)
		return slices.DeleteFunc(bays, func(b BaySpec) bool { return b.Name != name }), err
	}
	boards, err := OneBoard(name)
	if err != nil {
		return nil, withBays(dir, err)
	}
	return ParseBays(boards)
}

// withBays adds the names of the bays of station.yaml to the refusal of a name.
func withBays(dir workdir.Dir, refusal error) error {
	config, err := configs.Load(dir.Config())
	if err != nil || len(config.Bays) == 0 {
		return refusal // a start says what is wrong with station.yaml
	}
	var names []string
	for _, bay := range config.Bays {
		names = append(names, bay.Name)
	}
	return fmt.Errorf("%w; the bays of station.yaml are %s", refusal, strings.Join(names, ", "))
}

// ConfiguredBays returns the bays of station.yaml with their board definitions.
func ConfiguredBays(dir workdir.Dir, config *configs.Config) ([]BaySpec, error) {
	var bays []BaySpec
	for i := range config.Bays {
		spec, err := configuredBay(dir, &config.Bays[i])
		if err == nil && spec.Board != nil && spec.Bay.Settle == 0 {
			err = config.Timeouts.LeaveAnswer("uart.settle", spec.Board.UART.Settle, spec.Bay.Answer)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: bay %q: %w", dir.Config(), config.Bays[i].Name, err)
		}
		bays = append(bays, spec)
	}
	return bays, probesAreKnown(dir, config)
}

// probesAreKnown refuses a bay whose programmer does not say which probe it took, if another bay has a probe, too, and nothing says where
// this one is plugged in.
func probesAreKnown(dir workdir.Dir, config *configs.Config) error {
	probes := 0
	for i := range config.Bays {
		if config.Bays[i].HasProbe() {
			probes++
		}
	}
	for i := range config.Bays {
		if bay := &config.Bays[i]; probes > 1 && bay.HiddenProbe(string(dir)) {
			return fmt.Errorf("%s: bay %q: %w", dir.Config(), bay.Name, errHiddenProbe)
		}
	}
	return nil
}

func configuredBay(dir workdir.Dir, bay *configs.Bay) (BaySpec, error) {
	spec := BaySpec{Name: bay.Name, Port: bay.Port, Bay: bay}
	if bay.Board != "" {
		board, err := configs.LoadBoard(bay.Board, string(dir))
		if err != nil {
			return spec, err
		}
		spec.Board = board
	}
	placed := bay.USB != "" || bay.Port != "" && !spec.overRTT() || bay.Interface != nil
	switch {
	case spec.Board == nil || spec.Board.Emulated == "":
		if bay.USB == "" && bay.Port == "" {
			return spec, errNoPlace
		}
		return spec, nil
	case placed:
		return spec, errEmulatedBay
	case spec.overRTT() && bay.Probe == nil:
		return spec, errBlankRTT
	}
	kinds := EmulatedKinds()
	i := slices.IndexFunc(kinds, func(k EmulatedKind) bool { return k.Name == spec.Board.Emulated })
	if i < 0 {
		return spec, fmt.Errorf("%w: %q", errUnknownBoard, spec.Board.Emulated)
	}
	spec.Kind = &kinds[i]
	return spec, nil
}
