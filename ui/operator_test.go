package ui

import (
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"hallmark/station"
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
