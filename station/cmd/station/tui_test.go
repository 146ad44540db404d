package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"hallmark/fixtures"
	"hallmark/fixtures/prerequisite"
	"hallmark/station/audit"
	"hallmark/station/instance"
	"hallmark/station/reason"
	"hallmark/station/registry"
	"hallmark/station/workdir"
)

// A shift is the screen of a station in tmux, with keys and scans of an operator.
type shift struct {
	t      *testing.T
	socket string
	dir    string

	binary, firmware string
	w, h             string // size of the terminal
}

// newShift makes a station with two operators and a work order.
func newShift(t *testing.T) *shift {
	t.Helper()
	needSoftHSM(t)
	prerequisite.Program(t, "tmux", "tmux")
	s := &shift{t: t, dir: filepath.Join(t.TempDir(), "D"), binary: racingProgram(t), firmware: firmwareFolder(t), w: "80", h: "24"}
	if code, _, errs := do(t, "init", "--dir", s.dir); code != exitPass {
		t.Fatal(errs)
	}
	if err := os.WriteFile(filepath.Join(s.dir, "badges.yaml"), []byte("OP-1: {id: anna, name: Anna Schmidt}\nOP-2: {id: ben, name: Ben}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.openOrder("WO-7", 3)
	return s
}

// openShift makes a station and opens its screen.
func openShift(t *testing.T, args ...string) *shift {
	t.Helper()
	s := newShift(t)
	s.opens(nil, args...)
	return s
}

// opens opens the screen in a terminal. environment is added to the usual environment, without
// the variable CI: with CI the colour library would see no terminal.
func (s *shift) opens(environment []string, args ...string) {
	s.t.Helper()
	s.socket = filepath.Join(s.t.TempDir(), "tmux")
	words := append([]string{"-f", "/dev/null", "new-session", "-d", "-x", s.w, "-y", s.h, "-s", "s",
		"env", "-u", "CI", "-u", "NO_COLOR", "LANG=C.UTF-8", "LC_ALL=C.UTF-8", "TERM=screen-256color"}, environment...)
	s.tmux(append(append(words, s.binary, "--dir", s.dir, "--firmware", s.firmware), args...)...)
	pid, err := strconv.Atoi(strings.TrimSpace(s.tmux("display-message", "-p", "-t", "s", "#{pane_pid}")))
	if err != nil {
		s.t.Fatal(err)
	}
	socket := s.socket
	s.t.Cleanup(func() {
		if err := exec.Command("tmux", "-S", socket, "kill-server").Run(); err != nil {
			s.t.Log("tmux had ended before:", err)
		}
		gone(s.t, pid) // before its directory is removed
	})
}

// gone waits for the end of a process. A process that no parent waits for stays as a zombie, which also counts as ended
// (proc(5), state Z).
func gone(t *testing.T, pid int) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("process %d does not end", pid)
			return
		}
	}
}

// openOrder opens a work order before the station is in use.
func (s *shift) openOrder(id string, quota int64) {
	s.t.Helper()
	files, err := instance.OpenFiles(workdir.Dir(s.dir), instance.Options{})
	if err != nil {
		s.t.Fatal(err)
	}
	record, err := files.OpenRecord(s.t.Context())
	if err == nil {
		err = record.Registry.OpenOrder(s.t.Context(), registry.NewOrder{ID: id, Product: files.Profile.Name(), Quota: quota}, "planning")
	}
	if err == nil {
		_, err = record.CoverActs(s.t.Context())
	}
	if err := errors.Join(err, files.Close()); err != nil {
		s.t.Fatal(err)
	}
}

func (s *shift) tmux(args ...string) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	text, err := exec.CommandContext(ctx, "tmux", append([]string{"-S", s.socket}, args...)...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("tmux %s: %v: %s", args[0], err, text)
	}
	return string(text)
}

// sees waits until the screen shows the text.
func (s *shift) sees(pattern string) string {
	s.t.Helper()
	want := regexp.MustCompile(pattern)
	for deadline := time.Now().Add(20 * time.Second); ; {
		shown := s.tmux("capture-pane", "-p", "-t", "s")
		if want.MatchString(shown) {
			return shown
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("the screen does not show %q but\n%s", pattern, shown)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// goKey is F12, the key that acts, as a terminal sends it.
const goKey = "\x1b[24~"

// presses waits as a person does, and presses keys.
func (s *shift) presses(keys ...string) {
	s.t.Helper()
	time.Sleep(handPause)
	s.tmux(append([]string{"send-keys", "-t", "s"}, keys...)...)
}

// scans sends a label as a scanner does: all characters at once, and then Enter.
func (s *shift) scans(label string) { s.t.Helper(); s.presses(label, "Enter") }

// begins waits for the end of the checks, and begins the shift.
func (s *shift) begins() {
	s.t.Helper()
	s.sees(`Press F12 to begin the shift`)
	s.presses("Up", "F12") // the arrow keeps it from being a key that is held down
	s.sees(`Press F12 to start`)
}

// leaves waits for the end of the program.
func (s *shift) leaves() {
	s.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); exec.Command("tmux", "-S", s.socket, "has-session", "-t", "s").Run() == nil; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("the station does not end:\n%s", s.tmux("capture-pane", "-p", "-t", "s"))
		}
	}
}

// ends waits for the end of a station whose terminal is closed. The registry's lock is then free.
func (s *shift) ends() {
	s.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		code, _, errs := do(s.t, "doctor", "--dir", s.dir, "--ports", "")
		if code == exitPass {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatal(errs)
		}
	}
}

// unplugs kills the board of a bay.
func (s *shift) unplugs(bay string) {
	s.t.Helper()
	if err := syscall.Kill(s.board(bay), syscall.SIGKILL); err != nil {
		s.t.Fatal(err)
	}
}

