package ui

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"

	tea "charm.land/bubbletea/v2"

	"hallmark/station"
	"hallmark/ui/catalogue"
)

func TestHSMAwayPausesAndComesBack(t *testing.T) {
	d := drive(t, 4, 120, 24, "en")
	d.send(EventMsg{ended(1, "1", station.Pass, "")})
	d.station.facts.HSM = HSM{State: HSMAway, Detail: "token unplugged"}
	d.send(factsMsg{facts: d.station.facts})
	d.shows("HSM AWAY: the line waits and goes on by itself when it is back. token unplugged")
	d.station.facts.HSM = HSM{State: HSMSoftware}
	d.send(factsMsg{facts: d.station.facts})
	d.shows("SOFTWARE TOKEN")
	for _, key := range []string{"h", "esc", "n", "esc", "l", "esc", "?"} {
		d.key(key)
		d.shows("SOFTWARE TOKEN")
	}
}

func TestControlBytesAndForeignTextStayInTheirTile(t *testing.T) {
	nasty := "\x1b[2J\x1b]0;pwned\x07\u202eabc\u0301日本語\xff\xfe\r\nnext"
	for _, ascii := range []bool{false, true} {
		s := newFakeStation()
		o := options(t, s, 3, "de")
		o.BayNames, o.ASCII, o.Station, o.Colour = []string{nasty, "2", "Prüfplatz für lange Namen und noch mehr"}, ascii, nasty, false
		d := open(t, s, o, 80, 24)
		d.screen = screenDashboard
		e := ended(1, nasty, station.Fault, "no-answer")
		e.Snap.Console, e.Snap.Err, e.Snap.Reason = []byte(nasty), errors.New(nasty), nasty
		d.facts.Order.ID, d.operator = nasty, Operator{ID: "x", Name: nasty}
		d.send(EventMsg{e}, feedMsg{logs: []LogLine{{At: at(0), Level: nasty, Text: nasty}}})
		for _, key := range []string{"", "enter", "esc", "l", "esc", "n", "esc", "?"} {
			d.key(key)
			screen := d.View()
			fits(t, screen, 80, 24)
			for _, r := range screen {
				if r != '\n' && (r < 0x20 || r == 0x7f || r == 0x202e || ascii && r > 0x7e) {
					t.Fatalf("ascii %t: screen has %U", ascii, r)
				}
			}
		}
	}
}

