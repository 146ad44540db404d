package conformance

import (
	"context"
	"crypto/rand"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"hallmark/devices/emulated"
)

const builds = "../firmware/build"

func TestAPosixBoardConforms(t *testing.T) {
	TestBoard(t, emulator(t, emulated.Config{Kind: emulated.Posix, Image: filepath.Join(builds, "posix", "hallmark-posix")}, ""))
}

func TestAnMPS2AN385BoardConforms(t *testing.T) { testMachine(t, "mps2-an385") }

func TestAnMPS2AN521BoardConforms(t *testing.T) { testMachine(t, "mps2-an521") }

func testMachine(t *testing.T, machine string) {
	if _, err := exec.LookPath("qemu-system-arm"); err != nil {
		missing(t, "qemu-system-arm is not installed: apt-get install qemu-system-arm")
	}
	image := filepath.Join(builds, "qemu", machine+".elf")
	TestBoard(t, emulator(t, emulated.Config{Kind: emulated.QEMU, Machine: machine, Image: image}, machine))
}

// emulator gives what makes a board with fuses of its own for each check.
func emulator(t *testing.T, cfg emulated.Config, boardType string) func(*testing.T) Subject {
	t.Helper()
	if _, err := os.Stat(cfg.Image); err != nil {
		missing(t, cfg.Image+" is not built: make firmware")
	}
	return func(t *testing.T) Subject {
		cfg := cfg
		cfg.Dir = t.TempDir()
		cfg.Fuses = new(emulated.Fuses)
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
			Line:      board.Line(),
			HUK:       cfg.Fuses[:32],
			BoardType: boardType,
			PowerCycle: func(ctx context.Context) error {
				if err := board.PowerCut(); err != nil {
					return err
				}
				return board.PowerOn(ctx)
			},
		}
	}
}

// missing skips at a desk and fails where a skip would go unseen.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(what)
	}
	t.Skip(what)
}
