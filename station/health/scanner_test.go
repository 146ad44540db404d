package health

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"hallmark/configs"
	"hallmark/fixtures/pty"
	"hallmark/station/label"
	"hallmark/station/workdir"
)

// scanning runs the session on a terminal.
func scanning(t *testing.T) (*pty.Terminal, <-chan error) {
	t.Helper()
	terminal, err := pty.Open(120, 40)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(func() {
		cancel()
		if err := terminal.Close(); err != nil {
			t.Error(err)
		}
	})
	go func() { ended <- scanSession{terminal.Program, terminal.Program, label.NewReader()}.check(ctx) }()
	return terminal, ended
}

func TestTheDoctorAsksForThreeScans(t *testing.T) {
	terminal, ended := scanning(t)
	for _, step := range [][2]string{{"Label 1 of 3", "OP-17"}, {"Label 2 of 3", "WO-4711"}, {"Label 3 of 3", "BAY-1"}} {
		if err := terminal.WaitFor(t.Context(), 0, step[0]); err != nil {
			t.Fatal(err)
		}
		if err := terminal.Type(step[1] + "\n"); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := terminal.WaitFor(t.Context(), 0, "suffix: line feed"); err != nil {
		t.Error(err)
	}
}

func TestTheDoctorOfTheScannerGivesUpAtItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := nextScan(ctx, make(chan typedOctet)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	octets := make(chan typedOctet, 1)
	octets <- typedOctet{octet: etx}
	if _, err := nextScan(t.Context(), octets); !errors.Is(err, errGivenUp) {
		t.Errorf("got %v", err)
	}
}

func TestTheDoctorOfTheScannerWantsATerminal(t *testing.T) {
	dir := workdir.Dir(t.TempDir())
	if err := os.WriteFile(dir.Config(), configs.Demo(), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := CheckScanner(t.Context(), dir, strings.NewReader("OP-17\r"), new(strings.Builder)); !errors.Is(err, ErrNoTerminal) {
		t.Errorf("got %v", err)
	}
}
