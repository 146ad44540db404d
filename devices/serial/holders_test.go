package serial

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAPortInUseIsSeenWithoutOpeningIt(t *testing.T) {
	_, name := pty(t)
	config := Config{Name: name, LockDir: t.TempDir()}
	locked := func(want bool, when string) {
		t.Helper()
		if got, err := Locked(config); got != want || err != nil {
			t.Errorf("%s: %t, %v", when, got, err)
		}
	}
	locked(false, "a port that was never used")
	port, err := Open(config)
	if err != nil {
		t.Fatal(err)
	}
	locked(true, "an open port")
	if err := port.Close(); err != nil {
		t.Fatal(err)
	}
	locked(false, "a closed port")
	again, err := Open(config)
	if err != nil {
		t.Fatalf("after the question: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
	if _, err := Locked(Config{Name: filepath.Join(config.LockDir, "none")}); err == nil {
		t.Error("a port that is not there is free")
	}
}

func TestAProgramThatUsesATTYHasAName(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "comm"), []byte("ModemManager\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, want := program(dir), "ModemManager (PID "+filepath.Base(dir)+")"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := program(filepath.Join(dir, "4711")); got != "a program (PID 4711)" {
		t.Errorf("a program that has ended: %s", got)
	}
	holders, err := Holders()
	for device, holder := range holders {
		if !strings.HasPrefix(device, "/dev/tty") || !strings.Contains(holder, "(PID ") {
			t.Errorf("%s: %s", device, holder)
		}
	}
	if err != nil {
		t.Error(err)
	}
}
