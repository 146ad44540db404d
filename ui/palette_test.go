package ui

import (
	"context"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"hallmark/configs"
)

// enters types a text as a person does.
func (d *driver) enters(text string) {
	for _, r := range text {
		d.key(string(r))
	}
}

func TestThePaletteFindsExplainsAndDoesEveryAction(t *testing.T) {
	d := drive(t, 4, 120, 40, "en")
	d.key(":")
	for _, a := range d.commands() {
		d.shows(a.key.text())
	}
	d.enters("doctor")
	if got := len(d.found()); got != 1 {
		t.Fatalf("%d commands have the word doctor", got)
	}
	d.key("enter")
	if d.field == nil {
		t.Error("enter did something, and scanners send enter")
	}
	d.key("go")
	if d.screen != screenDoctor {
		t.Errorf("screen %d, want the health check", d.screen)
	}
}

func TestThePaletteSaysWhyACommandDoesNothing(t *testing.T) {
	d := drive(t, 4, 120, 40, "en")
	d.operator = Operator{}
	d.key(":")
	d.enters("close the work")
	d.shows("close the work order: " + d.Model.t("why.signin"))
	d.key("go")
	d.shows(d.Model.t("why.signin"))
	if d.station.said() != "" {
		t.Errorf("asked for %q", d.station.said())
	}
	d.key(":")
	d.enters("zzz")
	d.shows("No command has these words.")
	d.key("go")
	d.shows("No command has these words.")
	if d.field == nil {
		t.Error("the palette closed, so that the next characters are keys of the bench")
	}
	d.key("esc")
	if d.field != nil {
		t.Error("esc left the palette open")
	}
}

func TestAllBaysStartFromThePalette(t *testing.T) {
	d := drive(t, 4, 120, 40, "en")
	d.send(EventMsg{running1(1, "2", 3)})
	d.facts.Bays = []BayFacts{{Name: "3", Skipped: "jig"}, {Name: "4", Stopped: "clone"}}
	d.send(factsMsg{facts: d.facts})
	d.key(":")
	d.enters("start all")
	d.key("go")
	d.shows("1 bay can start")
	d.key("go")
	d.asked("start 1 by op17 for WO-4711")
}

func TestAWorkOrderIsOpenedRaisedAndClosedFromThePalette(t *testing.T) {
	d := drive(t, 4, 120, 40, "en")
	choose := func(words string) {
		d.key(":")
		d.enters(words)
		d.key("go")
	}
	choose("open a work order")
	d.enters("WO-9")
	d.key("go")
	d.shows("the number of boards, such as WO-1")
	d.enters(" 20") // the panel is open, with what was typed
	d.key("go")
	d.shows("WO-9")
	d.station.facts.Order = Order{ID: "WO-9", Quota: 20} // as the station says from now on
	d.send(factsMsg{facts: d.station.facts})
	choose("raise")
	d.enters("20")
	d.key("go")
	d.shows("Want a number above 20.")
	d.key("backspace")
	d.key("backspace")
	d.enters("30")
	d.key("go")
	choose("close the work order")
	d.shows("Close work order WO-9?")
	d.key("go")
	d.asked("order.open WO-9 20 by op17; order WO-9 by op17; order.raise WO-9 30 by op17; order.close WO-9 0 by op17")
}

// The label of a work order that is not open yet fills the panel: the person only adds the number of boards.
func TestALabelFillsThePanelOfANewWorkOrder(t *testing.T) {
	d := drive(t, 4, 120, 40, "en")
	d.key(":")
	d.enters("open a work order")
	d.key("go")
	d.types("WO-9\r", 5*time.Millisecond, -1)
	d.shows("► WO-9 _")
	d.later(time.Second)
	d.enters("20")
	d.key("go")
	d.asked("order.open WO-9 20 by op17; order WO-9 by op17")
}

