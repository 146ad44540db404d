package conformance

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"hallmark/devices/emulated"
	"hallmark/devices/serial"
	"hallmark/fixtures/prerequisite"
)

// grammar describes the values of -board.
const grammar = "port:TTY | posix[:IMAGE] | qemu:MACHINE[:IMAGE] | zephyr:MACHINE:IMAGE with MACHINE one of an385, an521"

// builds is the directory in which `make firmware` puts images.
const builds = "../firmware/build"

// eraseBound is the time limit for erasing one board.
const eraseBound = 60 * time.Second

var errSpec = errors.New("want -board " + grammar)

// silicon holds the flags for a board at a port.
type silicon struct {
	baud  int
	erase string
	seal  bool
	// zephyr: the board runs the Zephyr module.
	zephyr bool
}

// An opener makes the boards of a suite. It ends the test if the machine lacks a program or an image.
type opener func(t *testing.T) Boards

// boardKinds maps the first word of -board to the function that parses the rest.
var boardKinds = map[string]func(rest string, has bool, s silicon) (opener, error){
	"port":   parsePort,
	"posix":  parsePosix,
	"qemu":   parseQEMU,
	"zephyr": parseZephyr,
}

func parse(spec string, s silicon) (opener, error) {
	word, rest, has := strings.Cut(spec, ":")
	of, known := boardKinds[word]
	switch {
	case !known:
		return nil, fmt.Errorf("%w; got %q", errSpec, spec)
	case has && rest == "":
		return nil, fmt.Errorf("%w; nothing follows the colon of %q", errSpec, spec)
	case word != "port" && (s.erase != "" || s.seal || s.zephyr):
		return nil, fmt.Errorf("-erase, -seal and -zephyr are for a port: board; an emulated one is new for each check")
	}
	return of(rest, has, s)
}

func parsePort(tty string, has bool, s silicon) (opener, error) {
	switch {
	case !has:
		return nil, fmt.Errorf("%w; port without a TTY, such as port:/dev/ttyUSB0", errSpec)
	case s.seal && s.erase == "":
		return nil, errors.New("-seal without -erase would leave the board sealed for ever: name the program that erases it")
	}
	open := func(t *testing.T) Subject { return openPort(t, tty, s) }
	return func(*testing.T) Boards { return Boards{Open: open, Fresh: s.erase != "", MaySeal: s.seal} }, nil
}

func parsePosix(image string, has bool, _ silicon) (opener, error) {
	return emulator(emulated.Config{Kind: emulated.Posix, Image: image}, ""), nil
}

func parseQEMU(rest string, has bool, _ silicon) (opener, error) {
	name, image, hasImage := strings.Cut(rest, ":")
	machine := "mps2-" + strings.TrimPrefix(name, "mps2-")
	switch {
	case !slices.Contains([]string{"mps2-an385", "mps2-an521"}, machine):
		return nil, fmt.Errorf("%w; got machine %q", errSpec, name)
	case hasImage && image == "":
		return nil, fmt.Errorf("%w; no image follows the last colon", errSpec)
	}
	return emulator(emulated.Config{Kind: emulated.QEMU, Machine: machine, Image: image, Ethernet: true}, machine), nil
}

// parseZephyr parses a QEMU machine with a Zephyr image, which `make firmware` does not build.
func parseZephyr(rest string, has bool, s silicon) (opener, error) {
	if _, image, _ := strings.Cut(rest, ":"); image == "" {
		return nil, fmt.Errorf("%w; zephyr without an IMAGE: make zephyr builds one", errSpec)
	}
	open, err := parseQEMU(rest, has, s)
	if err != nil {
		return nil, err
	}
	return func(t *testing.T) Boards {
		boards := open(t)
		board := boards.Open
		boards.Open = func(t *testing.T) Subject {
			subject := board(t)
			subject.Zephyr = true
			return subject
		}
		return boards
	}, nil
}

// openPort opens the board at a port for one check.
func openPort(t *testing.T, tty string, s silicon) Subject {
	t.Helper()
	if s.erase != "" {
		eraseBoard(t, s.erase)
	}
	port, err := serial.Open(serial.Config{Name: tty, Baud: s.baud})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := port.Close(); err != nil {
			t.Error(err)
		}
	})
	return Subject{Transport: port, Zephyr: s.zephyr}
}

