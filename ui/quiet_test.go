package ui

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"hallmark/fixtures/pty"
)

// A serial console answers no questions. A program that asks one at its start is held up, and
// eats what is typed or scanned meanwhile.
func TestNothingIsAskedOfATerminalThatDoesNotAnswer(t *testing.T) {
	if os.Getenv("UI_TEST_CHILD") != "" {
		t.Log("TERM is " + os.Getenv("TERM"))
		return
	}
	terminal := newTerminal(t, 80, 24)
	program := exec.CommandContext(t.Context(), os.Args[0], "-test.run", t.Name()+"$", "-test.v")
	program.Env = append(os.Environ(), "UI_TEST_CHILD=1", "TERM=xterm-256color", "CI=")
	program.Stdin, program.Stdout, program.Stderr, program.SysProcAttr = terminal.Program, terminal.Program, terminal.Program, pty.Attributes()
	if err := program.Run(); err != nil {
		t.Fatal(err)
	}
	terminal.waitFor("TERM is xterm-256color") // the environment was given back
	if written := terminal.Seen(0); strings.Contains(written, "\x1b") {
		t.Errorf("the program asked the terminal: %q", written)
	}
}
