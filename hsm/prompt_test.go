package hsm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// terminal opens a pseudo-terminal: the end with the keyboard, and the path of the other end.
func terminal(t *testing.T) (keyboard *os.File, path string) {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { keyboard.Close() })
	if err := unix.IoctlSetPointerInt(int(keyboard.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(keyboard.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	return keyboard, fmt.Sprintf("/dev/pts/%d", n)
}

// echoes opens the terminal and returns whether it echoes.
func echoes(t *testing.T, path string) bool {
	t.Helper()
	tty, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	settings, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return settings.Lflag&unix.ECHO != 0
}

func TestThePromptReadsALineWithoutEcho(t *testing.T) {
	keyboard, path := terminal(t)
	hold, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0) // an open descriptor keeps the terminal's settings
	if err != nil {
		t.Fatal(err)
	}
	defer hold.Close()
	type answer struct {
		secret Secret
		err    error
	}
	answers := make(chan answer, 1)
	go func() {
		secret, err := askTerminal(t.Context(), path)
		answers <- answer{secret, err}
	}()
	buffer := make([]byte, 64)
	n, err := keyboard.Read(buffer) // the prompt; echo is off by now
	if err != nil || !strings.Contains(string(buffer[:n]), "HSM PIN:") {
		t.Fatalf("got %q, %v", buffer[:n], err)
	}
	if echoes(t, path) {
		t.Error("the terminal echoes the PIN")
	}
	settings, err := unix.IoctlGetTermios(int(hold.Fd()), unix.TCGETS)
	if err != nil || settings.Cc[unix.VQUIT] != 0 || settings.Cc[unix.VSUSP] != 0 || settings.Cc[unix.VINTR] == 0 {
		t.Errorf("Ctrl-\\ or Ctrl-Z would leave echo off, or Ctrl-C does nothing: %v, %v", settings.Cc, err)
	}
	if _, err := keyboard.WriteString(examplePIN + "\r"); err != nil {
		t.Fatal(err)
	}
	got := <-answers
	if got.err != nil || got.secret.reveal() != examplePIN {
		t.Fatalf("got %v", got.err)
	}
	if !echoes(t, path) {
		t.Error("echo stays off")
	}
	if n, err = keyboard.Read(buffer); err != nil || strings.TrimSpace(string(buffer[:n])) != "" {
		t.Errorf("the screen shows %q, %v", buffer[:n], err)
	}
}

func TestThePromptEndsWithTheContext(t *testing.T) {
	_, path := terminal(t)
	hold, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer hold.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := askTerminal(ctx, path); !errors.Is(err, ErrPINSource) || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if !echoes(t, path) {
		t.Error("echo stays off")
	}
}

func TestThePromptWantsATerminal(t *testing.T) {
	for _, path := range []string{"/nonexistent", os.DevNull} {
		if _, err := askTerminal(t.Context(), path); !errors.Is(err, ErrPINSource) {
			t.Errorf("%s: got %v", path, err)
		}
	}
}