// Names and labels with wide, combining and invisible characters, and with another direction, move nothing from its place: 32 bays
// at the smallest size, the history, the palette and a panel.
func TestForeignTextMovesNothingFromItsPlace(t *testing.T) {
	nasty := "日本\u202e語e\u0301\u200b\u200d👩\u200d🔧ﷺ"
	s := newFakeStation()
	o := options(t, s, 32, "es")
	for i := range o.BayNames {
		o.BayNames[i] = fmt.Sprintf("%s-%d", nasty, i+1)
	}
	for range 5 {
		s.rows = append(s.rows, Row{At: at(0), Bay: nasty, BoardID: nasty, Serial: nasty, Order: nasty, Operator: nasty, Ending: station.Reject, Reason: nasty})
	}
	d := open(t, s, o, 60, 16)
	d.screen = screenDashboard
	d.operator = s.badges["OP-17"]
	d.facts.Order.ID = nasty
	for i, name := range o.BayNames {
		d.send(EventMsg{ended(i, name, station.Fault, nasty)})
	}
	for _, size := range [][2]int{{60, 16}, {80, 24}, {120, 40}} {
		d.send(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
		for i := range d.bays {
			d.selected = i
			fits(t, d.View(), size[0], size[1])
			if !strings.Contains(d.View(), d.bayKey(i)) {
				t.Errorf("%v: bay %d is not on the screen", size, i+1)
			}
		}
		for _, key := range []string{"h", "/", nasty, "esc", "esc", ":", nasty, "esc", "o", nasty, "esc", "enter", "esc"} {
			d.key(key)
			screen := d.View()
			fits(t, screen, size[0], size[1])
			if i := strings.IndexFunc(screen, func(r rune) bool { return r == 0x202e || r == 0x200b || r == 0x200d || unicode.Is(unicode.Mn, r) }); i >= 0 {
				t.Errorf("%v: after %q the screen has %q", size, key, screen[i:i+4])
			}
		}
	}
}

func TestResizeAtAnyTime(t *testing.T) {
	d := drive(t, 32, 200, 50, "de")
	for _, e := range mixed(32) {
		d.send(EventMsg{e})
	}
	for _, key := range []string{"", "n", "esc", "h", "esc", "l", "esc", "enter", "esc", "?", "esc", "q"} {
		d.key(key)
		for w := 1; w <= 210; w += 23 {
			for h := 1; h <= 55; h += 7 {
				d.send(tea.WindowSizeMsg{Width: w, Height: h})
				fits(t, d.View(), w, h)
			}
		}
	}
	d.send(tea.WindowSizeMsg{Width: 59, Height: 16})
	d.shows("Terminal zu klein: 59 x 16")
	d.key("esc")
	d.send(tea.WindowSizeMsg{Width: 60, Height: 16})
	d.shows("30 ")
}

func TestEachBayIsOnEachScreenThatIsLargeEnough(t *testing.T) {
	for _, bays := range []int{1, 2, 3, 5, 8, 9, 10, 16, 24, 31, 32} {
		for _, size := range [][2]int{{60, 16}, {80, 24}, {100, 30}, {132, 43}, {200, 50}} {
			d := drive(t, bays, size[0], size[1], "en")
			for i := range bays {
				d.selected = i
				a := d.arrange(d.body())
				if a.first > i || a.first+a.tiles <= i && a.tiles > 0 {
					t.Errorf("%d bays on %v: chosen bay %d has no tile in %+v", bays, size, i+1, a)
				}
				screen := d.View()
				for j := range bays {
					if !strings.Contains(screen, d.bayKey(j)) {
						t.Errorf("%d bays on %v: bay %d is not on the screen", bays, size, j+1)
					}
				}
			}
			if size[0] == 80 && bays == 8 && d.arrange(d.body()).tiles != 8 || size[0] == 200 && d.arrange(d.body()).tiles != bays {
				t.Errorf("%d bays on %v: %+v", bays, size, d.arrange(d.body()))
			}
		}
	}
}

func TestAPanicInAViewKeepsTheProgram(t *testing.T) {
	d := drive(t, 4, 80, 24, "en")
	d.detail.run = station.Run{}
	d.screen, d.selected = screenDashboard, 99 // a state that cannot be
	d.shows("The screen has an error, Runs go on")
	d.send(tea.KeyPressMsg{Code: tea.KeyEnter}) // Update panics as well and keeps the model
	d.selected = 0
	d.shows("waiting")
}

func TestTheLastResultStaysUntilTheNextBoard(t *testing.T) {
	d := drive(t, 4, 80, 24, "en")
	d.send(EventMsg{ended(1, "2", station.Reject, "store-io")})
	for i := range 10 {
		d.send(tickMsg{at: at(float64(60 * i))}, factsMsg{facts: d.station.facts})
	}
	d.shows("Set aside for rework")
	late := running1(1, "2", 8)
	d.send(EventMsg{late})
	d.shows("Set aside for rework")
	d.send(EventMsg{running1(2, "2", 0)})
	if strings.Contains(d.View(), "Set aside") {
		t.Error("an old result beside a new board")
	}
}

func TestShiftNumbers(t *testing.T) {
	s := newShift(at(0))
	for i := range 12 {
		e := ended(i%10, "1", station.Pass, "")
		e.Snap.Finished = at(float64(60 * (i + 1)))
		if i == 3 {
			e = ended(3, "1", station.Fault, "no-answer")
		}
		before := s
		s = s.add(e.Snap)
		if len(before.passes) > len(s.passes) || before.endings[station.Pass] > s.endings[station.Pass] {
			t.Fatal("add changed the value before")
		}
	}
	now := at(12 * 60)
	if got := s.perHour(now); got < 44.9 || got > 45.1 {
		t.Errorf("boards per hour %.2f, want 9 in 12 min = 45: two came twice, one never passed", got)
	}
	if good, all := s.firstPass(); good != 9 || all != 10 {
		t.Errorf("first pass %d/%d, want 9/10", good, all)
	}
	if s.busiest != "handshake" && s.busiest != "sign" {
		t.Errorf("bottleneck %q", s.busiest)
	}
	total := 0
	for _, n := range s.spark(now, 7) {
		total += n
	}
	if total != 9 {
		t.Errorf("sparkline has %d boards, want 9", total)
	}
}

func TestFeedCoalesces(t *testing.T) {
	f := NewFeed(time.Millisecond)
	for i := range 32 {
		for step := range 9 {
			f.Push(running1(i, fmt.Sprint(i), step))
		}
		f.Push(ended(i, fmt.Sprint(i), station.Pass, ""))
	}
	msg := f.next(t.Context())().(feedMsg)
	if len(msg.events) != 32 {
		t.Errorf("%d events wait, want the end of each of 32 Runs", len(msg.events))
	}
	for range 10 * keptEvents {
		f.Log(LogLine{})
	}
	if n := len(f.take().logs); n != keptLogLines {
		t.Errorf("%d log lines wait", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if msg := NewFeed(0).next(ctx)(); msg != nil {
		t.Errorf("got %v from a feed that ended", msg)
	}
}

func TestChecksThatTheOperatorLeftAreForgotten(t *testing.T) {
	d := drive(t, 4, 80, 24, "en")
	stopped := false
	d.screen = screenDoctor
	d.Model, _ = d.checkAgain()
	late := checkMsg{turn: d.checks.turn, check: Check{Name: "late"}, rest: closedChecks(), stop: func() { stopped = true }}
	d.key("esc")
	d.send(late)
	if !stopped || len(d.checks.checks) != 0 || d.checks.done {
		t.Errorf("a check of a screen that the operator left counts: %+v", d.checks)
	}
}

// A witness that is away is a warning in the header of each page, and stops nothing.
func TestAWitnessThatIsAwayIsInTheHeader(t *testing.T) {
	for language, want := range map[string]string{"en": "NO WITNESS", "de": "KEIN ZEUGE"} {
		d := drive(t, 4, 120, 24, language)
		d.station.facts.Unwitnessed = "hq: the witness does not answer"
		d.send(factsMsg{facts: d.station.facts})
		for _, key := range []string{"h", "esc", "n", "esc", "l"} {
			d.key(key)
			d.shows(want)
		}
	}
}

// On a terminal that is too small nobody sees what the go key would do. A question is shown at any size, so it can be answered.
func TestOnATooSmallTerminalTheGoKeyDoesOnlyWhatItShows(t *testing.T) {
	for _, language := range catalogue.Languages() {
		d := drive(t, 4, 40, 10, language)
		d.key("go")
		if d.key("w"); d.dialog == nil {
			t.Fatal("no question about rework")
		}
		d.key("1")
		d.key("go")
		if asked := d.station.said(); asked != "" {
			t.Errorf("%s: the go key did %q unseen", language, asked)
		}
		d.key("esc")
		d.key("go")
		d.shows(d.Model.t("small.go", d.keys.Go.show)[:20])
		d.key("O")
		d.shows(d.dialog.title)
		d.shows(d.keys.Go.show + " " + d.keys.Go.does)
		d.key("go")
		if asked := d.station.said(); !strings.HasPrefix(asked, "sign out") {
			t.Errorf("%s: the question was answered with %q", language, asked)
		}
	}
}
