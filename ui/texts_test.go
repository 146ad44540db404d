package ui

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"hallmark/station"
	"hallmark/ui/catalogue"
)

// The catalogue has every key that the sources use.
func TestEachTextThatIsAskedForIsThere(t *testing.T) {
	texts, err := catalogue.Load(catalogue.Reference)
	if err != nil {
		t.Fatal(err)
	}
	paths, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	asked := regexp.MustCompile(`(?:\bt|head|namedFact)\("([a-z.]+)"|"((?:next|history|numbers|refused|field)\.[a-z]+)"`)
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
	t.Setenv("CLICOLOR_FORCE", "1") // as on a terminal
	s := newFakeStation()
	for _, colour := range []bool{true, false} {
		o := options(t, s, 4, "en")
		o.Colour = colour
		d := open(t, s, o, 80, 24)
		d.screen = screenDashboard
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
		"13:59:58 Platz 1: GUT (neues Zertifikat), Platine 11176ef9, 2,9 s. Entnehmen, naechste einlegen.\n" +
		"13:59:57 Platz 2: FEHLER, Platine b0050c1b: Platine antwortet nicht. Neu einlegen, Taste 2.\n"
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
	full := &fullOnce{}
	behind := NewPlain(full, texts, []string{"1"}, true, false)
	for range 2 {
		behind.Event(ended(1, "1", station.Pass, ""))
	}
	if behind.Err() == nil || strings.Count(full.String(), "GUT") != 1 {
		t.Errorf("after a line that was lost: %v, %q", behind.Err(), full.String())
	}
}

func TestPlainLinesBeginWithStationBaysAndHowToType(t *testing.T) {
	for _, test := range []struct {
		name     string
		signedIn bool
		want     string
	}{
		{"somebody is signed in", true, ""},
		{"nobody is signed in", false, "Scan your badge to sign in\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var b strings.Builder
			NewPlain(&b, load(t, catalogue.Reference), []string{"left", "1-2.3"}, true, false).Greet("line \x1b3", test.signedIn)
			want := "Station line ?3. Type a command and press enter; \"help\" lists the commands.\nBays: 1 is left, 2 is 1-2.3\n" + test.want
			if b.String() != want {
				t.Errorf("got:\n%swant:\n%s", b.String(), want)
			}
		})
	}
}

// fullOnce loses the first text.
type fullOnce struct {
	strings.Builder
	asked bool
}

func (f *fullOnce) Write(text []byte) (int, error) {
	if !f.asked {
		f.asked = true
		return 0, io.ErrShortWrite
	}
	return f.Builder.Write(text)
}

func (f *fullOnce) WriteString(text string) (int, error) { return f.Write([]byte(text)) }

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestIncompleteOptionsAreRefused(t *testing.T) {
	o := options(t, newFakeStation(), 33, "en")
	if _, err := New(t.Context(), o); !errors.Is(err, ErrBays) {
		t.Errorf("33 bays: %v", err)
	}
	o = options(t, newFakeStation(), 4, "en")
	o.Controller = nil
	if _, err := New(t.Context(), o); !errors.Is(err, ErrIncomplete) {
		t.Errorf("no line: %v", err)
	}
}

// BenchmarkFrame is a full redraw at 200×50 with 32 busy bays: Update and View.
func BenchmarkFrame(b *testing.B) {
	b.Setenv("CLICOLOR_FORCE", "1") // as on a terminal
	s := newFakeStation()
	o := options(b, s, 32, "en")
	o.Colour = true
	m, err := New(b.Context(), o)
	if err != nil {
		b.Fatal(err)
	}
	m.screen, m.operator, m.w, m.h = screenDashboard, s.badges["OP-17"], 200, 50
	var took []time.Duration
	for n := 0; b.Loop(); n++ {
		began := time.Now()
		var events []station.Event
		for i := range 32 {
			events = append(events, running1(i, fmt.Sprint(i+1), n%9))
		}
		m, _ = m.events(events)
		if len(m.View().Content) < 200*40 {
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

func TestNoEndingIsGreyOnAColour(t *testing.T) {
	t.Setenv("CLICOLOR_FORCE", "1") // as on a terminal
	shown := newTheme(SchemeDark, unicodeCharacters)
	for _, s := range []style{passed, rejected, faulted, aborted, barWarn, barAlarm} {
		open := shown.codes[s]
		if !strings.Contains(open, "4") || strings.Contains(open, "1;30") {
			t.Errorf("style %d is %q: bold black is grey where bold is bright", s, open)
		}
	}
}

// The sources use every text of the catalogue.
func TestNoTextIsLeftOver(t *testing.T) {
	paths, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var sources strings.Builder
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(path, "_test.go") {
			sources.Write(raw)
		}
	}
	for _, key := range load(t, catalogue.Reference).Keys() {
		key = strings.TrimSuffix(key, ".one") // of the number 1
		group, rest, _ := strings.Cut(key, ".")
		if slices.Contains([]string{"reason", "because", "refused", "step", "ending", "outcome", "kind", "check", "fact", "denied", "wait"}, group) || slices.Contains(nextActions(), key) {
			continue // made from what the engine and the record say
		}
		rest = strings.TrimPrefix(rest, "long.") // of help and palette
		inGroup := group == "key" && strings.Contains(sources.String(), `"`+rest+`"`)
		if !inGroup && !strings.Contains(sources.String(), `"`+key+`"`) {
			t.Errorf("nobody asks for %q", key)
		}
	}
}
