package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hallmark/fixtures"
	"hallmark/hsm"
	"hallmark/station"
	"hallmark/ui"
)

// configured changes words of station.yaml; each must be there.
func configured(t *testing.T, dir string, pairs ...string) {
	t.Helper()
	path := filepath.Join(dir, "station.yaml")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(string(text), pairs[i]) {
			t.Fatalf("station.yaml has no %q", pairs[i])
		}
	}
	if err := os.WriteFile(path, []byte(strings.NewReplacer(pairs...).Replace(string(text))), 0o600); err != nil {
		t.Fatal(err)
	}
}

// tokenOf is the token that `init` made in dir, for a server or a shim before it.
func tokenOf(t *testing.T, dir string) *fixtures.Token {
	t.Helper()
	return &fixtures.Token{Dir: filepath.Join(dir, "hsm"), Config: hsm.Config{
		Module: fixtures.SoftHSM(t), TokenLabel: "hallmark-demo", AllowSoftwareToken: true,
		Environment: map[string]string{"SOFTHSM2_CONF": filepath.Join(dir, "hsm", "softhsm2.conf")},
	}}
}

// behindAServer puts the station's token into another process, where it can be unplugged.
func behindAServer(t *testing.T, dir string) *fixtures.Server {
	t.Helper()
	server := fixtures.Serve(t, tokenOf(t, dir))
	configured(t, dir, "create_token: true", "create_token: false", "module: softhsm2", "module: "+server.Config.Module)
	for name, value := range server.Config.Environment {
		t.Setenv(name, value)
	}
	return server
}

func TestALostHSMPausesTheLineAndNoRunIsLost(t *testing.T) {
	t.Run("with the PIN in a file", func(t *testing.T) { losesTheHSM(t, false) })
	t.Run("with a PIN that was typed", func(t *testing.T) { losesTheHSM(t, true) })
}

func losesTheHSM(t *testing.T, typed bool) {
	dir := newDir(t)
	pin := pinOf(t, dir)
	server := behindAServer(t, dir)
	if typed {
		configured(t, dir, "file:hsm/pin", "prompt")
	}
	s := sit(t, dir, "posix:2")
	if typed {
		s.must(s.desk.Unlock(t.Context(), []byte(pin)))
	}
	engine, unplugged := s.line.events, false
	s.line.events = func(e station.Event) {
		if engine(e); e.Kind == station.StepEnded && e.Step == "check" && !unplugged {
			unplugged = true
			server.Unplug(t)
		}
	}
	s.examine()
	k := &keeper{line: s.line}

	// 1. The Run in whose middle the token goes ends as a Fault of the station, and the line pauses.
	s.starts(1, ui.Start{})
	s.waits()
	s.last(1, station.Fault)
	k.look(time.Now(), true)
	facts, err := s.line.Facts(t.Context())
	if s.must(err); facts.HSM.State != ui.HSMAway || !strings.Contains(facts.Paused, "HSM") {
		t.Errorf("the header says %+v, paused %q", facts.HSM, facts.Paused)
	}
	s.refuses(s.line.Start(t.Context(), ui.Start{Bay: "posix-2"}), ui.ErrHSMAway)

	// 2. The token comes back; nobody presses a key.
	server.Start(t)
	s.looksUntil(k, func() bool { return len(s.rows()) == 2 })
	s.waits()
	s.last(1, station.Pass)
	rows := s.rows()
	if rows[0].BoardID != rows[1].BoardID || rows[1].Ending != station.Fault {
		t.Errorf("on record: %+v", rows)
	}
	s.recorded("hsm.away", operator(), nil)
	s.recorded("hsm.back", operator(), nil)
	if s.last(2, ""); s.line.slots[0].lost != nil {
		t.Error("the Run would be started once more")
	}
}

func TestAnIdleLineNoticesThatTheHSMIsGone(t *testing.T) {
	dir := newDir(t)
	server := behindAServer(t, dir)
	s := sit(t, dir, "posix:1")
	s.examine()
	k := &keeper{line: s.line, probed: time.Now()}
	server.Unplug(t)
	k.look(time.Now(), false)
	if s.line.away != nil {
		t.Error("the token was asked before its time")
	}
	k.look(time.Now().Add(probeEvery), false)
	s.refuses(s.line.Start(t.Context(), ui.Start{Bay: "posix-1"}), ui.ErrHSMAway)
	server.Start(t)
	s.looksUntil(k, func() bool { return s.line.away == nil })
}

