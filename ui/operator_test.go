package ui

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"hallmark/station"
	"hallmark/ui/catalogue"
)

func TestADigitStartsItsBay(t *testing.T) {
	d := drive(t, 8, 80, 24, "en")
	d.key("3")
	d.asked("start 3 by op17 for WO-4711")
}

func TestTwoDigitsOnABenchWithMoreThanNineBays(t *testing.T) {
	d := drive(t, 32, 200, 50, "en")
	d.key("12")
	d.asked("start 12 by op17 for WO-4711")
	d.key("40")
	d.shows("There is no bay 40")
	d.key("1")
	d.send(digitMsg{"1"}) // the second digit never came
	d.key("02")
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

func TestAScanIsNeverAShortcut(t *testing.T) {
	for _, label := range []string{"q", "XsqXkrd123", "123456789", "yjyjyj", "O"} {
		d := drive(t, 8, 80, 24, "en")
		d.scan(label)
		if d.dialog != nil || d.screen != screenBench || d.operator.ID == "" {
			t.Errorf("scan %q did what a key does", label)
		}
		d.asked("")
	}
}

func TestAScanInOnePieceAndAScanWithAPause(t *testing.T) {
	d := drive(t, 8, 80, 24, "en")
	d.send(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("WO-4712")}, tea.KeyMsg{Type: tea.KeyEnter})
	d.asked("order WO-4712 by op17")

	d = drive(t, 8, 80, 24, "en")
	d.send(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("WO-")})
	d.send(heldMsg{d.held.turn - 1}) // the timer of an earlier character
	d.send(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("4712")}, tea.KeyMsg{Type: tea.KeyEnter})
	d.asked("order WO-4712 by op17")

	d = drive(t, 8, 80, 24, "en")
	d.send(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("WO-Xq")}, heldMsg{1})
	d.asked("")
	d.shows("The scan was cut off")
}

func TestPastedTextIsRefused(t *testing.T) {
	d := drive(t, 8, 80, 24, "en")
	d.send(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("WO-4712\nXy"), Paste: true})
	d.asked("")
	d.shows("Pasted text is not taken")
	d.key("h")
	d.key("/")
	d.send(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("11176\x1b[2J"), Paste: true})
	d.key("enter")
	if got := d.stand.queries[len(d.stand.queries)-1].Text; got != "11176?[2J" {
		t.Errorf("searched for %q", got)
	}
}

func TestADialogIsConfirmedOnlyByItsKey(t *testing.T) {
	for language, yes := range map[string]string{"en": "y", "de": "j"} {
		d := drive(t, 8, 80, 24, language)
		d.send(EventMsg{running1(1, "1", 2)})
		d.key("x")
		for _, key := range []string{"enter", " ", "x", "q", "s", "1"} {
			d.key(key)
		}
		d.scan(yes)
		d.scan("WO-4712")
		d.scan("OP-18")
		if d.dialog == nil {
			t.Fatalf("%s: a stray key or a scan closed the dialog", language)
		}
		d.asked("")
		d.key(yes)
		d.asked("stop 1 by op17")
	}
}

func TestADialogWhoseRunHasEndedDoesNothing(t *testing.T) {
	d := drive(t, 8, 80, 24, "en")
	d.send(EventMsg{running1(1, "1", 2)})
	d.key("x")
	d.send(EventMsg{ended(1, "1", station.Pass, "")}, EventMsg{running1(2, "1", 1)})
	d.key("y")
	d.asked("")
	d.shows("The Run has ended by itself")
}

func TestSkippingNeedsAReason(t *testing.T) {
	d := drive(t, 8, 80, 24, "en")
	d.key("k")
	d.key("y")
	d.asked("")
	d.key("2")
	d.key("y")
	d.asked("skip 1 (jig is defective) by op17")
}

