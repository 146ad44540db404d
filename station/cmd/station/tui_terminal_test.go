package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hallmark/fixtures"
	"hallmark/station/instance"
	"hallmark/station/registry"
	"hallmark/station/workdir"
)

func TestThePINIsTypedOnTheScreenAndNotShown(t *testing.T) {
	s := newShift(t)
	pin := fixtures.PINOf(t, workdir.Dir(s.dir))
	fixtures.Configure(t, workdir.Dir(s.dir), "create_token: true", "create_token: false", "file:hsm/pin", "prompt")
	s.opens([]string{"SOFTHSM2_CONF=" + filepath.Join(s.dir, "hsm", "softhsm2.conf")}, "--boards", "posix:1", "--operator", "OP-1")
	s.sees(`Type the PIN`)
	s.presses("-l", "wrong-pin-1")
	if shown := s.sees(`Type the PIN`); strings.Contains(shown, "wrong") {
		t.Errorf("the PIN is shown:\n%s", shown)
	}
	s.presses("F12")
	s.sees(`The PIN was refused`)
	s.scans("OP-2") // the screen does not take a badge for a PIN
	s.sees(`Nothing was tried`)
	s.presses("-l", pin)
	s.presses("F12")
	s.sees(`self-test`)
	s.begins()
	s.presses("1", "F12")
	s.sees(passed)
	s.presses("l") // the log must not show the PIN either
	s.sees(`Log, newest first(.|\n)*accepted`)
	s.presses("Escape")
	s.sees(`1 posix-1`)
	s.presses("q")
	s.sees(`Leave the station`)
	s.presses("F12")
	s.leaves()
	fixtures.Nowhere(t, workdir.Dir(s.dir), pin, "wrong-pin-1")
	inOrder(t, s.types(), "station.start success "+instance.LocalUser(), "operator.login.ok success anna", "hsm.open failure "+instance.LocalUser(),
		"cert.issue.intent success station", "run.pass success anna", "station.stop success "+instance.LocalUser())
}