// A label that is scanned while the palette is open does what it does elsewhere, and no command.
func TestAScanIntoThePaletteIsAScan(t *testing.T) {
	d := drive(t, 4, 120, 40, "en")
	d.key(":")
	d.scan("WO-4712")
	if said := d.station.said(); strings.Contains(said, "start") || !strings.Contains(said, "WO-4712") && !strings.Contains(d.View(), "WO-4712") {
		t.Errorf("asked for %q:\n%s", said, d.View())
	}
}

// A label that was made to press keys does nothing: Ctrl-G is an octet (BEL) that a slow scanner sends like any other.
func TestALabelWithCtrlGDoesNothing(t *testing.T) {
	for _, speed := range []time.Duration{5, 28, 60, 90, 150, 240} {
		for _, label := range []string{":greater*999999*\r", ":open a work*WO-66 999*\r", ":close the work**\r", "oWO-4712*", "x*", "u*\r", "X*", "X**", "iOP-18*"} {
			d := drive(t, 4, 120, 40, "en")
			d.send(EventMsg{running1(1, "1", 3)})
			d.types(strings.ReplaceAll(label, "*", "\a"), speed*time.Millisecond, -1)
			if said := d.station.said(); said != "" || d.leaving {
				t.Errorf("%q with %dms: asked for %q", label, speed, said)
			}
		}
	}
}

// A scan may stop for as long as `within`, so Ctrl-G in such a stop is the octet of its label, wherever the label has it.
func TestCtrlGInAStopOfAScanDoesNothing(t *testing.T) {
	for _, label := range []string{"3", "1", "12", "OP", "x", "u", "X", ":start all", "oWO-4712"} {
		for _, stop := range []time.Duration{300, 850, 1000, 1400, 1500} {
			d := drive(t, 4, 120, 40, "en")
			d.send(EventMsg{running1(1, "1", 3)})
			d.later(forget)
			for _, r := range label {
				d.later(200 * time.Millisecond)
				d.send(pressOf(r))
			}
			d.later(stop * time.Millisecond)
			d.send(tea.KeyPressMsg{Code: 'g', Mod: tea.ModCtrl})
			if said := d.station.said(); said != "" {
				t.Errorf("%q with a stop of %d ms: asked for %q", label, stop, said)
			}
			d.shows("right behind another key")
		}
	}
}

// A person who is fast is told why, and presses Ctrl-G again.
func TestCtrlGRightBehindAnotherKeyIsPressedAgain(t *testing.T) {
	d := drive(t, 4, 120, 40, "en")
	ctrlG := tea.KeyPressMsg{Code: 'g', Mod: tea.ModCtrl}
	d.key("2")
	d.later(400 * time.Millisecond)
	d.send(ctrlG)
	d.shows("right behind another key")
	d.later(2 * time.Second)
	d.send(ctrlG)
	d.asked("start 2 by op17 for WO-4711")
}

// typesOneByOne types as a fast scanner does.
func (t *terminal) typesOneByOne(octets string) {
	t.t.Helper()
	for _, r := range octets {
		time.Sleep(5 * time.Millisecond)
		if err := t.Type(string(r)); err != nil {
			t.t.Fatal(err)
		}
	}
}

// scansUntil scans a label with the octets of F12, each time in the state that before makes, until the screen shows the answer to F12, and leaves what is open by Esc. A busy
// machine can read the octets so late that they are Esc and some characters.
func (t *terminal) scansUntil(answer string, before, scan func()) {
	t.t.Helper()
	for refused := false; !refused; t.typeText("\x1b") {
		before()
		time.Sleep(within)
		from := t.Length()
		scan()
		ctx, cancel := context.WithTimeout(t.t.Context(), 5*time.Second)
		refused = t.WaitFor(ctx, from, answer) == nil
		cancel()
	}
}

