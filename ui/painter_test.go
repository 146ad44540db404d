package ui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"hallmark/fixtures/pty"
	"hallmark/station"
)

// After the painter has written, the terminal shows the new screen, whatever it showed before.
func TestTheTerminalShowsWhatTheModelDraws(t *testing.T) {
	for _, scheme := range []ColourScheme{SchemeNone, SchemeDark, SchemeLight, SchemeContrast} {
		random := rand.New(rand.NewPCG(1, 2))
		d := drive(t, 32, 200, 50, "de")
		d.theme = newTheme(scheme, unicodeCharacters)
		d.bays[3].name = "日本語のベイ"
		display := pty.NewDisplay(200, 50)
		p := &painter{out: display}
		for n := range 300 {
			d.anything(random, n)
			display.Resize(d.w, d.h)
			if _, err := p.paint(&d.Model); err != nil {
				t.Fatal(err)
			}
			want := asShown(d.canvas(nil))
			if got := display.Text(); got != want {
				t.Fatalf("step %d, %d×%d: the terminal shows\n%s\nwant\n%s", n, d.w, d.h, got, want)
			}
		}
	}
}

func TestTheBellRingsOnceForTheEndingsThatComeTogether(t *testing.T) {
	d := drive(t, 4, 80, 24, "en")
	d.o.Bell = true
	var out strings.Builder
	p := &painter{out: &out}
	for n, want := range []int{0, 1, 1} {
		if n == 1 {
			d.send(feedMsg{events: []station.Event{ended(1, "1", station.Pass, ""), ended(2, "2", station.Pass, "")}})
		}
		if _, err := p.paint(&d.Model); err != nil || strings.Count(out.String(), "\a") != want {
			t.Errorf("frame %d: %d rings in all, want %d, %v", n, strings.Count(out.String(), "\a"), want, err)
		}
	}
}

// anything sends a random event of a station, or a random input of an operator.
func (d *driver) anything(random *rand.Rand, n int) {
	bay := d.bays[random.IntN(len(d.bays))].name
	switch random.IntN(6) {
	case 0:
		d.send(tickMsg{at: at(float64(n))})
	case 1:
		d.send(EventMsg{ended(n, bay, []station.Ending{station.Pass, station.Reject, station.Fault}[n%3], "store-io")})
	case 2, 3:
		d.send(EventMsg{running1(n, bay, n%9)})
	case 4:
		keys := []string{"?", "n", "esc", "h", "l", "enter", "down", "right", "k", "x", "q", "2"}
		d.key(keys[random.IntN(len(keys))])
	case 5:
		if size := random.IntN(8); size < 3 {
			d.send(tea.WindowSizeMsg{Width: []int{200, 97, 60}[size], Height: []int{50, 30, 16}[size]})
		}
	}
}

// asShown gives the characters of a canvas, without the spaces at the ends of lines.
func asShown(c *canvas) string {
	lines := make([]string, c.h)
	for y := range lines {
		for _, cell := range c.cells[y*c.w : (y+1)*c.w] {
			if cell.r != 0 {
				lines[y] += string(cell.r)
			}
		}
		lines[y] = strings.TrimRight(lines[y], " ")
	}
	return strings.Join(lines, "\n")
}

func TestOnlyWhatChangedIsWritten(t *testing.T) {
	d := drive(t, 32, 200, 50, "en")
	d.theme = newTheme(SchemeDark, unicodeCharacters)
	var written strings.Builder
	p := &painter{out: &written, mend: mend{credit: -1_000_000}} // the rows that are written again are tested elsewhere
	for _, tt := range []struct {
		name string
		does func()
		most int
	}{
		{"the first frame", func() {}, 200 * 50 * 4},
		{"nothing", func() {}, 0},
		{"a second later", func() { d.send(tickMsg{at: at(1)}, factsMsg{facts: d.station.facts}) }, 60},
		{"one bay begins", func() { d.send(EventMsg{running1(1, "7", 0)}) }, 1500},
		{"its next step", func() { d.send(EventMsg{running1(1, "7", 1)}) }, 300},
	} {
		written.Reset()
		tt.does()
		if _, err := p.paint(&d.Model); err != nil {
			t.Fatal(err)
		}
		if written.Len() > tt.most {
			t.Errorf("%s: %d octets were written, want at most %d: %q", tt.name, written.Len(), tt.most, written.String())
		}
	}
}

// A slowTerminal does a write only when the test allows it.
type slowTerminal struct {
	display *pty.Display
	asked   chan struct{} // a write has begun
	let     chan struct{}
}

func (s slowTerminal) Write(octets []byte) (int, error) {
	s.asked <- struct{}{}
	<-s.let
	return s.display.Write(octets)
}

func newSlowTerminal() slowTerminal {
	return slowTerminal{pty.NewDisplay(100, 30), make(chan struct{}), make(chan struct{})}
}

