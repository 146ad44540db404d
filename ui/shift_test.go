package ui

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"hallmark/devices"
	"hallmark/station"
)

// begun returns the begin of a shift: 14:00 or 22:00.
func begun(now time.Time) time.Time {
	if evening := at(8 * 3600); !now.Before(evening) {
		return evening
	}
	return at(0)
}

func TestTheShiftGoesOnInANewScreen(t *testing.T) {
	s := newFakeStation()
	o := options(t, s, 4, "en")
	o.Now = func() time.Time { return at(3 * 3600) }
	o.ShiftBegan = begun
	var earlier []station.Run
	for i, e := range []station.Event{ended(1, "1", station.Fault, "no-answer"), ended(1, "1", station.Pass, ""), ended(2, "2", station.Pass, "")} {
		e.Snap.ID, e.Snap.Finished = runOf(100+i), at(float64(7000+i))
		earlier = append(earlier, e.Snap)
	}
	o.Earlier = func(_ context.Context, began time.Time) ([]station.Run, error) {
		if began != at(0) {
			t.Errorf("asked for the Runs since %v", began)
		}
		return earlier, nil
	}
	d := open(t, s, o, 100, 30)
	d.send(EventMsg{station.Event{Kind: station.RunEnded, Run: earlier[2].ID, Bay: "2", Snap: earlier[2]}}) // ended while the record was read
	d.obey(d.recall())
	d.checks.done, d.operator = true, s.badges["OP-17"]
	d.key("go") // begins the work, not the count
	d.send(EventMsg{ended(3, "3", station.Pass, "")})
	if got := d.shift.endings[station.Pass]; got != 3 || d.shift.endings[station.Fault] != 1 || d.shift.began != at(0) {
		t.Errorf("%d passes and %d faults since %v", got, d.shift.endings[station.Fault], d.shift.began)
	}
	if good, all := d.shift.firstPass(); good != 2 || all != 3 {
		t.Errorf("%d of %d boards passed at the first try, want 2 of 3", good, all)
	}
	d.send(tickMsg{at: at(8*3600 - 1)})
	if d.shift.attempts != 4 {
		t.Error("the numbers went before their time")
	}
	d.send(tickMsg{at: at(8 * 3600)})
	if d.shift.attempts != 0 || d.shift.began != at(8*3600) {
		t.Errorf("the next shift begins with %d Runs at %v", d.shift.attempts, d.shift.began)
	}
}

func TestARecordThatCannotBeReadLeavesTheNumbersOfTheScreen(t *testing.T) {
	s := newFakeStation()
	o := options(t, s, 2, "en")
	o.Earlier = func(context.Context, time.Time) ([]station.Run, error) { return nil, errors.New("disk gone") }
	d := drive(t, 2, 100, 30, "en")
	d.o.Earlier = o.Earlier
	d.send(EventMsg{ended(1, "1", station.Pass, "")})
	d.obey(d.recall())
	d.shows("disk gone")
	if d.shift.endings[station.Pass] != 1 {
		t.Errorf("%d passes", d.shift.endings[station.Pass])
	}
}

func TestABoardWithTwoKeysIsOneBoard(t *testing.T) {
	s := newShift(at(0))
	run := func(n int, purpose devices.Purpose, ending station.Ending) {
		e := ended(n, "1", ending, "")
		e.Snap.Purpose = purpose
		s = s.add(e.Snap)
	}
	run(1, "tls", station.Pass)
	run(1, "cose", station.Pass)
	run(2, "tls", station.Pass)
	run(2, "cose", station.Fault)
	run(2, "cose", station.Pass)
	run(1, "tls", station.Pass) // a rework
	if good, all := s.firstPass(); len(s.passes) != 2 || good != 1 || all != 2 || s.endings[station.Pass] != 5 {
		t.Errorf("%d boards, %d of %d at the first try, %d passes", len(s.passes), good, all, s.endings[station.Pass])
	}
}