// A terminal makes F12 of the octets ESC [ 2 4 ~ of a label, which come one by one.
func TestALabelWithTheOctetsOfF12DoesNothing(t *testing.T) {
	s := newFakeStation()
	term, _, over := atTheBench(t, s)
	for _, octets := range []string{"u" + goKey, "X" + goKey + "\r"} {
		term.scansUntil("right behind another key", func() {}, func() { term.typesOneByOne(octets) })
	}
	if got := s.said(); got != "" {
		t.Errorf("a label asked for %s", got)
	}
	term.leaves(over)
}

// The first command that fits the typed words is one that can be done: "all" must not lead to stopping the line.
func TestThePaletteOffersFirstWhatCanBeDone(t *testing.T) {
	d := drive(t, 4, 120, 40, "en")
	d.facts.Automatic = false
	d.send(factsMsg{facts: d.facts})
	d.key(":")
	d.enters("all")
	d.key("go")
	d.shows("Start all bays?")
}

func TestThePaletteSaysWhichRoleACommandNeeds(t *testing.T) {
	d := drive(t, 4, 120, 40, "en")
	d.operator.Role = configs.RoleOperator
	d.key(":")
	d.shows("open a work order: only the shift leader or engineering")
	d.operator.Role = configs.RoleLead
	if strings.Contains(d.View(), "only the shift leader") {
		t.Errorf("a shift leader is sent to the shift leader:\n%s", d.View())
	}
	d.operator.Role = configs.RoleOperator
	for _, r := range "open a" {
		d.key(string(r))
	}
	d.key("go") // the panel says it before anything is typed
	d.shows("New work order and number of boards")
	d.shows("! Only the shift leader or engineering may do this.")
	d.key("esc")
	d.key("w")
	d.shows("! Only the shift leader or engineering may do this.")
}

// The question is open, nobody has typed for a while, and then somebody scans a label that begins with the octets of the go key.
func TestALabelThatBeginsWithTheGoKeyConfirmsNothing(t *testing.T) {
	for _, speed := range []time.Duration{5, 28, 60, 90, 150, 240} {
		for _, rest := range []string{"\r", "\x03", "7", "OP-18\r", "4006381333931\r", "*\r", "**"} {
			for _, opens := range []string{"x", "X", "q", "oWO-4712", ":start all"} {
				d := drive(t, 4, 120, 40, "en")
				d.send(EventMsg{running1(1, "1", 3)})
				d.enters(opens)
				d.later(forget)
				d.types(strings.ReplaceAll("*"+rest, "*", "\a"), speed*time.Millisecond, -1)
				if said := d.station.said(); strings.Contains(said, "stop") || strings.Contains(said, "drain") || strings.Contains(said, "order") || strings.Contains(said, "start") || d.leaving {
					t.Errorf("%q after %q with %dms: asked for %q", "*"+rest, opens, speed, said)
				}
			}
		}
	}
}

// A person presses Ctrl-G alone.
func TestCtrlGAloneConfirms(t *testing.T) {
	d := drive(t, 4, 120, 40, "en")
	d.send(EventMsg{running1(1, "1", 3)})
	d.key("x")
	d.later(within + time.Millisecond)
	d.send(tea.KeyPressMsg{Code: 'g', Mod: tea.ModCtrl})
	d.asked("stop 1 by op17")
}

// A terminal makes F12 of the octets ESC [ 2 4 ~ at the beginning of a label, also when a busy machine reads them together.
func TestALabelThatBeginsWithTheOctetsOfF12ConfirmsNothing(t *testing.T) {
	for name, types := range map[string]func(*terminal){
		"one by one": func(term *terminal) {
			term.typesOneByOne(goKey + "4006381333931\r")
		},
		"in one read": func(term *terminal) { term.typeText(goKey + "4006381333931\r") },
	} {
		t.Run(name, func(t *testing.T) {
			s := newFakeStation()
			term, _, over := atTheBench(t, s)
			term.scansUntil("question", func() {
				from := term.Length()
				term.typeText("X")
				term.waitForAfter(from, "Stop all")
			}, func() { types(term) })
			if got := s.said(); got != "" {
				t.Errorf("a label asked for %s", got)
			}
			term.leaves(over)
		})
	}
}
