package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hallmark/station"
	"hallmark/station/audit"
	"hallmark/ui"
)

// seated is a sitting without a terminal: the test is the screen, and the keeper looks
// only when it is told to.
type seated struct {
	*sitting
	t *testing.T
}

// newDir makes a station.
func newDir(t *testing.T) string {
	t.Helper()
	needSoftHSM(t)
	dir := filepath.Join(t.TempDir(), "D")
	if code, _, errs := do(t, "init", "--dir", dir); code != exitPass {
		t.Fatal(errs)
	}
	return dir
}

// sit opens files and registry; nobody has examined the bench then.
func sit(t *testing.T, dir, boards string) *seated {
	t.Helper()
	ask := &screen{operator: "anna"}
	ask.boards, ask.firmware = boards, firmwareFolder(t)
	c := &command{dir: dir, stdin: strings.NewReader(""), stdout: io.Discard, stderr: io.Discard}
	s, err := c.sitting(ask)
	if err != nil {
		t.Fatal(err)
	}
	s.lines = nil // a screen, although there is no terminal
	if err := s.open(t.Context(), t.Context()); err != nil {
		t.Fatal(errors.Join(err, s.bench.close()))
	}
	t.Cleanup(func() {
		s.desk.leave()
		k := &keeper{line: s.line, stop: func() {}, done: make(chan struct{})}
		close(k.done)
		if err := errors.Join(s.line.end(k), s.bench.close()); err != nil {
			t.Error(err)
		}
	})
	return &seated{s, t}
}

// ready is sit with the bench examined and found good.
func ready(t *testing.T, boards string) *seated {
	t.Helper()
	s := sit(t, newDir(t), boards)
	s.examine()
	return s
}

// examine wants every check to be good.
func (s *seated) examine() {
	s.t.Helper()
	for _, check := range s.checks() {
		if check.State != ui.CheckOK && check.Name != "ports" {
			s.t.Fatalf("%s: %s: %s", check.Name, check.State, check.Finding)
		}
	}
}

func (s *seated) checks() []ui.Check {
	s.t.Helper()
	var all []ui.Check
	for check := range s.desk.Examine(s.t.Context()) {
		all = append(all, check)
	}
	return all
}

func (s *seated) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *seated) refuses(err, want error) {
	s.t.Helper()
	if !errors.Is(err, want) {
		s.t.Errorf("got %v, want %v", err, want)
	}
}

// starts begins a Run in a bay, by its number from 1.
func (s *seated) starts(bay int, ask ui.Start) {
	s.t.Helper()
	ask.Bay, ask.Operator = s.line.slots[bay-1].bay.Name, "anna"
	s.must(s.line.Start(s.t.Context(), ask))
}

// waits returns when no Run is under way.
func (s *seated) waits() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	s.must(s.line.wait(ctx))
}

// last wants the last Run of a bay to have ended so.
func (s *seated) last(bay int, want station.Ending) {
	s.t.Helper()
	s.line.mu.Lock()
	defer s.line.mu.Unlock()
	if got := s.line.slots[bay-1].last; got != want {
		s.t.Errorf("bay %d ended as %q, want %q", bay, got, want)
	}
}

// rows are the Runs on record, newest first.
func (s *seated) rows() []ui.Row {
	s.t.Helper()
	rows, err := s.desk.Search(s.t.Context(), ui.Query{})
	s.must(err)
	return rows
}

// recorded wants an audit entry of this type with these details by this operator.
func (s *seated) recorded(what, operator string, details map[string]string) {
	s.t.Helper()
	for _, e := range (&shift{t: s.t, dir: string(s.bench.state)}).unverified() {
		if e.Type == what && e.Actor.ID == operator && contains(e, details) {
			return
		}
	}
	s.t.Errorf("no %s by %s with %v on record", what, operator, details)
}

func contains(e audit.Entry, details map[string]string) bool {
	for name, value := range details {
		if e.Details[name] != value {
			return false
		}
	}
	return true
}

func TestAnExaminationOpensTheLinePartByPart(t *testing.T) {
	s := sit(t, newDir(t), "posix:1")
	s.refuses(s.line.Start(t.Context(), ui.Start{Bay: "posix-1"}), errNotOpen)
	if facts, err := s.line.Facts(t.Context()); err != nil || facts.HSM.State != ui.HSMClosed {
		t.Errorf("HSM %q before the examination, %v", facts.HSM.State, err)
	}
	s.examine()
	if facts, err := s.line.Facts(t.Context()); err != nil || facts.HSM.State != ui.HSMSoftware || facts.Anchored.IsZero() && facts.Entries == 0 {
		t.Errorf("facts after it: %+v, %v", facts, err)
	}
	s.starts(1, ui.Start{})
	s.waits()
	s.last(1, station.Pass)
	s.examine() // as the doctor's view does it, with everything open
}

func TestAnExaminationThatFailedGoesOnWhereItStopped(t *testing.T) {
	s := sit(t, newDir(t), "posix:1")
	hidden := s.bench.state.in("away")
	s.must(os.Rename(s.bench.state.server(), hidden))
	states := map[string]ui.CheckState{}
	for _, check := range s.checks() {
		states[check.Name] = check.State
	}
	for name, want := range map[string]ui.CheckState{"HSM": ui.CheckOK, "verifier": ui.CheckFail, "self-test": ui.CheckNone, "line": ui.CheckNone} {
		if states[name] != want {
			t.Errorf("%s: %s, want %s", name, states[name], want)
		}
	}
	s.refuses(s.line.Start(t.Context(), ui.Start{Bay: "posix-1"}), errNotOpen)
	s.must(os.Rename(hidden, s.bench.state.server()))
	s.examine()
}

func TestAnExaminationThatIsLeftEndsAndNoOtherBegins(t *testing.T) {
	s := sit(t, newDir(t), "posix:1")
	ctx, cancel := context.WithCancel(t.Context())
	checks := s.desk.Examine(ctx)
	<-checks
	cancel()
	s.desk.leave() // waits for it
	if _, more := <-s.desk.Examine(t.Context()); more {
		t.Error("an examination began on a bench that is being closed")
	}
	s.refuses(s.desk.Unlock(t.Context(), []byte("1234")), context.Canceled)
}

func TestACertificateThatEndsSoonIsAWarning(t *testing.T) {
	check := examined(t.Context(), examination{"certificates", "renew it", func(context.Context) (string, error) { return "", errEnding }})
	if check.State != ui.CheckWarn || check.Next != "renew it" {
		t.Errorf("got %+v", check)
	}
	check = examined(t.Context(), examination{"x", "call", func(context.Context) (string, error) { panic("boom") }})
	if check.State != ui.CheckFail || check.Finding != "panic: boom" {
		t.Errorf("got %+v", check)
	}
}
