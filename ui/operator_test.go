package ui

import (
	"fmt"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"hallmark/configs"
	"hallmark/station"
	"hallmark/station/operate"
	"hallmark/ui/catalogue"
)

func TestADigitChoosesItsBayAndTheGoKeyStartsIt(t *testing.T) {
	d := drive(t, 8, 80, 24, "en")
	d.key("3")
	d.asked("")
	d.key("go")
	d.asked("start 3 by op17 for WO-4711")
}

// A glove holds a key down, and the terminal repeats the key: the board in bay 1 must not start without its label.
func TestAGoKeyThatIsHeldDownGoesOnce(t *testing.T) {
	d := drive(t, 8, 80, 24, "en")
	d.screen = screenStart
	d.key("go")
	for _, pause := range []time.Duration{660, 30, 30, 30} {
		d.later(pause * time.Millisecond)
		d.send(tea.KeyPressMsg{Code: tea.KeyF12})
	}
	if d.asked(""); d.screen != screenDashboard {
		t.Errorf("screen %d", d.screen)
	}
	d.later(time.Second)
	d.send(tea.KeyPressMsg{Code: tea.KeyF12})
	d.asked("start 1 by op17 for WO-4711")
	d.key("2")
	d.later(10 * time.Millisecond)
	d.send(tea.KeyPressMsg{Code: tea.KeyF12})
	d.asked("start 1 by op17 for WO-4711; start 2 by op17 for WO-4711")
}

func TestCtrlGIsTheGoKeyOfTerminalsWithoutFunctionKeys(t *testing.T) {
	d := drive(t, 8, 80, 24, "en")
	d.send(tea.KeyPressMsg{Code: 'g', Mod: tea.ModCtrl})
	d.asked("start 1 by op17 for WO-4711")
}

func TestAKeyThatDidSomethingOnceNamesTheGoKey(t *testing.T) {
	d := drive(t, 8, 80, 24, "en")
	for _, key := range []string{"s", "r"} {
		d.key(key)
		d.shows("Press F12.")
	}
	d.asked("")
}

func TestTwoDigitsOnABenchWithMoreThanNineBays(t *testing.T) {
	d := drive(t, 32, 200, 50, "en")
	d.key("12")
	d.key("go")
	d.asked("start 12 by op17 for WO-4711")
	d.key("40")
	d.shows("There is no bay 40")
	d.key("1")
	d.send(digitMsg{"1"}) // the second digit never came
	d.key("02")
	d.key("go")
	d.asked("start 12 by op17 for WO-4711; start 2 by op17 for WO-4711")
}

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

func TestADialogIsConfirmedOnlyByItsKey(t *testing.T) {
	for _, language := range []string{"en", "de"} {
		d := drive(t, 8, 80, 24, language)
		d.send(EventMsg{running1(1, "1", 2)})
		d.key("x")
		for _, key := range []string{"enter", " ", "x", "q", "s", "1", "y", "j"} {
			d.key(key)
		}
		d.scan("y")
		d.scan("WO-4712")
		d.scan("OP-18")
		if d.dialog == nil {
			t.Fatalf("%s: a stray key or a scan closed the dialog", language)
		}
		d.asked("")
		d.key("go")
		d.asked("stop 1 by op17")
	}
}

func TestADialogWhoseRunHasEndedDoesNothing(t *testing.T) {
	d := drive(t, 8, 80, 24, "en")
	d.send(EventMsg{running1(1, "1", 2)})
	d.key("x")
	d.send(EventMsg{ended(1, "1", station.Pass, "")}, EventMsg{running1(2, "1", 1)})
	d.key("go")
	d.asked("")
	d.shows("The Run has ended by itself")
}

func TestSkippingNeedsAReason(t *testing.T) {
	d := drive(t, 8, 80, 24, "en")
	d.key("k")
	d.key("go")
	d.asked("")
	d.key("2")
	d.key("go")
	d.asked("skip 1 (jig is defective) by op17")
}

