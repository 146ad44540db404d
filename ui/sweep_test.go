package ui

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"hallmark/station"
	"hallmark/station/label"
)

// The sweep: a scanner of each speed types each label with each frame, on each screen, with a hiccup anywhere, while a Run
// ends. No character may do what a key does, and each label must have its answer.

var (
	speeds   = []time.Duration{5, 28, 32, 40, 60, 200} // milliseconds for a character
	prefixes = []string{"", "\x02", "]C1", "]d2", "\x02]Q3", "\x1d"}
	suffixes = []string{"\r", "\n", "\r\n", "\t", "\x03", "\x04", "\x03\r", "\x1e\x04\r", "\t\r"}
)

const hiccup = 900 * time.Millisecond

// A sweptLabel is a label with what it does where labels count.
type sweptLabel struct {
	text, asks, shows string
}

func sweptLabels() []sweptLabel {
	board := boardOf(7).String()
	plain := strings.ReplaceAll(board, "-", "")
	starts := "start 1 by op17 for WO-4711 expecting " + short(board)
	return []sweptLabel{
		{"OP-18", "sign in op18; sign out op17: another operator signed in", "Signed in: J. Weiß"},
		{"WO-4712", "order WO-4712 by op17", "Work order WO-4712"},
		{"BAY-5", "", "Bay 5"},
		{board, starts, "Bay 1: board " + short(board) + " starts"},
		{strings.ToUpper(board), starts, "starts"},
		{plain, starts, "starts"},
		{"https://example.com/d/" + board, starts, "starts"},
		{`{"id":"` + board + `","o":"qXOuiw"}`, starts, "starts"},
		{"010401234567890121" + plain + "\x1d10LOTq", starts, "starts"},
		{"op-18", "sign in op18; sign out op17: another operator signed in", "Caps lock is on"},
		{strings.ReplaceAll(board, "-", "ß"), "", "Wrong keyboard: scanner US, computer German: ß came for -."},
		{"4006381333931", "", "not for this station: 4006381333931"},
		{"XsqXkrdOua1w2yoi/", "", "not for this station: XsqXkrdOua1w2yoi/"},
	}
}

// A sweptScreen is what the screen shows before the scan.
type sweptScreen struct {
	name  string
	opens func(d *driver)
	says  string // the answer to every label, where labels do not count; empty: they count
	badge bool   // badges count nevertheless
}

const questionOpen = "A question is open"

func sweptScreens() []sweptScreen {
	keys := func(keys ...string) func(d *driver) {
		return func(d *driver) {
			for _, key := range keys {
				d.key(key)
			}
		}
	}
	all := []sweptScreen{
		{name: "bench", opens: keys()}, {name: "history", opens: keys("h")}, {name: "log", opens: keys("l")}, {name: "numbers", opens: keys("n")},
		{name: "doctor", opens: keys("d")}, {name: "help", opens: keys("?")}, {name: "a badge is typed", opens: func(d *driver) {
			d.field = &field{purpose: fieldBadge}
		}},
		{name: "a work order is typed", opens: keys("o")},
		{name: "the palette", opens: keys(":")},
		{name: "a work order is opened", opens: keys(":", "open a work", "go")},
		{name: "a quota is raised", opens: keys(":", "greater", "go")},
		{name: "help over the history", opens: keys("h", "?")},
		{name: "detail from the history", opens: func(d *driver) {
			d.station.rows = []Row{{Bay: "1"}}
			d.key("h")
			if d.key("enter"); d.screen != screenDetail {
				d.t.Fatal("no detail")
			}
		}},
		{name: "detail", opens: func(d *driver) {
			d.send(EventMsg{ended(3, "1", station.Fault, "no-answer")})
			d.key("enter")
		}},
		{name: "locked", opens: func(d *driver) { d.locked = true }, says: "the screen is locked", badge: true},
		{name: "start", opens: func(d *driver) { d.screen = screenStart }, says: "Begin the shift first", badge: true},
	}
	for question, words := range map[string]string{"start all": "start all", "close the order": "close the work"} {
		all = append(all, sweptScreen{name: "question " + question, says: questionOpen, opens: func(d *driver) {
			d.key(":")
			d.enters(words)
			if d.key("go"); d.dialog == nil {
				d.t.Fatalf("no question %s", question)
			}
		}})
	}
	for question, prepare := range map[string]func(d *driver){
		"q": nil, "X": nil, "u": nil, "O": nil, "w": nil, "k": nil,
		"x":                       func(d *driver) { d.send(EventMsg{running1(3, "1", 3)}) },
		"a":                       func(d *driver) { d.bays[0].facts.Stopped = "clone" },
		"k for a bay that is out": func(d *driver) { d.bays[0].facts.Skipped = "jig" },
		"u while it is on":        func(d *driver) { d.facts.Automatic = true },
	} {
		all = append(all, sweptScreen{name: "question " + question, says: questionOpen, opens: func(d *driver) {
			if prepare != nil {
				prepare(d)
			}
			if d.key(question[:1]); d.dialog == nil {
				d.t.Fatalf("no question %s", question)
			}
		}})
	}
	slices.SortFunc(all, func(a, b sweptScreen) int { return strings.Compare(a.name, b.name) })
	return all
}

