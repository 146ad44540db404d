package instance

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"hallmark/configs"
	"hallmark/station/workdir"
)

var (
	errNoBays       = errors.New("--boards is missing, and station.yaml has no bays: want --boards KIND:NUMBER, or bays (`station bays --yaml` prints those of this machine)")
	errEmulatedBay  = errors.New("the board definition is for an emulated board: leave usb, port and interface out")
	errNoPlace      = errors.New("the board definition is for hardware: want usb or port, the place of the board (`station bays` prints the USB paths)")
	errUnknownBoard = errors.New("the board definition is for a kind of emulated board that this station does not know")
	errSamePort     = errors.New("two bays have the same port: want another port for one of them")
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

// ConfiguredBays returns the bays of station.yaml with their board definitions.
func ConfiguredBays(dir workdir.Dir, config *configs.Config) ([]BaySpec, error) {
	var bays []BaySpec
	for i := range config.Bays {
		spec, err := configuredBay(dir, &config.Bays[i])
		if err != nil {
			return nil, fmt.Errorf("%s: bay %q: %w", dir.Config(), config.Bays[i].Name, err)
		}
		bays = append(bays, spec)
	}
	return bays, distinctPorts(bays)
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
	placed := bay.USB != "" || bay.Port != "" || bay.Interface != nil
	switch {
	case spec.Board == nil || spec.Board.Emulated == "":
		if bay.USB == "" && bay.Port == "" {
			return spec, errNoPlace
		}
		return spec, nil
	case placed:
		return spec, errEmulatedBay
	}
	kinds := EmulatedKinds()
	i := slices.IndexFunc(kinds, func(k EmulatedKind) bool { return k.Name == spec.Board.Emulated })
	if i < 0 {
		return spec, fmt.Errorf("%w: %q", errUnknownBoard, spec.Board.Emulated)
	}
	spec.Kind = &kinds[i]
	return spec, nil
}

// distinctPorts refuses two names of one port, as far as the ports are plugged in.
func distinctPorts(bays []BaySpec) error {
	seen := map[string]string{}
	for _, bay := range bays {
		if bay.Port == "" {
			continue
		}
		device, err := filepath.EvalSymlinks(bay.Port)
		if err != nil {
			continue // not plugged in: the bay says so when its Run begins
		}
		if other, taken := seen[device]; taken {
			return fmt.Errorf("bays %q and %q, %s: %w", other, bay.Name, device, errSamePort)
		}
		seen[device] = bay.Name
	}
	return nil
}