func TestADisabledKeySaysWhy(t *testing.T) {
	for _, tt := range []struct {
		name  string
		key   string
		set   func(*driver)
		shows string
	}{
		{"start when nobody is signed in", "s", func(d *driver) { d.operator = Operator{} }, "sign in first"},
		{"start in a running bay", "s", func(d *driver) { d.send(EventMsg{running1(1, "1", 1)}) }, "bay 1 is running"},
		{"start without HSM", "s", func(d *driver) { d.facts.HSM.State = HSMAway }, "the HSM is away"},
		{"start while draining", "s", func(d *driver) { d.facts.Draining = true }, "the line is being stopped"},
		{"start a stopped bay", "s", func(d *driver) { d.bays[0].facts.Stopped = "clone" }, "release it first"},
		{"start an empty bay", "s", func(d *driver) { d.bays[0].facts.Present = BoardAbsent }, "there is no board in bay 1"},
		{"stop an idle bay", "x", func(*driver) {}, "this bay is not running"},
		{"retry after a pass", "r", func(d *driver) { d.send(EventMsg{ended(1, "1", station.Pass, "")}) }, "does not need it"},
		{"detail of nothing", "enter", func(*driver) {}, "this bay has had no board yet"},
		{"any key on a locked screen", "s", func(d *driver) { d.locked = true }, "Locked"},
		{"beginning a shift with failed checks", "g", func(d *driver) {
			d.screen, d.checks.done, d.checks.checks = screenStart, true, []Check{{State: CheckFail}}
		}, "1 checks did not pass"},
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
	d.send(tickMsg{at(11 * 60)})
	d.shows("LOCKED: M. Ortiz")
	d.scan("WO-4712")
	d.key("3")
	d.asked("")
	d.scan("OP-17")
	d.asked("sign in op17")
	d.key("3")
	d.asked("sign in op17; start 3 by op17 for WO-4711")
	d.send(tickMsg{at(22 * 60)})
	d.key("i") // or type it
	for _, r := range "OP-18" {
		d.send(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune{r}})
	}
	d.key("enter")
	if d.locked || d.operator.ID != "op18" {
		t.Errorf("locked %t, operator %q after a typed badge", d.locked, d.operator.ID)
	}
	d.key("O")
	if d.operator.ID != "" {
		t.Error("still signed in after sign-out")
	}
}

func TestPINIsNotShownAndIsForgotten(t *testing.T) {
	s := newStand()
	o := options(t, s, 4, "en")
	o.Opener = s
	d := open(t, s, o, 80, 24)
	for _, r := range "4711-geheim" {
		d.send(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune{r}})
	}
	if strings.Contains(d.View(), "geheim") || strings.Contains(d.View(), "***") || strings.Contains(d.View(), "•") {
		t.Errorf("the screen shows something of the PIN:\n%s", d.View())
	}
	typed := d.field.text
	d.key("enter")
	if len(s.pins) != 1 || s.pins[0] != "4711-geheim" {
		t.Fatalf("got PINs %q", s.pins)
	}
	if strings.Trim(string(s.kept), "\x00") != "" || strings.Trim(string(typed), "\x00") != "" {
		t.Error("the PIN is still in memory")
	}
	if !d.unlocked || !d.checks.done {
		t.Error("the bench is not examined after the PIN")
	}
	d.key("g")
	if d.screen != screenBench {
		t.Error("the shift does not begin")
	}
}

func TestALabelIsNoPIN(t *testing.T) {
	s := newStand()
	o := options(t, s, 4, "en")
	o.Opener = s
	d := open(t, s, o, 80, 24)
	d.scan("OP-17")
	d.shows("Nothing was tried")
	d.scan("")
	if len(s.pins) != 0 {
		t.Errorf("a label cost a try: %q", s.pins)
	}
	s.refusal = fmt.Errorf("opening: %w", ErrPINRefused)
	d.scan("1234")
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
	d.key("y")
	d.asked("drain by op17")
	if !d.leaving {
		t.Error("does not leave")
	}
}

func TestHSMAwayPausesAndComesBack(t *testing.T) {
	d := drive(t, 4, 120, 24, "en")
	d.send(EventMsg{ended(1, "1", station.Pass, "")})
	d.stand.facts.HSM = HSM{State: HSMAway, Detail: "token unplugged"}
	d.send(factsMsg{facts: d.stand.facts})
	d.shows("HSM AWAY: the line waits and goes on by itself when it is back. token unplugged")
	d.stand.facts.HSM = HSM{State: HSMSoftware}
	d.send(factsMsg{facts: d.stand.facts})
	d.shows("SOFTWARE TOKEN")
	for _, key := range []string{"h", "esc", "n", "esc", "l", "esc", "?"} {
		d.key(key)
		d.shows("SOFTWARE TOKEN")
	}
}