func eraseBoard(t *testing.T, program string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), eraseBound)
	defer cancel()
	if out, err := exec.CommandContext(ctx, program).CombinedOutput(); err != nil {
		t.Fatalf("erasing the board with %s: %v\n%s", program, err, out)
	}
}

// emulator makes a board with new fuses for each check.
func emulator(cfg emulated.Config, boardType string) opener {
	return func(t *testing.T) Boards {
		t.Helper()
		if cfg.Kind != emulated.Posix {
			prerequisite.Program(t, "qemu-system-arm", "qemu-system-arm")
		}
		if cfg.Image == "" {
			cfg.Image = prerequisite.Firmware(t, filepath.Join(builds, emulated.ImageName(cfg.Kind, cfg.Machine)))
		}
		open := func(t *testing.T) Subject { return openEmulated(t, cfg, boardType) }
		return Boards{Open: open, Fresh: true, MaySeal: true}
	}
}

func openEmulated(t *testing.T, cfg emulated.Config, boardType string) Subject {
	t.Helper()
	cfg.Dir, cfg.Fuses = t.TempDir(), new(emulated.Fuses)
	if cfg.Kind == emulated.Posix {
		cfg.ReadableMemory, cfg.Silence = true, 2*time.Second
	}
	if _, err := rand.Read(cfg.Fuses[:]); err != nil {
		t.Fatal(err)
	}
	board, err := emulated.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := board.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("board says: %s", board.Stderr())
		}
	})
	return Subject{
		Transport: board.Transport(),
		HUK:       cfg.Fuses[:32],
		BoardType: boardType,
		Reach:     reach(board, cfg),
		Memory:    board.Memory,
		PowerCycle: func(ctx context.Context) error {
			if err := board.PowerCut(); err != nil {
				return err
			}
			return board.PowerOn(ctx)
		},
	}
}

// reach returns Subject.Reach for a board with a network of its own.
func reach(board *emulated.Board, cfg emulated.Config) func(netip.AddrPort) netip.AddrPort {
	if !cfg.Ethernet {
		return nil
	}
	return board.Reach
}

func TestABoardIsNamedInOneWay(t *testing.T) {
	for spec, refusal := range map[string]string{
		"port:/dev/serial/by-path/pci-0000:00:14.0-usb-0:1:1.0-port0": "",
		"posix":                 "",
		"posix:a/board":         "",
		"qemu:an385":            "",
		"qemu:mps2-an521:image": "",
		"zephyr:an521:image":    "",
		"":                      "want -board",
		"ports:/dev/ttyUSB0":    "want -board",
		"port":                  "port without a TTY",
		"port:":                 "nothing follows",
		"posix:":                "nothing follows",
		"qemu":                  `machine ""`,
		"qemu:an505":            `machine "an505"`,
		"zephyr:an505:image":    `machine "an505"`,
		"zephyr:an521":          "without an IMAGE",
		"qemu:an385:":           "no image follows",
	} {
		_, err := parse(spec, silicon{})
		if (err == nil) != (refusal == "") || err != nil && !strings.Contains(err.Error(), refusal) {
			t.Errorf("%q: %v, want %q", spec, err, refusal)
		}
	}
}

func TestNoBoardIsSealedByAccident(t *testing.T) {
	for _, row := range []struct {
		spec    string
		silicon silicon
		refused bool
		want    Boards
	}{
		{"port:/dev/ttyUSB0", silicon{}, false, Boards{}},
		{"port:/dev/ttyUSB0", silicon{erase: "./erase"}, false, Boards{Fresh: true}},
		{"port:/dev/ttyUSB0", silicon{erase: "./erase", seal: true}, false, Boards{Fresh: true, MaySeal: true}},
		{"port:/dev/ttyUSB0", silicon{seal: true}, true, Boards{}},
		{"posix", silicon{seal: true}, true, Boards{}},
		{"qemu:an385", silicon{erase: "./erase"}, true, Boards{}},
	} {
		open, err := parse(row.spec, row.silicon)
		if (err != nil) != row.refused {
			t.Errorf("%s %+v: %v", row.spec, row.silicon, err)
		}
		if err == nil {
			if got := open(t); got.Fresh != row.want.Fresh || got.MaySeal != row.want.MaySeal {
				t.Errorf("%s %+v: %+v", row.spec, row.silicon, got)
			}
		}
	}
}