func TestADisabledKeySaysWhy(t *testing.T) {
	for _, tt := range []struct {
		name  string
		key   string
		set   func(*driver)
		shows string
	}{
		{"start when nobody is signed in", "go", func(d *driver) { d.operator = Operator{} }, "sign in first"},
		{"start in a running bay", "go", func(d *driver) { d.send(EventMsg{running1(1, "1", 1)}) }, "bay 1 is running"},
		{"start without HSM", "go", func(d *driver) { d.facts.HSM.State = HSMAway }, "the HSM is away"},
		{"start while draining", "go", func(d *driver) { d.facts.Draining = true }, "the line is being stopped"},
		{"start a stopped bay", "go", func(d *driver) { d.bays[0].facts.Stopped = "clone" }, "release it first"},
		{"start an empty bay", "go", func(d *driver) { d.bays[0].facts.Present = BoardAbsent }, "there is no board in bay 1"},
		{"stop an idle bay", "x", func(*driver) {}, "this bay is not running"},
		{"detail of nothing", "enter", func(*driver) {}, "this bay has had no board yet"},
		{"leaving a locked screen", "q", func(d *driver) { d.locked = true }, "Locked"},
		{"any key on a locked screen", "s", func(d *driver) { d.locked = true }, "Locked"},
		{"beginning a shift while it is checked", "go", func(d *driver) {
			d.screen, d.checks.done, d.checks.running = screenStart, false, true
		}, "the health check is running"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := drive(t, 4, 100, 30, "en")
			tt.set(d)
			d.key(tt.key)
			d.asked("")
			d.shows(tt.shows)
		})
	}
}

func TestIdleScreenLocksAndABadgeOpensIt(t *testing.T) {
	d := drive(t, 4, 100, 30, "en")
	d.send(tickMsg{at: at(11 * 60)})
	d.shows("LOCKED: M. Ortiz")
	d.scan("WO-4712")
	d.key("3")
	d.key("go")
	d.asked("")
	d.scan("OP-17")
	d.asked("sign in op17")
	d.key("3")
	d.key("go")
	d.asked("sign in op17; start 3 by op17 for WO-4711")
	d.send(tickMsg{at: at(22 * 60)})
	d.key("i") // or type it
	d.key("OP-18")
	d.key("go")
	if d.locked || d.operator.ID != "op18" {
		t.Errorf("locked %t, operator %q after a typed badge", d.locked, d.operator.ID)
	}
	d.key("O")
	d.key("go")
	if d.operator.ID != "" {
		t.Error("still signed in after sign-out")
	}
}

func TestPINIsNotShownAndIsForgotten(t *testing.T) {
	s := newFakeStation()
	o := options(t, s, 4, "en")
	o.Opener = s
	d := open(t, s, o, 80, 24)
	for _, r := range "4711-geheim" {
		d.send(keyPress(string(r)))
	}
	if strings.Contains(d.View(), "geheim") || strings.Contains(d.View(), "***") || strings.Contains(d.View(), "•") {
		t.Errorf("the screen shows something of the PIN:\n%s", d.View())
	}
	typed := d.field.text
	d.key("go")
	if len(s.pins) != 1 || s.pins[0] != "4711-geheim" {
		t.Fatalf("got PINs %q", s.pins)
	}
	if strings.Trim(string(s.kept), "\x00") != "" || strings.Trim(string(typed), "\x00") != "" {
		t.Error("the PIN is still in memory")
	}
	if !d.unlocked || !d.checks.done {
		t.Error("the bench is not checked after the PIN")
	}
	d.key("go")
	if d.screen != screenDashboard {
		t.Error("the shift does not begin")
	}
}

func TestALabelIsNoPIN(t *testing.T) {
	s := newFakeStation()
	o := options(t, s, 4, "en")
	o.Opener = s
	d := open(t, s, o, 80, 24)
	d.scan("OP-17")
	d.shows("Nothing was tried")
	d.scan("")
	if len(s.pins) != 0 {
		t.Errorf("a label cost a try: %q", s.pins)
	}
	s.refusal = fmt.Errorf("opening: %w", errPINRefused)
	d.scan("1234")
	d.shows("the text is forgotten")
	d.key("12")
	d.scan("4006381333931") // in the middle of typing
	if len(s.pins) != 0 || len(d.field.text) != 0 {
		t.Errorf("a scan cost a try, or is a part of the PIN: %q", s.pins)
	}
	d.key("1234")
	d.key("go")
	d.shows("The PIN was refused")
	if len(s.pins) != 1 || d.field == nil {
		t.Error("a refused PIN is not asked for again")
	}
}