func TestControlBytesAndForeignTextStayInTheirTile(t *testing.T) {
	nasty := "\x1b[2J\x1b]0;pwned\x07\u202eabc\u0301日本語\xff\xfe\r\nnext"
	for _, ascii := range []bool{false, true} {
		s := newStand()
		o := options(t, s, 3, "de")
		o.BayNames, o.ASCII, o.Station, o.Colour = []string{nasty, "2", "Prüfplatz für lange Namen und noch mehr"}, ascii, nasty, false
		d := open(t, s, o, 80, 24)
		d.screen = screenBench
		e := ended(1, nasty, station.Fault, "no-answer")
		e.Snap.Console, e.Snap.Err, e.Snap.Reason = []byte(nasty), errors.New(nasty), nasty
		d.facts.Order.ID, d.operator = nasty, Operator{ID: "x", Name: nasty}
		d.send(EventMsg{e}, feedMsg{logs: []LogLine{{at(0), nasty, nasty}}})
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
	d.screen, d.selected = screenBench, 99 // a state that cannot be
	d.shows("The screen has an error, Runs go on")
	d.send(tea.KeyMsg{Type: tea.KeyEnter}) // Update panics as well and keeps the model
	d.selected = 0
	d.shows("waiting")
}

func TestTheLastResultStaysUntilTheNextBoard(t *testing.T) {
	d := drive(t, 4, 80, 24, "en")
	d.send(EventMsg{ended(1, "2", station.Reject, "store-io")})
	for i := range 10 {
		d.send(tickMsg{at(float64(60 * i))}, factsMsg{facts: d.stand.facts})
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
		s = s.add(&e.Snap)
		if len(before.passes) > len(s.passes) || before.endings[station.Pass] > s.endings[station.Pass] {
			t.Fatal("add changed the value before")
		}
	}
	now := at(12 * 60)
	if got := s.perHour(now); got < 54.9 || got > 55.1 {
		t.Errorf("boards per hour %.2f, want 11 in 12 min = 55", got)
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
	if total != 11 {
		t.Errorf("sparkline has %d boards, want 11", total)
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

// Every reason the engine, the boards' client and the issuer know has words, and they fit.
func TestEachReasonHasWords(t *testing.T) {
	words := map[string]bool{}
	for _, path := range []string{"../station/verdicts.go", "../station/endings.go", "../devices/*.go", "../station/issuance/errors.go"} {
		collect(t, path, words)
	}
	if len(words) < 60 {
		t.Fatalf("found only %d reasons", len(words))
	}
	for _, language := range catalogue.Languages() {
		texts, err := catalogue.Load(language)
		if err != nil {
			t.Fatal(err)
		}
		for word := range words {
			if !texts.Has("reason." + word) {
				t.Errorf("%s: no text for reason %q", language, word)
			}
		}
		for _, key := range texts.Keys() {
			text := texts.Text(key, "32")
			if strings.HasPrefix(key, "reason.") && len(wrap(text, 18, 0, "")) > 3 {
				t.Errorf("%s: %s needs more than three lines of 18: %q", language, key, text)
			}
			if strings.HasPrefix(key, "next.") && len(wrap("> "+text, 18, 0, "")) > 2 {
				t.Errorf("%s: %s needs more than two lines of 18: %q", language, key, text)
			}
		}
	}
}

var oneReason = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// collect reads the words that stand first in a Reason, Refusal or verdict.
func collect(t *testing.T, pattern string, words map[string]bool) {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("no files for %s: %v", pattern, err)
	}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			var args []ast.Expr
			switch n := n.(type) {
			case *ast.CompositeLit:
				if name, ok := n.Type.(*ast.Ident); ok && (name.Name == "Reason" || name.Name == "Refusal" || name.Name == "Verdict") {
					args = n.Elts
				}
			case *ast.CallExpr:
				if name, ok := n.Fun.(*ast.Ident); ok && (name.Name == "rejects" || name.Name == "faults") {
					args = n.Args
				}
			}
			for _, arg := range args[:min(2, len(args))] {
				if pair, ok := arg.(*ast.KeyValueExpr); ok {
					arg = pair.Value
				}
				if literal, ok := arg.(*ast.BasicLit); ok && literal.Kind == token.STRING {
					if word, err := strconv.Unquote(literal.Value); err == nil && oneReason.MatchString(word) {
						words[word] = true
					}
					break
				}
			}
			return true
		})
	}
}

