package instance

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"hallmark/configs"
	"hallmark/devices/emulated"
	"hallmark/devices/serial/remote"
	"hallmark/station/reason"
)

// A BaySpec is one bay of --boards or of station.yaml: a serial port, or a bay for emulated
// boards of one kind.
type BaySpec struct {
	Name  string
	Kind  *EmulatedKind  // nil for a serial port
	Port  string         // path or address of a serial port; empty for a bay that station.yaml names by its USB path
	Bay   *configs.Bay   // the bay of station.yaml; nil for a bay of --boards
	Board *configs.Board // the board definition of the bay; nil if the bay names none
}

// An EmulatedKind is a kind of emulated board.
type EmulatedKind struct {
	Name    string // as in --boards
	kind    emulated.Kind
	machine string
	image   func(configs.Firmware) string // image that the configuration names, may be empty
	Zephyr  bool                          // `make zephyr` builds the image, not `make firmware`
}

// EmulatedKinds returns the kinds of emulated boards that --boards accepts.
func EmulatedKinds() []EmulatedKind {
	return []EmulatedKind{
		{"posix", emulated.Posix, "", func(f configs.Firmware) string { return f.Posix }, false},
		{"qemu", emulated.QEMU, "mps2-an385", func(f configs.Firmware) string { return f.QEMU }, false},
		{"qemu-an521", emulated.QEMU, "mps2-an521", func(f configs.Firmware) string { return f.QEMUAN521 }, false},
		{"qemu-zephyr", emulated.QEMU, "mps2-an521", func(f configs.Firmware) string { return f.QEMUZephyr }, true},
	}
}

// ImageFile returns the path of the image below the firmware's build directory.
func (k *EmulatedKind) ImageFile() string {
	if k.Zephyr {
		return "zephyr/" + k.machine + ".elf"
	}
	return emulated.ImageName(k.kind, k.machine)
}

// maxBays bounds the bays of one command, so that a typing mistake does not start a thousand processes.
const maxBays = 512

// Refusals of --boards and of BOARD.
var (
	errOneBoard    = errors.New("want a bay of station.yaml, the path of a serial port such as /dev/ttyACM0, or posix, qemu, qemu-an521 or qemu-zephyr")
	errTooManyBays = fmt.Errorf("want at most %d bays", maxBays)
	ErrBoards      = errors.New("want KIND:NUMBER with KIND one of posix, qemu, qemu-an521, qemu-zephyr, or paths of serial ports or tcp://HOST:PORT or rfc2217://HOST:PORT, separated by commas")
)

// ParseBays reads --boards: "qemu:8", "posix:4,qemu-an521:2", "/dev/ttyACM0,/dev/ttyACM1",
// "rfc2217://bench:4001".
func ParseBays(text string) ([]BaySpec, error) {
	if text == "" {
		return nil, fmt.Errorf("--boards is missing: %w", ErrBoards)
	}
	var bays []BaySpec
	for word := range strings.SplitSeq(text, ",") {
		more, err := parseBays(word)
		if err != nil {
			return nil, err
		}
		bays = append(bays, more...)
	}
	if len(bays) > maxBays {
		return nil, fmt.Errorf("--boards: %s: %w", reason.Count(len(bays), "bay", "bays"), errTooManyBays)
	}
	return bays, distinct(bays)
}

func parseBays(word string) ([]BaySpec, error) {
	if remote.Is(word) {
		address, err := remote.Parse(word)
		if err != nil {
			return nil, fmt.Errorf("--boards: %w", err)
		}
		return []BaySpec{{Name: address.String(), Port: address.String()}}, nil
	}
	if configs.IsRTT(word) {
		return nil, fmt.Errorf("--boards %q: %w", word, errRTTOnBoard)
	}
	if err := mistakeIn(word); err != nil {
		return nil, fmt.Errorf("--boards %q: %w", word, err)
	}
	if filepath.IsAbs(word) {
		if err := reason.CheckPath(word); err != nil { // the path is the name of the bay in the audit log
			return nil, fmt.Errorf("--boards: %w", err)
		}
		port := filepath.Clean(word)
		return []BaySpec{{Name: port, Port: port}}, nil
	}
	name, number, _ := strings.Cut(word, ":")
	n, err := strconv.ParseUint(number, 10, 32)
	kinds := EmulatedKinds()
	known := slices.IndexFunc(kinds, func(k EmulatedKind) bool { return k.Name == name })
	if known >= 0 && n > maxBays { // n is the greatest uint32 if the number is even greater
		return nil, fmt.Errorf("--boards %q: %w", word, errTooManyBays)
	}
	if known < 0 || err != nil || n == 0 {
		return nil, fmt.Errorf("--boards %q: %w", word, ErrBoards)
	}
	var bays []BaySpec
	for i := range n {
		bays = append(bays, BaySpec{Name: fmt.Sprintf("%s-%d", name, i+1), Kind: &kinds[known]})
	}
	return bays, nil
}

// Mistakes in a name of --boards that get a text of their own.
var (
	errEmptyName = errors.New("a name between two commas is missing: take one comma away")
	errBlank     = errors.New("a blank in the name: write the names with commas between them and without blanks")
	errListFile  = errors.New("no list is read from a file: name the ports, or write bays: into station.yaml (`station bays --yaml` prints them)")
	errGlob      = errors.New("no pattern is read here, and the shell has found no port for it: name the ports, with commas between them (`station bays` shows them)")
	errNoDev     = errors.New("a port needs its whole path, such as /dev/ttyACM0")
)

// mistakeIn returns the mistake in a name of --boards, if it is one of those that people make.
func mistakeIn(word string) error {
	switch {
	case word == "":
		return errEmptyName
	case strings.ContainsAny(word, " \t"):
		return errBlank
	case strings.HasPrefix(word, "@"):
		return errListFile
	case strings.ContainsAny(word, "*?[]{}"):
		return errGlob
	case strings.HasPrefix(word, "tty"), strings.HasPrefix(word, "dev/"), strings.HasPrefix(word, "serial/"), strings.HasPrefix(word, "./"):
		return errNoDev
	}
	return nil
}

func distinct(bays []BaySpec) error {
	seen := map[string]bool{}
	for _, bay := range bays {
		if seen[bay.Name] {
			return fmt.Errorf("--boards: %s is named twice", bay.Name)
		}
		seen[bay.Name] = true
	}
	return nil
}

// BayNames returns the names of bays, in their order.
func BayNames(bays []BaySpec) []string {
	var names []string
	for _, bay := range bays {
		names = append(names, bay.Name)
	}
	return names
}

// OneBoard returns the value of --boards for the argument BOARD.
func OneBoard(name string) (string, error) {
	boards := name
	for _, kind := range EmulatedKinds() {
		if name == kind.Name {
			boards += ":1"
		}
	}
	bays, err := ParseBays(boards)
	if err != nil {
		if why := errors.Unwrap(err); why != nil { // without the name of the flag, which nobody has given
			err = why
		}
		if errors.Is(err, ErrBoards) {
			err = errOneBoard
		}
		return "", fmt.Errorf("BOARD %q: %w", name, err)
	}
	if len(bays) != 1 {
		return "", fmt.Errorf("BOARD %q names %s; use `station batch` for more than one", name, reason.Count(len(bays), "board", "boards"))
	}
	return boards, nil
}
