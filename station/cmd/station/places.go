package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"hallmark/configs"
	"hallmark/devices/emulated"
)

// A place is one bay as --boards names it: a serial port, or where emulated
// boards of one kind come and go.
type place struct {
	bay   string
	model *model // nil for a serial port
	port  string // path of a serial port
}

// A model is a kind of emulated board.
type model struct {
	name    string // as in --boards
	kind    emulated.Kind
	machine string
	image   func(configs.Firmware) string // what the configuration names
	zephyr  bool                          // the image is of `make zephyr`, not of `make firmware`
}

var models = []model{
	{"posix", emulated.Posix, "", func(f configs.Firmware) string { return f.Posix }, false},
	{"qemu", emulated.QEMU, "mps2-an385", func(f configs.Firmware) string { return f.QEMU }, false},
	{"qemu-an521", emulated.QEMU, "mps2-an521", func(f configs.Firmware) string { return f.QEMUAN521 }, false},
	{"qemu-zephyr", emulated.QEMU, "mps2-an521", func(f configs.Firmware) string { return f.QEMUZephyr }, true},
}

// file is the image below the firmware's build directory.
func (m *model) file() string {
	if m.zephyr {
		return "zephyr/" + m.machine + ".elf"
	}
	return emulated.ImageName(m.kind, m.machine)
}

// maxBays bounds what one command may start; a typing mistake is not a fork bomb.
const maxBays = 512

var (
	errBays   = fmt.Errorf("want at most %d bays", maxBays)
	errBoards = errors.New("want KIND:NUMBER with KIND one of posix, qemu, qemu-an521, qemu-zephyr, or paths of serial ports, separated by commas")
)

// parsePlaces reads --boards: "qemu:8", "posix:4,qemu-an521:2", "/dev/ttyACM0,/dev/ttyACM1".
func parsePlaces(text string) ([]place, error) {
	var places []place
	for word := range strings.SplitSeq(text, ",") {
		more, err := parsePlace(word)
		if err != nil {
			return nil, err
		}
		places = append(places, more...)
	}
	if len(places) > maxBays {
		return nil, fmt.Errorf("--boards: %d bays: %w", len(places), errBays)
	}
	return places, distinct(places)
}

func parsePlace(word string) ([]place, error) {
	if filepath.IsAbs(word) {
		port := filepath.Clean(word)
		return []place{{bay: port, port: port}}, nil
	}
	name, number, _ := strings.Cut(word, ":")
	n, err := strconv.ParseUint(number, 10, 32)
	known := slices.IndexFunc(models, func(m model) bool { return m.name == name })
	if known >= 0 && n > maxBays { // also what no uint holds
		return nil, fmt.Errorf("--boards %q: %w", word, errBays)
	}
	if known < 0 || err != nil || n == 0 {
		return nil, fmt.Errorf("--boards %q: %w", word, errBoards)
	}
	var places []place
	for i := range n {
		places = append(places, place{bay: fmt.Sprintf("%s-%d", name, i+1), model: &models[known]})
	}
	return places, nil
}

func distinct(places []place) error {
	seen := map[string]bool{}
	for _, p := range places {
		if seen[p.bay] {
			return fmt.Errorf("--boards: %s is named twice", p.bay)
		}
		seen[p.bay] = true
	}
	return nil
}