func TestASlowTerminalGetsTheNewestStateNext(t *testing.T) {
	d := drive(t, 4, 100, 30, "en")
	d.key("l")
	s := newSlowTerminal()
	p := startPainter(s, 0, func() { t.Error("painting went wrong") })
	p.show(d.Model)
	<-s.asked
	for i := range 5 {
		d.send(feedMsg{logs: []LogLine{{At: at(0), Level: "INFO", Text: fmt.Sprint("line ", i+1)}}})
		p.show(d.Model) // the write that is under way does not hold this up
	}
	s.let <- struct{}{}
	<-s.asked
	s.let <- struct{}{}
	if err := p.end(); err != nil {
		t.Error(err)
	}
	if !strings.Contains(s.display.Text(), "line 5") {
		t.Errorf("after two frames the terminal shows\n%s", s.display.Text())
	}
}

func TestATerminalThatTakesNothingDoesNotHoldUpTheEnd(t *testing.T) {
	d := drive(t, 4, 100, 30, "en")
	s := newSlowTerminal()
	p := startPainter(s, 0, func() { t.Error("painting went wrong") })
	p.show(d.Model)
	<-s.asked
	if err := p.end(); err != nil { // hangs without a bound
		t.Error(err)
	}
	close(s.let)
}

// A stuckTerminal does a number of writes, and blocks in the next write.
type stuckTerminal struct {
	takes int
	stuck chan struct{} // closed when the terminal is stuck
	free  chan struct{}
}

func (s *stuckTerminal) Write(octets []byte) (int, error) {
	if s.takes--; s.takes == -1 {
		close(s.stuck)
	}
	if s.takes < 0 {
		<-s.free
	}
	return len(octets), nil
}

func TestAStuckTerminalDoesNotHoldUpTheStation(t *testing.T) {
	term := newTerminal(t, 80, 24)
	o := options(t, newFakeStation(), 4, "en")
	s := &stuckTerminal{1, make(chan struct{}), make(chan struct{})}
	o.Out = s
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() { over <- Run(ctx, o, term.Program) }()
	<-s.stuck
	cancel()
	if err := <-over; err != nil {
		t.Error(err)
	}
	restoredInput(t, term)
	close(s.free)
}

func TestATerminalThatIsGoneEndsTheScreenOnly(t *testing.T) {
	s := newFakeStation()
	term := newTerminal(t, 80, 24)
	o := options(t, s, 4, "en")
	o.Out = &dying{Writer: term.Program, after: 1}
	if err := Run(t.Context(), o, term.Program); !errors.Is(err, ErrScreen) || !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got %v", err)
	}
	restoredInput(t, term)
}

// A dying terminal does a number of writes, and then fails.
type dying struct {
	io.Writer
	after int
}

func (d *dying) Write(octets []byte) (int, error) {
	if d.after--; d.after < 0 {
		return 0, io.ErrClosedPipe
	}
	return d.Writer.Write(octets)
}

func TestAPanicOfTheProgramGivesTheTerminalBack(t *testing.T) {
	s := newFakeStation()
	term := newTerminal(t, 80, 24)
	o := options(t, s, 4, "en")
	asked := 0
	o.Out, o.Now = term.Program, func() time.Time {
		if asked++; asked > 1 { // in the command that moves the clock
			panic("no clock")
		}
		return at(0)
	}
	if err := Run(t.Context(), o, term.Program); !errors.Is(err, ErrScreen) || !errors.Is(err, tea.ErrProgramPanic) {
		t.Errorf("got %v", err)
	}
	restored(t, term)
}

// A serial line of 9600 baud gets no more than it carries, and a key after a quiet time is answered at once.
func TestASerialTerminalGetsWhatItsLineCarries(t *testing.T) {
	p, now := &painter{rate: rateOf("vt100")}, at(0)
	if wait := p.pause(1500, now); wait != framePause {
		t.Errorf("after the first frame the painter waits %v", wait)
	}
	begin, written := now, 0
	for written < 100_000 {
		written += 700
		now = now.Add(p.pause(700, now))
	}
	if rate := float64(written-serialBurst) / now.Sub(begin).Seconds(); rate > serialRate {
		t.Errorf("%.0f octets a second", rate)
	}
	now = now.Add(10 * time.Second)
	if wait := p.pause(1500, now); wait != framePause {
		t.Errorf("after a quiet time the painter waits %v", wait)
	}
	for _, kind := range []string{"xterm-256color", "vte-256color", ""} {
		if p := (&painter{rate: rateOf(kind)}); p.pause(1_000_000, now) != framePause {
			t.Errorf("%q, which is no serial line, waits", kind)
		}
	}
}

func TestWhichTerminalsShowColours(t *testing.T) {
	for kind, want := range map[string]bool{"xterm": true, "linux": true, "vte-256color": true, "vt100": false, "vt220-8bit": false, "dumb": false, "": false} {
		if hasColours(func(name string) string { return map[string]string{"TERM": kind}[name] }) != want {
			t.Errorf("%q: want %v", kind, want)
		}
	}
}