// Every key that the sources ask the catalogue for is there.
func TestEachTextThatIsAskedForIsThere(t *testing.T) {
	texts, err := catalogue.Load(catalogue.Reference)
	if err != nil {
		t.Fatal(err)
	}
	paths, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	asked := regexp.MustCompile(`(?:\bt|head|known)\("([a-z.]+)"|"((?:next|history|numbers|refused|field)\.[a-z]+)"`)
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range asked.FindAllStringSubmatch(string(raw), -1) {
			key := match[1] + match[2]
			if !texts.Has(key) && !texts.Has("fact."+key) && !texts.Has(key+"pass") && !strings.HasSuffix(path, "_test.go") && !strings.HasSuffix(key, ".") {
				t.Errorf("%s asks for %q", path, key)
			}
		}
	}
}

func TestColourIsThereUnlessRefused(t *testing.T) {
	s := newStand()
	for _, colour := range []bool{true, false} {
		o := options(t, s, 4, "en")
		o.Colour = colour
		d := open(t, s, o, 80, 24)
		d.screen = screenBench
		d.send(EventMsg{ended(1, "1", station.Pass, "")})
		if got := strings.Contains(d.View(), "\x1b["); got != colour {
			t.Errorf("colour %t: escape sequences %t", colour, got)
		}
	}
}

func TestUTF8Locale(t *testing.T) {
	for _, tt := range []struct {
		all, ctype, lang string
		want             bool
	}{{"", "", "de_DE.UTF-8", true}, {"C", "", "de_DE.UTF-8", false}, {"", "en_US.utf8", "C", true}, {"", "", "", false}, {"", "", "de_DE.ISO-8859-1", false}} {
		env := map[string]string{"LC_ALL": tt.all, "LC_CTYPE": tt.ctype, "LANG": tt.lang}
		if got := UTF8Locale(func(name string) string { return env[name] }); got != tt.want {
			t.Errorf("%v: %t", env, got)
		}
	}
}

func TestPlainLines(t *testing.T) {
	texts, err := catalogue.Load("de")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	p := NewPlain(&b, texts, []string{"1", "2"}, true, true)
	p.Event(running1(1, "1", 3))
	p.Event(ended(1, "1", station.Pass, ""))
	p.Event(ended(2, "2", station.Fault, "no-answer"))
	want := "14:00:00 Platz 1: Signieren\n" +
		"13:59:58 Platz 1: GUT, Platine 11176ef9, 2.9 s. Entnehmen, naechste einlegen.\n" +
		"13:59:57 Platz 2: STOeRUNG, Platine b0050c1b: Platine antwortet nicht. Neu einlegen, Taste 2.\n"
	if b.String() != want {
		t.Errorf("got:\n%swant:\n%s", b.String(), want)
	}
	if err := p.Say("\x1b[2J"); err != nil || !strings.HasSuffix(b.String(), "?[2J\n") {
		t.Errorf("Say: %v, %q", err, b.String())
	}
	broken := NewPlain(failing{}, texts, []string{"1"}, true, false)
	broken.Event(ended(1, "1", station.Pass, ""))
	if broken.Err() == nil {
		t.Error("a terminal that is gone is not noticed")
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestIncompleteOptionsAreRefused(t *testing.T) {
	o := options(t, newStand(), 33, "en")
	if _, err := New(t.Context(), o); !errors.Is(err, ErrBays) {
		t.Errorf("33 bays: %v", err)
	}
	o = options(t, newStand(), 4, "en")
	o.Line = nil
	if _, err := New(t.Context(), o); !errors.Is(err, ErrIncomplete) {
		t.Errorf("no line: %v", err)
	}
}

// BenchmarkFrame is a full redraw at 200×50 with 32 busy bays: Update and View.
func BenchmarkFrame(b *testing.B) {
	s := newStand()
	o := options(b, s, 32, "en")
	o.Colour = true
	m, err := New(b.Context(), o)
	if err != nil {
		b.Fatal(err)
	}
	m.screen, m.operator, m.w, m.h = screenBench, s.badges["OP-17"], 200, 50
	var took []time.Duration
	for n := 0; b.Loop(); n++ {
		began := time.Now()
		var events []station.Event
		for i := range 32 {
			events = append(events, running1(i, fmt.Sprint(i+1), n%9))
		}
		m, _ = m.events(events)
		if len(m.View()) < 200*40 {
			b.Fatal("no screen")
		}
		took = append(took, time.Since(began))
	}
	b.ReportMetric(percentile(took, 95), "p95-ms")
}

func percentile(took []time.Duration, p int) float64 {
	sorted := slices.Sorted(slices.Values(took))
	return float64(sorted[len(sorted)*p/100].Microseconds()) / 1000
}
