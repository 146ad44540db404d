package operate

import (
	"strings"
	"testing"
	"time"

	"hallmark/fixtures"
	"hallmark/hsm"
	"hallmark/station"
	"hallmark/station/instance"
)

func TestALostHSMPausesTheStationAndNoRunIsLost(t *testing.T) {
	t.Run("with the PIN in a file", func(t *testing.T) { losesTheHSM(t, false) })
	t.Run("with a PIN that was typed", func(t *testing.T) { losesTheHSM(t, true) })
}

func losesTheHSM(t *testing.T, typed bool) {
	dir := fixtures.NewDirectory(t)
	server := fixtures.BehindServer(t, dir)
	var options instance.Options
	if typed {
		fixtures.Configure(t, dir, "file:hsm/pin", "prompt")
		source, forget, err := hsm.EnteredPIN([]byte(fixtures.PINOf(t, dir)))
		if err != nil {
			t.Fatal(err)
		}
		defer forget()
		options.PIN = source
	}
	l := closedStationWith(t, dir, "posix:2", options)
	unplugged := false
	l.events = func(e station.Event) {
		if e.Kind == station.StepEnded && e.Step == "check" && !unplugged {
			unplugged = true
			server.Unplug(t)
		}
	}
	l.opens()
	supervisor := &Supervisor{c: l.Controller}

	// 1. The token disappears in the middle of a Run. The Run ends as a Fault, and no further Run starts.
	l.starts(1, Start{})
	l.waits()
	l.last(1, station.Fault)
	supervisor.tick(time.Now())
	if facts := l.facts(); facts.HSM.State != HSMAway || !strings.Contains(facts.Paused, "HSM") {
		t.Errorf("the header says %+v, paused %q", facts.HSM, facts.Paused)
	}
	l.refuses(l.Start(t.Context(), Start{Bay: "posix-2"}), ErrHSMAway)

	// 2. The token comes back. The Run starts again without an operator.
	server.Start(t)
	l.ticksUntil(supervisor, func() bool { return len(l.rows()) == 2 })
	l.waits()
	l.last(1, station.Pass)
	rows := l.rows()
	if rows[0].BoardID != rows[1].BoardID || rows[1].Ending != station.Fault {
		t.Errorf("on record: %+v", rows)
	}
	l.recorded("hsm.away", instance.LocalUser(), nil)
	l.recorded("hsm.back", instance.LocalUser(), nil)
	if l.last(2, ""); l.bays[0].lost != nil {
		t.Error("the Run would be started once more")
	}
}

func TestAnIdleStationNoticesThatTheHSMIsGone(t *testing.T) {
	dir := fixtures.NewDirectory(t)
	server := fixtures.BehindServer(t, dir)
	l := closedStation(t, dir, "posix:1")
	l.opens()
	supervisor := &Supervisor{c: l.Controller, probed: time.Now()}
	server.Unplug(t)
	supervisor.tick(time.Now())
	if l.away != nil {
		t.Error("the token was asked before its time")
	}
	supervisor.tick(time.Now().Add(probeEvery))
	l.refuses(l.Start(t.Context(), Start{Bay: "posix-1"}), ErrHSMAway)
	server.Start(t)
	l.ticksUntil(supervisor, func() bool { return l.away == nil })
}

// ticksUntil calls the ticks of the Supervisor until so reports true.
func (l *environment) ticksUntil(s *Supervisor, so func() bool) {
	l.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !so(); time.Sleep(50 * time.Millisecond) {
		if s.tick(time.Now()); time.Now().After(deadline) {
			l.t.Fatalf("the line does not go on: %v", l.away)
		}
	}
}

func TestALostRunIsNotResumedWithoutAnOperatorNorForEver(t *testing.T) {
	l := ready(t, "posix:1")
	b := l.bays[0]
	for name, prepare := range map[string]func(){
		"the operator has signed out": func() { l.must(l.SignOut(t.Context(), "anna", "signed out")) },
		"the bay was skipped":         func() { l.must(l.Skip(t.Context(), "posix-1", "jig is defective", "anna")) },
		"it was tried often enough":   func() { b.resumed = maxResumed },
	} {
		b.lost, b.skipped, b.resumed = &lostRun{Start{Bay: "posix-1", Operator: "anna"}, &station.Run{}}, "", 0
		prepare()
		l.resume()
		if l.waits(); b.last != "" {
			t.Errorf("%s: a Run was started", name)
		}
	}
}
