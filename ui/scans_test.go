package ui

import (
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"hallmark/station"
)

func TestALabelBehindEachScan(t *testing.T) {
	known := boardOf(1).String()
	for _, tt := range []struct {
		name, label  string
		events       []station.Event
		selected     int
		asked, shows string
	}{
		{"a badge signs in", "OP-18", nil, 0, "sign in op18; sign out op17: another operator signed in", "Signed in: J. Weiß"},
		{"an unknown badge is refused", "OP-99", nil, 0, "", "This badge is not known"},
		{"a work order switches", "WO-4712", nil, 0, "order WO-4712 by op17", "Work order WO-4712"},
		{"a work order over its quota is refused", "WO-FULL", nil, 0, "", "This work order is complete"},
		{"an unknown work order is refused", "WO-0", nil, 0, "", "This work order is not open"},
		{"a board starts the chosen bay", known, nil, 2, "start 3 by op17 for WO-4711 expecting " + short(known), ""},
		{"a board that runs is shown", known, []station.Event{running1(1, "4", 3)}, 0, "", "Bay 4: board " + short(known) + " is running"},
		{"a board that passed is not run again", known, []station.Event{ended(1, "4", station.Pass, "")}, 0, "", "passed at"},
		{"a board with a fault is tried again in its bay", known, []station.Event{ended(1, "4", station.Fault, "no-answer")}, 0,
			"start 4 by op17 for WO-4711 expecting " + short(known), ""},
		{"a label of another board than the one in the bay", known, []station.Event{running1(2, "1", 3)}, 0, "", "Nothing was started"},
		{"a board in another bay than the running one", known, []station.Event{running1(2, "1", 3), ended(1, "4", station.Fault, "no-answer")}, 0, "", "is in bay 4, not in bay 1"},
		{"a bay is chosen", "BAY-5", nil, 0, "", "Bay 5"},
		{"a bay that is not there", "BAY-77", nil, 0, "", "There is no bay 77"},
		{"some other label", "4006381333931", nil, 0, "", "This label is not for this station: 4006381333931"},
		{"an upper-case BoardID", strings.ToUpper(known), nil, 0, "start 1 by op17 for WO-4711 expecting " + short(known), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := drive(t, 8, 120, 40, "en")
			for _, e := range tt.events {
				d.send(EventMsg{e})
			}
			d.selected = tt.selected
			d.scan(tt.label)
			d.asked(tt.asked)
			d.shows(tt.shows)
		})
	}
}

func TestAKeyThatOnlyShowsSomethingDoesSoAtOnceAndAScanTakesItBack(t *testing.T) {
	first := func(d *driver, r rune) {
		d.later(10 * time.Millisecond)
		d.send(keyPress(string(r)))
	}
	for name, test := range map[string]struct {
		key   rune
		shows string
	}{
		"help":           {'?', "Any key closes this"},
		"a question":     {'q', "Leave the station?"},
		"another screen": {'n', "first-pass yield"},
	} {
		t.Run(name, func(t *testing.T) {
			d := drive(t, 8, 120, 40, "en")
			first(d, test.key)
			d.shows(test.shows)

			d = drive(t, 8, 120, 40, "en")
			before := d.View()
			first(d, test.key)
			first(d, 'z')
			if d.View() != before {
				t.Errorf("what a scan's first character showed is still there:\n%s", d.View())
			}
		})
	}
}

func TestAScanIsNeverAShortcut(t *testing.T) {
	for _, label := range []string{"q", "XsqXkrd123", "123456789", "yjyjyj", "O"} {
		d := drive(t, 8, 80, 24, "en")
		d.scan(label)
		if d.dialog != nil || d.screen != screenDashboard || d.operator.ID == "" {
			t.Errorf("scan %q did what a key does", label)
		}
		d.asked("")
	}
}

func TestAScanInOnePieceAndAScanWithAPause(t *testing.T) {
	d := drive(t, 8, 80, 24, "en")
	d.send(keyPress("WO-4712"), tea.KeyPressMsg{Code: tea.KeyEnter})
	d.asked("order WO-4712 by op17")

	d = drive(t, 8, 80, 24, "en")
	d.send(keyPress("WO-"))
	d.send(heldMsg{turn: d.held.turn - 1}) // the timer of an earlier character
	d.later(time.Second)
	d.send(keyPress("4712"), tea.KeyPressMsg{Code: tea.KeyEnter})
	d.asked("order WO-4712 by op17")

	d = drive(t, 8, 80, 24, "en")
	d.send(keyPress("WO-Xq"))
	d.send(heldMsg{turn: d.held.turn})
	d.asked("")
	d.shows("The scan was cut off")
}

func TestPastedTextIsRefused(t *testing.T) {
	d := drive(t, 8, 80, 24, "en")
	d.send(tea.PasteMsg{Content: "WO-4712\nXy"})
	d.asked("")
	d.shows("Pasted text is not taken")
	d.key("h")
	d.key("/")
	d.send(tea.PasteMsg{Content: "11176\x1b[2J"})
	d.key("enter")
	if got := d.station.queries[len(d.station.queries)-1].Text; got != "11176?[2J" {
		t.Errorf("searched for %q", got)
	}
}
