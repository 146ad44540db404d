package ui

import (
	"fmt"
	"strings"
	"testing"
)

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
