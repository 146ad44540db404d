package ui

import (
	"context"
	"strings"
	"testing"
	"time"

	"hallmark/station"
	"hallmark/ui/catalogue"
)

// passes ends a Run of the nth board as a Pass, at a time in seconds.
func passes(n, turn int, bay string, outcome station.Outcome, seconds float64) station.Event {
	e := ended(n, bay, station.Pass, "")
	e.Run = runOf(1000 + turn)
	e.Snap.ID, e.Snap.Outcome, e.Snap.Finished = e.Run, outcome, at(seconds)
	return e
}

func TestAPassSaysWhatItDidForItsBoard(t *testing.T) {
	for outcome, words := range map[station.Outcome]string{
		station.Issued: "new certificate", station.Confirmed: "was done before", station.Reworked: "certificate replaced",
	} {
		t.Run(string(outcome), func(t *testing.T) {
			d := drive(t, 1, 100, 30, "en")
			e := passes(1, 1, "1", outcome, 0)
			d.send(EventMsg{e})
			if shown := strings.Count(d.View(), words); shown < 2 {
				t.Errorf("tile and message line say %q %d times:\n%s", words, shown, d.View())
			}
			if d.key("n"); outcome != station.Issued {
				d.shows(words)
			}
			d.key("esc")
			d.key("enter")
			d.shows(words)
			d.station.rows = []Row{{Run: e.Run, Bay: "1", Ending: station.Pass, Outcome: outcome}}
			d.key("esc")
			d.key("h")
			d.shows(words)
			var out strings.Builder
			plain := NewPlain(&out, load(t, catalogue.Reference), []string{"1"}, true, false)
			if plain.Event(e); !strings.Contains(out.String(), "PASS ("+words+")") {
				t.Errorf("--plain says %q", out.String())
			}
		})
	}
}

func TestABoardThatComesTwiceInABayIsNamed(t *testing.T) {
	const again = "this board was done at 14:01: take it out"
	for _, test := range []struct {
		name   string
		events []station.Event
		named  bool
	}{
		{"the first visit", []station.Event{passes(1, 1, "1", station.Issued, 60)}, false},
		{"the second visit", []station.Event{passes(1, 1, "1", station.Issued, 60), passes(1, 2, "1", station.Confirmed, 300)}, true},
		{"the third visit names the first", []station.Event{passes(1, 1, "1", station.Issued, 60), passes(1, 2, "1", station.Confirmed, 300), passes(1, 3, "1", station.Confirmed, 600)}, true},
		{"a Fault between the visits", []station.Event{passes(1, 1, "1", station.Issued, 60), ended(1, "1", station.Fault, "no-answer"), passes(1, 3, "1", station.Confirmed, 600)}, true},
		{"another board that was done before", []station.Event{passes(1, 1, "1", station.Issued, 60), passes(2, 2, "1", station.Confirmed, 300)}, false},
		{"the same board in another bay", []station.Event{passes(1, 1, "2", station.Issued, 60), passes(1, 2, "1", station.Confirmed, 300)}, false},
		{"a rework of the same board", []station.Event{passes(1, 1, "1", station.Issued, 60), passes(1, 2, "1", station.Reworked, 300)}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := drive(t, 2, 120, 30, "en")
			var out strings.Builder
			plain := NewPlain(&out, load(t, catalogue.Reference), []string{"1", "2"}, true, false)
			for _, e := range test.events {
				d.send(EventMsg{e})
				plain.Event(e)
			}
			if strings.Contains(d.View(), again) != test.named || strings.Contains(out.String(), again) != test.named {
				t.Errorf("named: want %t\n%s\n%s", test.named, out.String(), d.View())
			}
		})
	}
}

func TestABoardOfBeforeTheScreenIsNamed(t *testing.T) {
	s := newFakeStation()
	o := options(t, s, 2, "en")
	o.Earlier = func(context.Context, time.Time) ([]station.Run, error) {
		return []station.Run{passes(1, 1, "1", station.Issued, 60).Snap, passes(1, 2, "1", station.Confirmed, 120).Snap}, nil
	}
	d := open(t, s, o, 120, 30)
	d.screen, d.operator = screenDashboard, s.badges["OP-17"]
	d.obey(d.recall())
	d.send(EventMsg{passes(1, 3, "1", station.Confirmed, 600)})
	d.shows("this board was done at 14:01: take it out")
	if len(d.shift.passes) != 1 {
		t.Errorf("%d boards count in the rate", len(d.shift.passes))
	}
}

func TestTimesOnRecordAreShownInTheTimeZoneOfTheScreen(t *testing.T) {
	s := newFakeStation()
	o := options(t, s, 1, "en")
	east := time.FixedZone("east", 2*3600)
	o.Now = func() time.Time { return at(0).In(east) }
	o.Earlier = func(context.Context, time.Time) ([]station.Run, error) {
		return []station.Run{passes(1, 1, "1", station.Issued, 60).Snap}, nil
	}
	s.rows = []Row{{Run: runOf(1), At: at(60), Ending: station.Pass}}
	s.detail = Detail{Audit: []AuditEntry{{At: at(61), Type: "run.pass"}}}
	d := open(t, s, o, 120, 40)
	d.screen, d.operator = screenDashboard, s.badges["OP-17"]
	d.obey(d.recall())
	again := passes(1, 3, "1", station.Confirmed, 600)
	again.Snap.Finished = again.Snap.Finished.In(east)
	d.send(EventMsg{again})
	d.shows("this board was done at 16:01: take it out")
	d.key("h")
	d.shows("11-22 16:01 ")
	d.key("enter")
	d.shows("16:01:01")
}