func TestQuitDrainsFirst(t *testing.T) {
	d := drive(t, 4, 80, 24, "en")
	d.key("q")
	d.asked("")
	d.key("esc")
	d.key("q")
	d.key("go")
	d.asked("drain by op17")
	if !d.leaving {
		t.Error("does not leave")
	}
}

// A bay without a board asks for what comes first: the badge, then the work order, then the board.
func TestAnEmptyBayAsksForWhatComesFirst(t *testing.T) {
	for name, test := range map[string]struct {
		role  configs.Role
		order Order
		want  string
	}{
		"nobody is signed in":                           {want: "Scan your badge"},
		"an operator has no work order":                 {role: configs.RoleOperator, want: "Scan the work order"},
		"a shift leader may start without a work order": {role: configs.RoleLead, want: "Insert a board, press 2, F12"},
		"the work order is complete":                    {role: configs.RoleOperator, order: Order{ID: "WO-1", Quota: 2, Count: 2}, want: "Scan the next work order"},
		"the work order is closed":                      {role: configs.RoleOperator, order: Order{ID: "WO-1", Quota: 2, Closed: "2026-11-22T14:00:00Z"}, want: "Scan the next work order"},
		"the work order takes boards":                   {role: configs.RoleOperator, order: Order{ID: "WO-1", Quota: 2, Count: 1}, want: "Insert a board, press 2, F12"},
	} {
		t.Run(name, func(t *testing.T) {
			d := drive(t, 4, 120, 40, "en")
			if d.operator.Role = test.role; test.role == "" {
				d.operator = Operator{}
			}
			d.facts.Order = test.order
			d.send(factsMsg{facts: d.facts})
			if got := d.idleNext(1); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
			d.shows(test.want)
		})
	}
}

func TestAClosedWorkOrderIsShownAsClosed(t *testing.T) {
	d := drive(t, 4, 80, 24, "en")
	d.facts.Order.Closed = "2026-11-22T14:00:00Z"
	d.send(factsMsg{facts: d.facts})
	d.shows("123/500 closed")
}

// Who is refused by a role is told whom to ask, and what to do first. A shift leader is not sent to the shift leader.
func TestARefusalByARoleSaysWhatToDo(t *testing.T) {
	d := drive(t, 4, 120, 40, "en")
	for _, test := range []struct {
		act   string
		least configs.Role
		want  string
	}{
		{operate.ActWithoutOrder, configs.RoleLead, "Scan the work order first."},
		{operate.ActOpenOrder, configs.RoleLead, "Only the shift leader or engineering may do this."},
		{operate.ActAcknowledge, configs.RoleEngineer, "Only engineering may do this."},
	} {
		d.station.refusal = fmt.Errorf("starting: %w", &operate.Denial{Act: test.act, Operator: "olga", Role: configs.RoleOperator, Least: test.least})
		d.key("go")
		d.shows(test.want)
	}
}

// A long id of a work order leaves room for its count and for the endings of the shift, and keeps its end.
func TestALongWorkOrderHidesNoCounts(t *testing.T) {
	for _, quota := range []int64{0, 12000} {
		for _, w := range []int{minWidth, 80} {
			d := drive(t, 4, w, 24, "en")
			d.facts.Order = Order{ID: "WO-261130-LINE-NORTH-WORK-0004712-TO-4799", Quota: quota}
			d.send(factsMsg{facts: d.facts})
			row := strings.Split(d.View(), "\n")[1]
			for _, want := range []string{"WO-261130", "4799", "✓0 ✗0 ▲0"} {
				if !strings.Contains(row, want) {
					t.Errorf("%d columns, quota %d: no %q in %q", w, quota, want, row)
				}
			}
		}
	}
}

// What is typed into a panel is visible, however long its label is.
func TestAPanelShowsWhatIsTyped(t *testing.T) {
	for _, language := range catalogue.Languages() {
		d := drive(t, 4, minWidth, minHeight, language)
		d.Model, _ = d.Model.openOrderField()
		d.enters("WO-261130-LINE-NORTH-WORK-4799 12000")
		d.shows("WO-261130-LINE-NORTH-WORK-4799 12000_")
	}
}
