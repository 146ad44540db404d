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
	d.later(within + time.Second)
	for i, r := range []rune(text) {
		if d.later(speed); d.goHeld != nil && d.hour.Sub(d.goHeld.at) >= slow {
			d.send(goMsg{d.goTurn})
		}
		if i == stutter {
			d.later(hiccup)
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

func TestNoCharacterOfAScanIsAKeyOnAnyScreen(t *testing.T) {
	frame := 0
	for _, where := range sweptScreens() {
		t.Run(where.name, func(t *testing.T) {
			open := sweeper(t)
			where.opens(open)
			for _, l := range sweptLabels() {
				for _, speed := range speeds {
					for stutter := -1; stutter <= len(l.text)+1; stutter += 2 + frame%4 {
						frame++
						suffix := suffixes[frame%len(suffixes)]
						d := open.again()
						d.types(l.text+suffix, speed*time.Millisecond, stutter)
						if !d.answers(where, l, fmt.Sprintf("%d ms, suffix %q, hiccup before %d", speed, suffix, stutter)) {
							return
						}
					}
				}
			}
		})
	}
}

func TestEveryFrameOfAScanIsTakenAway(t *testing.T) {
	bench, open := sweptScreen{name: "bench"}, sweeper(t)
	for _, prefix := range prefixes {
		for _, suffix := range suffixes {
			for _, l := range sweptLabels() {
				if strings.Contains(l.text, "ß") && strings.Contains(prefix, "]") {
					continue // on a German keyboard, "]" comes as "+"
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

// A label of somebody else may hold a label of this station, such as the badge in SHOP-18. It is read as a whole, wherever the scan stops
// for a while. A stop behind its first character looks like the key of a person in front of a scan, and then nothing is done either.
func TestALabelInsideOfAnotherLabelCountsForNothing(t *testing.T) {
	open := sweeper(t)
	for _, text := range []string{"SHOP-18", "TWO-4712", "3WO-4712", "EBAY-5", "00" + strings.ReplaceAll(boardOf(7).String(), "-", ""), boardOf(7).String() + boardOf(7).String()} {
		for _, speed := range speeds {
			for stutter := -1; stutter <= len(text); stutter++ {
				d := open.again()
				d.types(text+"\r", speed*time.Millisecond, stutter)
				_, shown := d.message()
				answered := strings.Contains(shown, "not for this station") || stutter == 1 && strings.Contains(shown, "scan again")
				// A short label of a slow scanner that stops may count as keys, which show something.
				keys := speed == 200 && stutter > 0 && len(text) < many
				selected := 0
				if stutter == 1 && text[0] == '3' { // the key of a person would have chosen this bay
					selected = 2
				}
				if d.station.said() != "" || !keys && (!answered || d.selected != selected || d.screen != screenDashboard) {
					t.Errorf("%s, %d ms, hiccup before %d: asked for %q, answers %q, bay %d", text, speed, stutter, d.station.said(), shown, d.selected)
				}
			}
		}
	}
}

// A QR code holds up to 7,089 characters (ISO/IEC 18004).
func TestALongLabelIsOneLabel(t *testing.T) {
	board := boardOf(7).String()
	for text, asks := range map[string]string{
		strings.Repeat("O", 600) + "OP-18":                                 "",
		strings.Repeat("x", 4096):                                          "",
		strings.Repeat("1", 8000):                                          "",
		`{"pad":"` + strings.Repeat("y", 3000) + `","id":"` + board + `"}`: "start 1 by op17 for WO-4711 expecting " + short(board),
	} {
		for _, speed := range []time.Duration{5, 100} {
			if len(text) > 4000 && speed == 100 {
				continue // takes long
			}
			d := sweeper(t)
			d.o.IdleLock = 0
			d.types(text+"\r", speed*time.Millisecond, -1)
			_, shown := d.message()
			if d.station.said() != asks || asks == "" && !strings.Contains(shown, "not for this station") || d.screen != screenDashboard || d.dialog != nil {
				t.Errorf("%.20s, %d characters, %d ms: asked for %q, answers %.60q on screen %d", text, len(text), speed, d.station.said(), shown, d.screen)
			}
		}
	}
}

// A scan while a search is typed is searched for. None of its characters is a key, whatever ends it.
func TestAScanIsATextToSearchFor(t *testing.T) {
	for _, l := range sweptLabels() {
		want := l.text
		if strings.Contains(l.asks, "expecting") {
			want = boardOf(7).String()
		}
		for _, speed := range speeds {
			for n, suffix := range suffixes {
				d := sweeper(t)
				d.key("h")
				d.key("/")
				d.types(l.text+suffix, speed*time.Millisecond, n)
				searched := d.history.query.Text
				if d.station.said() != "" || d.leaving || d.dialog != nil || d.screen != screenHistory || searched != want || d.field != nil {
					t.Fatalf("%q, suffix %q, %d ms: asked for %q, searches %q on\n%s", l.text, suffix, speed, d.station.said(), searched, d.View())
				}
			}
		}
	}
}

// A scan may stop for a while, so a scan that begins sooner after a key is not known to begin there. It is refused, and its repetition is read.
func TestAScanAfterAKeyOfAPersonIsStillRead(t *testing.T) {
	const signsIn = "sign in op18; sign out op17: another operator signed in"
	for _, key := range []string{"n", "h", "3", "?", "q", "/", "o", "z"} {
		for _, speed := range speeds {
			for _, soon := range []bool{false, true} {
				d := sweeper(t)
				d.key(key)
				if soon {
					d.later(-within) // the scan begins a second after the key
				}
				d.types("OP-18\r", speed*time.Millisecond, -1)
				if soon && key != "q" && key != "/" {
					d.asked("")
					d.shows("scan again")
					d.types("OP-18\r", speed*time.Millisecond, -1)
				}
				want := signsIn
				if key == "q" || key == "/" && soon {
					want = "" // a question is open, and a text in the search is searched for
				}
				if d.station.said() != want {
					t.Errorf("%s, soon %v, then a scan of %d ms: asked for %q, want %q", key, soon, speed, d.station.said(), want)
				}
			}
		}
	}
}

// The bay that a person chose stays chosen when the scan behind it must be repeated. With more than nine bays two digits choose a bay.
func TestAScanAfterTheNumberOfABayStartsThisBay(t *testing.T) {
	board := boardOf(7).String()
	for _, test := range []struct {
		bays   int
		number string
		apart  time.Duration // between two digits
	}{{8, "3", 0}, {12, "12", 150}, {12, "12", 200}, {12, "12", 400}} {
		for _, pause := range []time.Duration{400, 1000, 2000, 4000} {
			d := drive(t, test.bays, 200, 50, "en")
			for _, digit := range test.number {
				d.later(test.apart * time.Millisecond)
				d.send(keyPress(string(digit)))
			}
			d.later(pause*time.Millisecond - within - time.Second)
			d.types(board+"\r", 5*time.Millisecond, -1)
			if pause*time.Millisecond <= within {
				d.asked("")
				d.shows("scan again")
				d.types(board+"\r", 5*time.Millisecond, -1)
			}
			d.asked("start " + test.number + " by op17 for WO-4711 expecting " + short(board))
		}
	}
}

func TestNoScanIsTriedAsAPIN(t *testing.T) {
	for _, l := range sweptLabels() {
		for _, speed := range speeds {
			for _, suffix := range suffixes {
				s := newFakeStation()
				o := options(t, s, 4, "en")
				o.Opener = s
				d := open(t, s, o, 80, 24)
				d.key("47")
				d.types(l.text+suffix, speed*time.Millisecond, -1)
				if len(s.pins) > 0 || len(d.field.text) > 0 || d.station.said() != "" {
					t.Fatalf("%q, suffix %q: PINs %q, typed %q, asked for %q", l.text, suffix, s.pins, string(d.field.text), d.station.said())
				}
			}
		}
	}
}

func TestAScanWithAConfiguredPrefix(t *testing.T) {
	for _, speed := range speeds {
		d := sweeper(t)
		d.o.Labels.Before, d.o.Labels.After = "~", "#"
		d.types("~OP-18#", speed*time.Millisecond, -1)
		d.asked("sign in op18; sign out op17: another operator signed in")
		d.types("WO-4712#", speed*time.Millisecond, -1)
		d.shows("No prefix: not from the scanner")
		d.asked("sign in op18; sign out op17: another operator signed in")
	}
}

// A scanner that types no enter: its suffix alone ends a scan. A key of a person that is the suffix ends nothing.
func TestTheConfiguredSuffixEndsAScan(t *testing.T) {
	for _, suffix := range []string{"#", "##", "\x1e", "\x1e\x04", "#\r"} {
		for _, speed := range speeds {
			for stutter := -1; stutter < 6; stutter++ {
				d := sweeper(t)
				d.o.Labels.After = strings.TrimSuffix(suffix, "\r")
				d.types("OP-18"+suffix, speed*time.Millisecond, stutter)
				d.asked("sign in op18; sign out op17: another operator signed in")
				if d.shows("Signed in: J. Weiß"); d.dialog != nil || len(d.held.chars) > 0 {
					t.Errorf("suffix %q, %d ms: a question is open, or characters are held", suffix, speed)
				}
			}
			d := sweeper(t)
			d.o.Labels.After = strings.TrimSuffix(suffix, "\r")
			d.key("h")
			d.key("/")
			d.types("4711"+suffix, speed*time.Millisecond, -1)
			if d.history.query.Text != "4711" || d.field != nil {
				t.Errorf("suffix %q, %d ms: searches for %q", suffix, speed, d.history.query.Text)
			}
		}
	}
	d := sweeper(t)
	d.o.Labels.After = "#"
	d.key("h")
	d.later(300 * time.Millisecond)
	d.key("#")
	if d.screen != screenHistory {
		t.Error("the keys of a person were read as a scan")
	}
}

// The suffix of the scanner may stand in a label of somebody else. What comes behind it is no label.
func TestTheConfiguredSuffixInsideOfAnotherLabelCountsForNothing(t *testing.T) {
	const signsIn = "sign in op18; sign out op17: another operator signed in"
	for _, suffix := range []string{"#", "##", "\x1e"} {
		for _, end := range []string{"", "\r"} {
			for _, speed := range speeds {
				d := sweeper(t)
				d.o.Labels.After = suffix
				d.types("SHOP"+suffix+"OP-18"+suffix+end, speed*time.Millisecond, -1)
				d.asked("")
				d.types("OP-18"+suffix+end, speed*time.Millisecond, -1)
				if d.station.said() != signsIn {
					t.Errorf("suffix %q, end %q, %d ms: the next label asks for %q", suffix, end, speed, d.station.said())
				}
			}
		}
	}
}

// A text that a person types into a field of an action may hold the suffix.
func TestTheConfiguredSuffixEndsOnlyFieldsForLabels(t *testing.T) {
	for purpose, ends := range map[fieldPurpose]bool{fieldOrder: true, fieldSearch: true, fieldOpenOrder: false, fieldRaiseOrder: false, fieldPalette: false} {
		d := sweeper(t)
		d.o.Labels.After = "#"
		d.field = &field{purpose: purpose}
		d.types("WO-4712#", 5*time.Millisecond, -1)
		if open := d.field != nil && string(d.field.text) == "WO-4712#"; open == ends {
			t.Errorf("field %d: the suffix is typed %v, ends %v", purpose, open, ends)
		}
	}
}

// A label may hold the octets that a terminal sends for the go key, or the scanner may send the key in the middle of a label.
func TestTheGoKeyInTheMiddleOfAScanDoesNothing(t *testing.T) {
	for _, speed := range speeds {
		d := sweeper(t)
		d.types("1234", speed*time.Millisecond, -1)
		d.later(speed * time.Millisecond)
		d.send(tea.KeyPressMsg{Code: tea.KeyF12})
		d.asked("")
		d.shows("The scan was cut off")
	}
}

func TestTheAnswerToAScanStaysUntilTheNextAction(t *testing.T) {
	d := sweeper(t)
	d.o.IdleLock = 0
	d.types("4006381333931\r", 5*time.Millisecond, -1)
	d.send(tickMsg{at: at(3600)})
	d.shows("not for this station")
	d.send(factsMsg{facts: Facts{HSM: HSM{State: HSMAway}}})
	d.shows("HSM AWAY: the line waits") // that is more urgent by now
	d.send(factsMsg{facts: d.station.facts})
	d.shows("not for this station")
	d.key("right")
	if strings.Contains(d.View(), "not for this station") {
		t.Error("the answer is still there after the next key")
	}
}

func TestASerialNumberFindsItsBoard(t *testing.T) {
	d := sweeper(t)
	p, err := label.ParsePattern(`SN(?P<serial>[0-9a-f]{8})`)
	if err != nil {
		t.Fatal(err)
	}
	d.o.Labels.Patterns = []label.Pattern{p}
	board := boardOf(7).String()
	d.station.rows = []Row{{Serial: "994f12aa00", BoardID: boardOf(8).String()}, {Serial: "004f12aa00", BoardID: board}}
	d.types("SN4f12aa00\r", 5*time.Millisecond, -1)
	d.asked("start 1 by op17 for WO-4711 expecting " + short(board))
	d.station.rows = nil
	d.types("SN4f12aa01\r", 5*time.Millisecond, -1)
	d.shows("No certificate has the serial number 4f12aa01")
}