func TestReworkAsksForAReasonAndHoldsToTheBoardOfTheTile(t *testing.T) {
	board := short(boardOf(1).String())
	for _, tt := range []struct {
		name   string
		events []station.Event
		keys   []string
		asked  string
	}{
		{"a board that passed", []station.Event{ended(1, "1", station.Pass, "")}, []string{"w", "1", "go"},
			"start 1 by op17 for WO-4711 expecting " + board + " rework: board was repaired"},
		{"a bay that had no board yet", nil, []string{"w", "4", "go"}, "start 1 by op17 for WO-4711 rework: other"},
		{"no reason", nil, []string{"w", "go"}, ""},
		{"second thoughts", nil, []string{"w", "1", "esc"}, ""},
		{"a bay that runs", []station.Event{running1(1, "1", 3)}, []string{"w", "1", "go"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := drive(t, 4, 100, 30, "en")
			for _, e := range tt.events {
				d.send(EventMsg{e})
			}
			for _, key := range tt.keys {
				d.key(key)
			}
			d.asked(tt.asked)
		})
	}
}

func TestReworkOfABoardThatWasChangedMeanwhileDoesNothing(t *testing.T) {
	d := drive(t, 4, 100, 30, "en")
	d.send(EventMsg{ended(1, "1", station.Pass, "")})
	d.key("w")
	d.key("1")
	d.send(EventMsg{ended(2, "1", station.Pass, "")})
	d.key("go")
	d.asked("")
}

func TestAWarningDoesNotKeepTheShiftFromBeginning(t *testing.T) {
	d := drive(t, 4, 100, 30, "en")
	d.screen = screenStart
	d.checks.checks = []Check{{Name: "HSM", State: CheckOK}, {Name: "certificates", State: CheckWarn, Finding: "ends in 20 days", Next: "renew it"}}
	d.shows("ends in 20 days")
	d.shows("renew it")
	if d.key("go"); d.screen != screenDashboard {
		t.Errorf("a warning stops the shift:\n%s", d.View())
	}
}

func TestThePINIsInNoPictureOfTheModel(t *testing.T) {
	s := newFakeStation()
	o := options(t, s, 2, "en")
	o.Opener = s
	d := open(t, s, o, 80, 24)
	d.key("86420975")
	for _, picture := range []string{fmt.Sprintf("%v", d.Model), fmt.Sprintf("%+v", d.Model), fmt.Sprintf("%#v", d.Model), d.View()} {
		for _, secret := range []string{"86420975", "56 54 52 50", "0x38, 0x36, 0x34"} { // as text, as runes
			if strings.Contains(picture, secret) {
				t.Errorf("a picture of the model holds the PIN as %q", secret)
			}
		}
	}
}

func TestAPINThatIsTooLongKeepsItsBeginning(t *testing.T) {
	f := &field{secret: true}
	for range longestField + 1 {
		f = f.insert('7')
	}
	if got := string(encoded(f.text)); got != strings.Repeat("7", longestField) {
		t.Errorf("the field holds %q", got)
	}
	if got := string(encoded([]rune("größe€🔑"))); got != "größe€🔑" {
		t.Errorf("encoded as %q", got)
	}
}

func TestWhatTheTokenSaysOfItsPINIsSaid(t *testing.T) {
	for err, words := range map[error]string{errPINRefused: "The PIN was refused", errPINLast: "one try left", errPINLocked: "The PIN is locked"} {
		s := newFakeStation()
		o := options(t, s, 2, "en")
		o.Opener = s
		s.refusal = errors.Join(err)
		d := open(t, s, o, 100, 30)
		d.key("1234")
		d.key("go")
		d.shows(words)
		if len(s.pins) != 1 || d.field == nil {
			t.Errorf("%v: tried %d times, asked again: %t", err, len(s.pins), d.field != nil)
		}
	}
}