// sweeper opens a screen with patterns for labels.
func sweeper(t *testing.T) *driver {
	t.Helper()
	d := drive(t, 8, 120, 40, "en")
	for _, text := range []string{`(?P<board>[0-9a-fA-F]{32})`, `https://example\.com/d/(?P<board>[0-9a-fA-F-]{36})`, `\{.*"id":"(?P<board>[0-9a-fA-F-]{36})".*\}`,
		`01\d{14}21(?P<board>[0-9a-fA-F]{32})(?:\x1d.*)?`} {
		p, err := label.ParsePattern(text)
		if err != nil {
			t.Fatal(err)
		}
		d.o.Labels.Patterns = append(d.o.Labels.Patterns, p)
	}
	return d
}

// again gives the screen as it was, with the same station, which was asked for nothing yet.
func (d *driver) again() *driver {
	hour, next := *d.hour, *d
	next.hour, next.station.asked = &hour, nil
	next.clock = func() time.Time { return hour }
	return &next
}

// pressOf is the key that a terminal makes of a character.
func pressOf(r rune) tea.KeyPressMsg {
	switch {
	case r == '\r':
		return tea.KeyPressMsg{Code: tea.KeyEnter}
	case r == '\t':
		return tea.KeyPressMsg{Code: tea.KeyTab}
	case r >= 0x1b && r < ' ':
		return tea.KeyPressMsg{Code: r + '@', Mod: tea.ModCtrl}
	case r < ' ':
		return tea.KeyPressMsg{Code: r + '`', Mod: tea.ModCtrl}
	}
	return tea.KeyPressMsg{Code: r, Text: string(r)}
}

// types types as a scanner does. Before the character at stutter it stops for a while, and then a Run ends.
func (d *driver) types(text string, speed time.Duration, stutter int) {
	d.t.Helper()
	d.typesWhile(text, speed, stutter, stutter)
}

// typesWhile is types with a Run that ends before the character at runEnds.
func (d *driver) typesWhile(text string, speed time.Duration, stutter, runEnds int) {
	d.t.Helper()
	d.later(within + time.Second)
	for i, r := range []rune(text) {
		if d.later(speed); d.goHeld != nil && d.hour.Sub(d.goHeld.at) >= slow {
			d.send(goMsg{d.goTurn})
		}
		if i == stutter {
			d.later(hiccup)
		}
		if i == runEnds {
			d.send(EventMsg{ended(100+i, "3", station.Pass, "")})
		}
		next, cmd := d.Update(pressOf(r))
		d.Model = next.(Model)
		if n := len(d.held.chars); d.goHeld == nil && (n == 0 || d.held.chars[n-1].before != nil) {
			d.doNow(cmd)
		}
	}
}