// board waits for a board in a bay and returns the process id of the board.
func (s *shift) board(bay string) int {
	s.t.Helper()
	board := filepath.Join(s.dir, "bays", bay, "1") // the working directory of its process
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		all, err := filepath.Glob("/proc/[0-9]*/cwd")
		if err != nil {
			s.t.Fatal(err)
		}
		for _, path := range all {
			if at, err := os.Readlink(path); err != nil || at != board { // a process may have ended meanwhile
				continue
			}
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			if err != nil {
				s.t.Fatal(err)
			}
			return pid
		}
	}
	s.t.Fatalf("no board in bay %s", bay)
	return 0
}

// types verifies the log, and returns a line for each audit entry: type, outcome and actor.
func (s *shift) types() []string {
	s.t.Helper()
	var types []string
	for _, e := range s.entries() {
		types = append(types, e.Type+" "+string(e.Outcome)+" "+e.Actor.ID)
	}
	return types
}

// entries verifies the log, and returns all audit entries.
func (s *shift) entries() []audit.Entry {
	s.t.Helper()
	if code, _, errs := do(s.t, "audit", "verify", "--dir", s.dir); code != exitPass {
		s.t.Fatal(errs)
	}
	return fixtures.Entries(s.t, workdir.Dir(s.dir))
}

// inOrder checks that all contains want in this order.
func inOrder(t *testing.T, all []string, want ...string) {
	t.Helper()
	i := 0
	for _, one := range all {
		if i < len(want) && one == want[i] {
			i++
		}
	}
	if i < len(want) {
		t.Errorf("no %q in its place among\n%s", want[i], strings.Join(all, "\n"))
	}
}

// runsOf counts the recorded Runs of a work order. A Run whose board was unplugged is on record
// only if the board had answered before.
func (s *shift) runsOf(order string) int {
	s.t.Helper()
	db := fixtures.OpenDatabase(s.t, filepath.Join(s.dir, "registry.db"))
	defer db.Close()
	return len(fixtures.Texts(s.t, db, `SELECT id FROM runs WHERE work_order = ?`, order))
}

// passed is what the screen says of the chosen bay when its board has passed.
const passed = `PASS · `

func TestAShiftFromSignInToSignOutIsOnRecord(t *testing.T) {
	s := openShift(t, "--boards", "qemu:2")
	s.sees(`START OF SHIFT`)
	s.scans("OP-9")
	s.sees(`(?i)badge`)
	s.scans("OP-1")
	s.sees(`Operator: Anna Schmidt`)
	s.begins()
	s.scans("WO-404")
	s.sees(`not open`)
	if code, out, errs := do(t, "order", "open", "--dir", s.dir, "--id", "WO-404", "--quota", "2"); code != exitPass { // while the screen runs
		t.Fatal(code, out, errs)
	}
	s.scans("WO-404")
	s.sees(`WO-404.*0/2`)
	s.scans("WO-7")
	s.sees(`WO-7 +0/3|WO-7.*0 of 3|WO-7.*0/3`)

	s.presses("1", "F12")
	s.unplugs("qemu-1")
	s.sees(`FAULT: `)
	s.presses("Up", "F12") // the arrow keeps it from being a key that is held down
	s.sees(`PASS · `)
	s.presses("Enter")
	s.sees(`BoardID +[0-9a-f]{8}-(.|\n)*WO-7`)
	s.presses("Escape")
	s.sees(`1 qemu-1`)
	s.presses("h")
	s.sees(`History`)
	s.presses("/", "Left") // the arrow keeps h and / from being the beginning of the scan
	s.sees(`BoardID, serial number, order, day as`)
	s.presses("WO-7", "Enter")
	s.sees(`"WO-7" · ` + reason.Count(s.runsOf("WO-7"), "Run", "Runs"))
	s.presses("Up", "F12")
	s.sees(reason.Count(s.runsOf("WO-7"), "Run is", "Runs are") + ` in .*/copies/runs-.*\.csv`)
	s.presses("Escape")
	s.sees(`1 qemu-1`)
	s.presses("O", "F12")
	s.sees(`no operator|not signed in|sign in`)
	s.presses("q")
	s.sees(`Leave the station`)
	s.presses("F12")
	s.leaves()
	inOrder(t, s.types(), "station.start success "+instance.LocalUser(), "operator.login.fail denied station", "operator.login.ok success anna",
		"line.order denied anna", "line.order success anna", "cert.issue.intent success station", "operator.logout success anna",
		"line.drain success station", "station.stop success "+instance.LocalUser(), "log.checkpoint success station")
}

func TestAClosedTerminalEndsTheShiftInOrder(t *testing.T) {
	s := openShift(t, "--boards", "posix:2", "--operator", "OP-2", "--order", "WO-7")
	s.sees(`START OF SHIFT`)
	s.begins()
	s.presses("1", "F12")
	s.sees(passed)
	s.tmux("kill-session", "-t", "s")
	s.ends()
	inOrder(t, s.types(), "operator.login.ok success ben", "line.order success ben", "station.stop success "+instance.LocalUser(), "log.checkpoint success station", "log.shutdown success station")
}

func TestASecondScreenIsTurnedAwayBeforeItOpens(t *testing.T) {
	s := openShift(t, "--boards", "posix:1")
	s.sees(`self-test`)
	code, shown, errs := do(t, "tui", "--dir", s.dir, "--boards", "posix:1", "--plain")
	if code != exitFault || shown != "" || !strings.Contains(errs, "another station has this registry open") {
		t.Errorf("exit code %d, %q, %q", code, shown, errs)
	}
}
