package emulated

import (
	"bufio"
	"bytes"
	"debug/elf"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// askDebugger sends a request of the GDB Remote Serial Protocol to a stopped board, and returns the answer.
func askDebugger(t *testing.T, b *Board, packet string) string {
	t.Helper()
	conn := b.Debug()
	if conn == nil {
		t.Fatal("no debug port")
	}
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte(packet)); err != nil {
		t.Fatal(err)
	}
	answer, err := bufio.NewReader(conn).ReadString('#')
	if err != nil {
		t.Fatalf("%q, %v", answer, err)
	}
	return answer
}

func TestABlankBoardWaitsForItsDebugger(t *testing.T) {
	for _, pty := range []bool{false, true} {
		b := start(t, Config{Kind: QEMU, Machine: "mps2-an385", Dir: t.TempDir(), Debug: true, Pty: pty})
		first := b.Debug()
		for range 2 {
			if answer := askDebugger(t, b, "$m0,4#fd"); answer != "+$00000000#" {
				t.Errorf("the memory of a blank board: %q", answer)
			}
			if err := b.Reset(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.PowerCut(); err != nil || b.Debug() != nil {
			t.Errorf("off: %v, %v", b.Debug(), err)
		}
		if err := b.PowerOn(t.Context()); err != nil || b.Debug() == first {
			t.Errorf("on again: the same debug port %t, %v", b.Debug() == first, err)
		}
		if answer := askDebugger(t, b, "$m0,4#fd"); answer != "+$00000000#" {
			t.Errorf("after a power cut: %q", answer)
		}
	}
}

func TestABoardWithoutDebugPortHasNone(t *testing.T) {
	b := start(t, echoConfig(t.TempDir()))
	if b.Debug() != nil {
		t.Error("there is a debug port")
	}
}

func TestABoardWithFirmwareRunsWithItsDebugPort(t *testing.T) {
	b := talkTo(start(t, Config{Kind: QEMU, Machine: "mps2-an385", Image: image(t, QEMU, "mps2-an385"), Dir: t.TempDir(), Debug: true}))
	before := b.hello(t)
	stopped := askDebugger(t, b.Board, "\x03") // stops the board
	if stopped != "$T02thread:01;#" {
		t.Errorf("stopped: %q", stopped)
	}
	if _, err := b.Debug().Write([]byte("+$c#63")); err != nil {
		t.Fatal(err)
	}
	if after := b.hello(t); after.ID != before.ID || !bytes.Equal([]byte(after.HardwareID), []byte(before.HardwareID)) {
		t.Errorf("another board: %+v", after)
	}
}

// keepImage puts an image into the board's files, as a debug probe does.
func keepImage(t *testing.T, b *Board, path string) {
	t.Helper()
	image, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()
	for _, segment := range image.Progs {
		if segment.Type != elf.PT_LOAD || segment.Filesz == 0 {
			continue
		}
		octets, err := io.ReadAll(segment.Open())
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Program().Write(uint32(segment.Paddr), octets); err != nil {
			t.Fatal(err)
		}
	}
}

func powerCycle(t *testing.T, b *Board) {
	t.Helper()
	if err := b.PowerCut(); err != nil {
		t.Fatal(err)
	}
	if err := b.PowerOn(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestFirmwareThatAProbeWroteRunsAfterAPowerCut(t *testing.T) {
	for name, config := range map[string]Config{"inherited": {Debug: true}, "socket": {DebugSocket: true}, "pty": {Debug: true, Pty: true}} {
		t.Run(name, func(t *testing.T) {
			config.Kind, config.Machine, config.Dir = QEMU, "mps2-an385", t.TempDir()
			b := start(t, config)
			keepImage(t, b, image(t, QEMU, "mps2-an385"))
			if err := b.Program().SetState(DebugState{Lock: 0xffff_ff00, Runs: true}); err != nil {
				t.Fatal(err)
			}
			powerCycle(t, b)
			client := talkTo(b)
			before := client.hello(t)
			if err := b.Reset(t.Context()); err != nil {
				t.Fatal(err)
			}
			powerCycle(t, b)
			if config.Pty { // a new terminal; two clients of one UART would take octets from each other
				client = talkTo(b)
			}
			if after := client.hello(t); after.ID != before.ID {
				t.Errorf("another board: %v, %v", before.ID, after.ID)
			}
			if state, err := b.Program().State(); err != nil || state.Lock != 0xffff_ff00 || !state.Runs {
				t.Errorf("%+v, %v", state, err)
			}
		})
	}
}

// QEMU would end if its CPU ran into memory that was not written.
func TestFirmwareThatMayBeIncompleteDoesNotRun(t *testing.T) {
	b := start(t, Config{Kind: QEMU, Machine: "mps2-an385", Dir: t.TempDir(), Debug: true})
	if err := b.Program().Write(0, []byte{0, 0, 0, 0x20, 9, 0, 0, 0}); err != nil {
		t.Fatal(err)
	}
	powerCycle(t, b)
	if answer := askDebugger(t, b, "$m4,4#01"); answer != "+$09000000#" {
		t.Errorf("the memory: %q", answer)
	}
}

func TestDamagedFilesOfABoardAreRefused(t *testing.T) {
	for name, damage := range map[string]func(p Program) error{
		"program memory beyond its end": func(p Program) error { return p.Write(programSize-1, []byte{1, 2}) },
		"a program file that is too long": func(p Program) error {
			path := filepath.Join(string(p), programFile)
			if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, programSize+1)); err != nil {
				return err
			}
			_, err := p.Size()
			return err
		},
		"a link in place of the program file": func(p Program) error {
			if err := os.Symlink("/etc/passwd", filepath.Join(string(p), programFile)); err != nil {
				return err
			}
			_, err := p.contents()
			return err
		},
		"a debug port in no state": func(p Program) error {
			if err := os.WriteFile(filepath.Join(string(p), debugFile), []byte{0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0}, 0o600); err != nil {
				return err
			}
			_, err := p.State()
			return err
		},
		"a debug port with octets behind its state": func(p Program) error {
			if err := os.WriteFile(filepath.Join(string(p), debugFile), make([]byte, debugSize+1), 0o600); err != nil {
				return err
			}
			_, err := p.State()
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			if err := damage(Program(t.TempDir())); !errors.Is(err, ErrFlash) {
				t.Errorf("got %v", err)
			}
		})
	}
}