// doNow runs commands that are no timers.
func (d *driver) doNow(cmd tea.Cmd) {
	d.t.Helper()
	if cmd == nil {
		return
	}
	switch msg := cmd().(type) {
	case nil:
	case tea.BatchMsg:
		for _, one := range msg {
			d.doNow(one)
		}
	default:
		next, more := d.Update(msg)
		d.Model = next.(Model)
		d.doNow(more)
	}
}

// answers checks what a scan did, and that its answer is on the screen, and stays there.
func (d *driver) answers(where sweptScreen, l sweptLabel, how string) bool {
	d.t.Helper()
	asks, shows := l.asks, l.shows
	badge := strings.HasPrefix(strings.ToUpper(l.text), "OP-")
	unreadable := asks == "" && !strings.HasPrefix(l.text, "BAY-")
	if where.says != "" && (where.says == questionOpen || !unreadable) && !(where.badge && badge) {
		asks, shows = "", where.says
	}
	d.now = d.now.Add(time.Hour)
	_, shown := d.message()
	asked := d.station.said()
	if asked == asks && strings.Contains(shown, shows) && !d.leaving {
		return true
	}
	d.t.Errorf("%s, %q, %s: asked for %q, want %q; want the answer %q on\n%s", where.name, l.text, how, asked, asks, shows, d.View())
	return false
}

// Each label is typed on each screen at each speed, and with a hiccup before each of its characters and of its frame. Prefix, suffix, the
// speed of the scans with a hiccup, and the character at which a Run ends go round, so that each pair of speed, prefix and suffix comes on each screen.
func TestNoCharacterOfAScanIsAKeyOnAnyScreen(t *testing.T) {
	turn := 0
	for _, where := range sweptScreens() {
		t.Run(where.name, func(t *testing.T) {
			open := sweeper(t)
			where.opens(open)
			for _, l := range sweptLabels() {
				for stutter := -1; ; stutter++ {
					prefix, suffix := prefixes[turn/7%len(prefixes)], suffixes[turn%len(suffixes)]
					if wrongKeyboard(l, prefix) {
						prefix = ""
					}
					text := prefix + l.text + suffix
					length := len([]rune(text))
					if stutter > length {
						break
					}
					some := speeds[turn/5%len(speeds):][:1]
					if stutter < 0 {
						some = speeds
					}
					for _, speed := range some {
						runEnds := turn * 3 % length
						turn++
						d := open.again()
						d.typesWhile(text, speed*time.Millisecond, stutter, runEnds)
						if !d.answers(where, l, fmt.Sprintf("%d ms, prefix %q, suffix %q, hiccup before %d, a Run ends before %d", speed, prefix, suffix, stutter, runEnds)) {
							return
						}
					}
				}
			}
		})
	}
}

// wrongKeyboard reports whether the prefix cannot stand before this label: on a German keyboard, "]" comes as "+".
func wrongKeyboard(l sweptLabel, prefix string) bool {
	return strings.Contains(l.text, "ß") && strings.Contains(prefix, "]")
}

func TestEveryFrameOfAScanIsTakenAway(t *testing.T) {
	bench, open := sweptScreen{name: "bench"}, sweeper(t)
	for _, prefix := range prefixes {
		for _, suffix := range suffixes {
			for _, l := range sweptLabels() {
				if wrongKeyboard(l, prefix) {
					continue
				}
				for _, speed := range []time.Duration{5, 60, 200} {
					for _, stutter := range []int{-1, 0, len(prefix), len(prefix) + 2, len(prefix + l.text), len(prefix+l.text) + 1} {
						d := open.again()
						d.types(prefix+l.text+suffix, speed*time.Millisecond, stutter)
						if !d.answers(bench, l, fmt.Sprintf("%d ms, prefix %q, suffix %q, hiccup before %d", speed, prefix, suffix, stutter)) {
							return
						}
					}
				}
			}
		}
	}
}