func TestATerminalThatGoesAwayInMidRunCutsNothingShort(t *testing.T) {
	s := openShift(t, "--boards", "qemu:2", "--operator", "OP-2", "--order", "WO-7")
	s.begins()
	s.presses("1", "F12")
	s.board("qemu-1")
	s.tmux("kill-session", "-t", "s")
	s.ends()
	reader, err := registry.OpenReader(t.Context(), filepath.Join(s.dir, "registry.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	runs, err := reader.SearchRuns(t.Context(), registry.Search{})
	if err != nil {
		t.Fatal(err)
	}
	for _, run := range runs {
		if run.Ending == "" || run.Reason == "interrupted" {
			t.Errorf("Run %s was cut: %q %s", run.ID, run.Ending, run.Reason)
		}
	}
	inOrder(t, s.types(), "station.stop success "+instance.LocalUser(), "log.checkpoint success station", "log.shutdown success station")
}

func TestLeavingGivesTheTerminalBack(t *testing.T) {
	s := newShift(t)
	t.Setenv("TERM", "xterm-256color")
	t.Setenv("LC_ALL", "C.UTF-8")
	person := startAtTerminal(t, exec.Command(s.binary, "--dir", s.dir, "--firmware", s.firmware, "--boards", "posix:1", "--operator", "OP-1"), "")
	window := unix.Winsize{Row: 24, Col: 80}
	if err := unix.IoctlSetWinsize(int(person.screen.Fd()), unix.TIOCSWINSZ, &window); err != nil {
		t.Fatal(err)
	}
	person.readUntil("to begin the shift")
	person.types("q")
	seen := person.readUntil("Leave the station")
	person.types(goKey)
	seen += person.readUntil("\x1b[?1049l") // the terminal's main screen is shown again
	if code := person.leave(); code != exitPass || !person.echoes() {
		t.Errorf("exit code %d, echo %t", code, person.echoes())
	}
	if last := strings.LastIndex(seen, "\x1b[?25l"); last > strings.LastIndex(seen, "\x1b[?25h") {
		t.Error("the cursor is hidden")
	}
}

func TestPastedTextDoesNothing(t *testing.T) {
	s := openShift(t, "--boards", "posix:1", "--operator", "OP-1")
	s.begins()
	s.tmux("set-buffer", "WO-7\n1q")
	s.tmux("paste-buffer", "-p", "-t", "s")
	s.sees(`Pasted text is not taken`)
	s.presses("q")
	s.sees(`Leave the station`)
	s.presses("F12")
	s.leaves()
	for _, done := range s.types() {
		if strings.HasPrefix(done, "line.order") || strings.HasPrefix(done, "board.") {
			t.Errorf("pasted text did %q", done)
		}
	}
}

func TestALocaleWithoutUTF8GetsASCIIOnly(t *testing.T) {
	s := newShift(t)
	s.opens([]string{"LANG=de_DE", "LC_ALL=C"}, "--boards", "posix:2", "--operator", "OP-1", "--lang", "de")
	s.sees(`Taste F12 beginnt die Schicht`)
	s.presses("F12")
	s.sees(`Taste F12`)
	s.presses("1", "F12")
	shown := s.sees(`\+ +G ?U ?T +\+|##|GUT`)
	if wide := regexp.MustCompile(`[^\x00-\x7f]+`).FindString(shown); wide != "" {
		t.Errorf("the screen holds %q:\n%s", wide, shown)
	}
}

// What a module writes to standard error is in the log, and not on the screen.
func TestAModuleThatWritesToStandardErrorDoesNotWriteOverTheScreen(t *testing.T) {
	s := newShift(t)
	fixtures.BehindShim(t, workdir.Dir(s.dir)).Fail(t, "talk 1")
	s.opens(nil, "--boards", "posix:1", "--operator", "OP-1")
	s.begins()
	s.presses("1", "F12")
	s.sees(passed)
	if shown := s.tmux("capture-pane", "-p", "-t", "s", "-S", "-"); strings.Contains(shown, "p11shim") {
		t.Errorf("the screen shows\n%s", shown)
	}
	s.presses("q", "Down", "F12")
	s.leaves()
	if log, err := os.ReadFile(workdir.Dir(s.dir).LogFile()); err != nil || !strings.Contains(string(log), "p11shim: C_Sign was called") {
		t.Errorf("the log does not have it: %v\n%s", err, log)
	}
}

func TestSkipReworkAndNumbersByKeys(t *testing.T) {
	s := openShift(t, "--boards", "posix:2", "--operator", "OP-1")
	s.begins()
	s.presses("1", "F12")
	s.sees(passed)
	s.presses("Right", "k")
	s.sees(`Skip bay posix-2`)
	s.presses("2")
	s.sees(`\S 2  jig`)
	s.presses("F12")
	s.sees(`SKIPPED`)
	s.presses("Left", "w")
	s.sees(`Rework in bay posix-1`)
	s.presses("F12")
	s.sees(`! Choose a reason firs`)
	s.presses("1")
	s.sees(`\S 1  board was`)
	s.presses("F12")
	s.sees(`rework is started`)
	s.presses("n")
	s.sees(`PASS +2`)
	s.presses("Escape")
	s.sees(`1 posix-1`)
	s.presses("q")
	s.sees(`Leave the station`)
	s.presses("F12")
	s.leaves()
	inOrder(t, s.types(), "run.pass success anna", "bay.skipped success anna", "cert.superseded success station", "run.pass success anna")

	// The same shift goes on in a new screen.
	s.opens(nil, "--boards", "posix:1", "--operator", "OP-2")
	s.begins()
	s.presses("n")
	s.sees(`PASS +2`)
}

func TestAShiftOnTheScreenWritesJSONLines(t *testing.T) {
	s := newShift(t)
	path := filepath.Join(t.TempDir(), "runs.jsonl")
	if code, _, errs := do(t, "batch", "--dir", s.dir, "--firmware", s.firmware, "--boards", "posix:1", "--jsonl", path); code != exitPass {
		t.Fatal(errs)
	}
	s.opens(nil, "--boards", "posix:1", "--operator", "OP-1", "--jsonl", path)
	s.begins()
	s.presses("1", "F12")
	s.sees(passed)
	s.presses("q")
	s.sees(`Leave the station`)
	s.presses("F12")
	s.leaves()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var keys [2][]string
	for i, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		var run map[string]any
		if err := json.Unmarshal([]byte(line), &run); err != nil || i >= len(keys) || run["ending"] != "pass" {
			t.Fatalf("line %d: %v: %s", i+1, err, line)
		}
		keys[i] = slices.Sorted(maps.Keys(run))
	}
	if !slices.Equal(keys[0], keys[1]) {
		t.Errorf("the line of a batch has %q, the line of a shift %q", keys[0], keys[1])
	}
}

// A plainSession is a running `station tui --plain`.
type plainSession struct {
	t     *testing.T
	cmd   *exec.Cmd
	says  io.WriteCloser
	hears chan string
	errs  bytes.Buffer
	all   []string
}

func (s *shift) startsPlain(args ...string) *plainSession {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	s.t.Cleanup(cancel)
	c := &plainSession{t: s.t, hears: make(chan string, 1000)}
	c.cmd = exec.CommandContext(ctx, s.binary, append([]string{"--dir", s.dir, "--firmware", s.firmware}, args...)...)
	c.cmd.Stderr = &c.errs
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if c.says, err = c.cmd.StdinPipe(); err != nil {
		s.t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() { // ends when the program ends; the end of ctx ends the program
		defer close(c.hears)
		for in := bufio.NewScanner(out); in.Scan(); {
			c.hears <- in.Text()
		}
	}()
	return c
}

// gets sends a line and waits for an output line with these words.
func (c *plainSession) gets(line, words string) {
	c.t.Helper()
	if _, err := io.WriteString(c.says, line+"\n"); err != nil {
		c.t.Fatal(err)
	}
	for heard := range c.hears {
		if c.all = append(c.all, heard); strings.Contains(heard, words) {
			return
		}
	}
	c.t.Fatalf("%.40q: no line has %q: %q %s", line, words, c.all, c.errs.String())
}

func (c *plainSession) ends(code int) {
	c.t.Helper()
	for heard := range c.hears {
		c.all = append(c.all, heard)
	}
	_ = c.cmd.Wait() // the exit code is checked below
	if got := c.cmd.ProcessState.ExitCode(); got != code {
		c.t.Errorf("exit code %d, want %d: %s", got, code, c.errs.String())
	}
	if text := strings.Join(c.all, "\n"); strings.Contains(text, "\x1b") {
		c.t.Errorf("an escape sequence in plain lines: %q", text)
	}
}

func TestAShiftInPlainLines(t *testing.T) {
	s := newShift(t)
	c := s.startsPlain("--boards", "posix:2", "--plain")
	c.gets("1", "sign in first")
	c.gets("OP-9", "badge is not known")
	c.gets("OP-1", "Signed in: ")
	c.gets("WO-404", "not open")
	c.gets("WO-7", "Work order WO-7")
	c.gets("3", "want a bay's number")
	c.gets("stop 7", "want a bay's number")
	c.gets(strings.Repeat("pasted ", 5000), "want a bay's number") // a long line is refused, and the session goes on
	c.gets("\x1b[2J\xff1", "want a bay's number")
	c.gets("1", "PASS")
	c.gets("OP-2\n2\nstop 2", "Bay posix-2 is being stopped")
	c.gets("quit", "")
	c.ends(exitPass)
	inOrder(t, s.types(), "operator.login.fail denied station", "operator.login.ok success anna", "line.order denied anna", "line.order success anna",
		"run.pass success anna", "bay.stop success ben", "line.drain success ben", "station.stop success "+instance.LocalUser())
}

// The reader of the JSON lines holds the pipe and reads nothing until the end of the shift.
func TestTheJSONLinesOfAShiftHoldNoRun(t *testing.T) {
	s := newShift(t)
	pipe := filepath.Join(t.TempDir(), "runs.jsonl")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := os.OpenFile(pipe, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if _, err := unix.FcntlInt(reader.Fd(), unix.F_SETPIPE_SZ, 4096); err != nil {
		t.Fatal(err)
	}
	const runs = 8 // more than the pipe takes
	c := s.startsPlain("--boards", "posix:"+strconv.Itoa(runs), "--operator", "OP-1", "--plain", "--jsonl", pipe)
	for bay := range runs {
		c.gets(strconv.Itoa(bay+1), "PASS")
	}
	if err := c.says.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(reader)
	c.ends(exitPass)
	if lines := strings.Count(string(text), `"ending":"pass"`); err != nil || lines != runs {
		t.Errorf("%d lines, %v; want %d", lines, err, runs)
	}
}

func TestTheEndOfInputEndsAPlainShift(t *testing.T) {
	s := newShift(t)
	c := s.startsPlain("--boards", "posix:1", "--operator", "OP-1", "--plain")
	c.gets("1", "PASS")
	if err := c.says.Close(); err != nil {
		t.Fatal(err)
	}
	c.ends(exitPass)
}

func TestASignalEndsAPlainShiftThatWaitsForInput(t *testing.T) {
	s := newShift(t)
	c := s.startsPlain("--boards", "posix:1", "--operator", "OP-1")
	c.gets("1", "PASS")
	if err := c.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	c.ends(exitAborted)
	inOrder(t, s.types(), "station.stop success "+instance.LocalUser(), "log.shutdown success station")
}

// While the Runs end, the terminal is the kernel's again: Ctrl-C ends a Run that hangs.
func TestCtrlCEndsAPlainShiftThatWaitsForItsRuns(t *testing.T) {
	o := &outage{shift: newShift(t)}
	person := startAtTerminal(t, exec.Command(o.binary, "tui", "--plain", "--dir", o.dir, "--firmware", o.firmware, "--boards", "qemu:1", "--operator", "OP-1"), "")
	person.commands("1", "Ctrl-G starts it")
	if err := syscall.Kill(o.board("qemu-1"), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	person.commands("quit", "Ctrl-G leaves")
	o.until("the terminal is given back", person.echoes)
	person.types("\x03")
	if code := person.leave(); code != exitAborted {
		t.Errorf("exit code %d, want %d", code, exitAborted)
	}
}

func TestADumbTerminalGetsLines(t *testing.T) {
	s := newShift(t)
	t.Setenv("TERM", "dumb")
	person := startAtTerminal(t, exec.Command(s.binary, "--dir", s.dir, "--firmware", s.firmware, "--boards", "posix:1", "--operator", "OP-1"), "")
	person.commands("1", "Ctrl-G starts it")
	seen := person.readUntil("PASS")
	person.commands("quit", "Ctrl-G leaves")
	if code := person.leave(); code != exitPass || strings.Contains(seen, "\x1b") {
		t.Errorf("exit code %d after %q", code, seen)
	}
}
