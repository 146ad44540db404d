package ui

import (
	"os"
	"path/filepath"
	"testing"

	"hallmark/fixtures/pty"
)

// What a C library writes to standard error is in the log while the screen is open, and on the terminal afterwards.
func TestStandardErrorGoesToTheLogWhileTheScreenIsOpen(t *testing.T) {
	terminal, err := pty.Open(80, 24)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := terminal.Close(); err != nil {
			t.Error(err)
		}
	}()
	path := filepath.Join(t.TempDir(), "station.log")
	if err := os.WriteFile(path, []byte("before\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	restore, err := divert(int(terminal.Program.Fd()), path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := terminal.Program.WriteString("from a module\n"); err != nil {
		t.Fatal(err)
	}
	if err := restore(); err != nil {
		t.Fatal(err)
	}
	if _, err := terminal.Program.WriteString("after the screen\n"); err != nil {
		t.Fatal(err)
	}
	if err := terminal.WaitFor(t.Context(), 0, "after the screen"); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil || string(text) != "before\nfrom a module\n" {
		t.Errorf("the log has %q, %v", text, err)
	}
	if seen := terminal.Seen(0); seen != "after the screen\r\n" {
		t.Errorf("the terminal has %q", seen)
	}
}

func TestOnlyATerminalIsDiverted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "errors.txt")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	restore, err := divert(int(file.Fd()), filepath.Join(t.TempDir(), "missing.log"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteString("kept"); err != nil {
		t.Fatal(err)
	}
	if err := restore(); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "kept" {
		t.Errorf("the file has %q, %v", text, err)
	}
}