// looksUntil is the keeper's work until something is so.
func (s *seated) looksUntil(k *keeper, so func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !so(); time.Sleep(50 * time.Millisecond) {
		if k.look(time.Now(), false); time.Now().After(deadline) {
			s.t.Fatalf("the line does not go on: %v", s.line.away)
		}
	}
}

func TestWhatTheHSMCostIsNotResumedForNobodyOrForEver(t *testing.T) {
	s := ready(t, "posix:1")
	slot := s.line.slots[0]
	ask := ui.Start{Bay: "posix-1", Operator: "anna"}
	for name, prepare := range map[string]func(){
		"the operator has signed out": func() { s.must(s.desk.SignOut(t.Context(), "anna", "signed out")) },
		"the bay was skipped":         func() { s.must(s.line.Skip(t.Context(), "posix-1", "jig is defective", "anna")) },
		"it was tried often enough":   func() { slot.resumed = maxResumed },
	} {
		slot.lost, slot.skipped, slot.resumed = &ask, "", 0
		prepare()
		s.line.resume()
		if s.waits(); slot.last != "" {
			t.Errorf("%s: a Run was started", name)
		}
	}
}

// pinOf is the PIN that `init` made.
func pinOf(t *testing.T, dir string) string {
	t.Helper()
	pin, err := os.ReadFile(filepath.Join(dir, "hsm", "pin"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(pin))
}

func TestAPINThatIsTyped(t *testing.T) {
	dir := newDir(t)
	good := pinOf(t, dir)
	shim := fixtures.NewShim(t, tokenOf(t, dir))
	configured(t, dir, "create_token: true", "create_token: false", "file:hsm/pin", "prompt", "module: softhsm2", "module: "+shim.Config.Module)
	for name, value := range shim.Config.Environment {
		t.Setenv(name, value)
	}
	s := sit(t, dir, "posix:1")
	if !s.prompts() {
		t.Fatal("the screen does not ask for the PIN")
	}
	for _, row := range []struct {
		name, pin string
		faults    []string
		want      error
		tries     int // of the token
	}{
		{"nothing but a control character", "\x07", nil, hsm.ErrPINSource, 0},
		{"a wrong PIN is tried once", "4321-wrong", nil, ui.ErrPINRefused, 1},
		{"one on its final try is not tried", good, []string{"token_flags 20000"}, ui.ErrPINLast, 0},
		{"one that is locked is not tried", good, []string{"token_flags 40000"}, ui.ErrPINLocked, 0},
		{"a module that does not start", good, []string{"C_Initialize 30"}, hsm.ErrModuleNotStarted, 0},
		{"the right one opens the token", good, nil, nil, 1},
		{"a second time nothing is tried", "4321-wrong", nil, nil, 0},
	} {
		shim.Fail(t, append(row.faults, "count 1")...)
		before := shim.Calls(t, "C_Login")
		typed := []byte(row.pin)
		err := s.desk.Unlock(t.Context(), typed)
		if tries := shim.Calls(t, "C_Login") - before; !errors.Is(err, row.want) || tries != row.tries {
			t.Errorf("%s: %v after %d tries, want %v after %d", row.name, err, tries, row.want, row.tries)
		}
		if err != nil && strings.Contains(err.Error(), row.pin) {
			t.Errorf("%s: the error holds the PIN", row.name)
		}
	}
	s.examine()
	s.starts(1, ui.Start{})
	s.waits()
	s.last(1, station.Pass)
	nowhere(t, dir, good, "4321-wrong")
}

// nowhere wants none of the secrets in anything that the station wrote, the PIN file excepted.
func nowhere(t *testing.T, dir string, secrets ...string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || path == filepath.Join(dir, "hsm", "pin") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, secret := range secrets {
			if strings.Contains(string(text), secret) {
				t.Errorf("%s holds a PIN", path)
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
