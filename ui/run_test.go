package ui

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hallmark/fixtures/pty"
	"hallmark/station"
	"hallmark/ui/catalogue"
)

// A terminal fails the test if the screen does not show the expected text in time.
type terminal struct {
	*pty.Terminal
	t *testing.T
}

func newTerminal(t *testing.T, w, h uint16) *terminal {
	t.Helper()
	inner, err := pty.Open(w, h)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := inner.Close(); err != nil {
			t.Error(err)
		}
	})
	return &terminal{inner, t}
}

func (t *terminal) waitFor(text string) {
	t.t.Helper()
	t.waitForAfter(0, text)
}

// waitForAfter waits for what is written behind an offset.
func (t *terminal) waitForAfter(from int, text string) {
	t.t.Helper()
	ctx, cancel := context.WithTimeout(t.t.Context(), 20*time.Second)
	defer cancel()
	if err := t.WaitFor(ctx, from, text); err != nil {
		t.t.Fatal(err)
	}
}

// typeText waits before it types, because the screen takes faster input for a scan.
func (t *terminal) typeText(text string) {
	t.t.Helper()
	time.Sleep(2 * together)
	if err := t.Type(text); err != nil {
		t.t.Fatal(err)
	}
}

// onTerminal runs the screen on a real pseudo-terminal. The channel gets the result of Run.
func onTerminal(t *testing.T, ctx context.Context, s *fakeStation) (*terminal, Options, <-chan error) {
	t.Helper()
	term := newTerminal(t, 100, 30)
	o := options(t, s, 8, "en")
	o.Out, o.Now, o.Operator = term.Program, time.Now, s.badges["OP-17"]
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, o, term.Program) }()
	return term, o, ended
}

func TestAShiftOnATerminal(t *testing.T) {
	s := newFakeStation()
	term, o, over := onTerminal(t, t.Context(), s)
	term.waitFor("The bench is ready.")
	term.typeText(goKey)
	term.waitFor("waiting")
	term.typeText("WO-4712\r") // a scan
	term.waitFor("Work order WO-4712")
	term.typeText("3")
	time.Sleep(within + 100*time.Millisecond)
	term.typeText("\a") // Ctrl-G, on a terminal without function keys
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(s.said(), "start 3 by op17"); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("bay 3 was not started: %s", s.said())
		}
	}
	o.Feed.Push(ended(3, "3", station.Reject, "store-io"))
	term.waitFor("flash is defective")
	term.typeText("q")
	term.waitFor("Leave the station?")
	term.typeText("\r")
	term.typeText(goKey)
	if err := <-over; err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(s.said(), "drain by op17") {
		t.Errorf("left without draining: %s", s.said())
	}
	restored(t, term)
}

// A window that a mouse drags sends a size many times a second. The screen of the last size is whole.
func TestAStormOfSizesEndsWithAWholeScreen(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	term, o, over := onTerminal(t, ctx, newFakeStation())
	term.waitFor("The bench is ready.")
	term.typeText(goKey)
	term.waitFor("waiting")
	resize := func(w, h int) {
		if err := errors.Join(term.Resize(uint16(w), uint16(h)), unix.Kill(os.Getpid(), unix.SIGWINCH)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 300 {
		resize(1+i*37%220, 1+i*11%60)
		if i%20 == 0 {
			o.Feed.Push(ended(i, "3", station.Reject, "store-io"))
		}
	}
	from := term.Length()
	resize(120, 40)
	o.Feed.Push(ended(300, "8", station.Fault, "no-answer"))
	for _, text := range []string{"board does not answer", "flash is defective", "Operator: M. Ortiz", "? help  q quit"} {
		term.waitForAfter(from, text)
	}
	term.typeText("?")
	term.waitFor("Any key closes this")
	cancel()
	if err := <-over; err != nil {
		t.Error(err)
	}
	restored(t, term)
}

// The caller ends the screen when the terminal goes away (SIGHUP) or it is told to stop.
func TestTheScreenEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	term, _, over := onTerminal(t, ctx, newFakeStation())
	term.waitFor("The bench is ready.")
	cancel()
	if err := <-over; err != nil {
		t.Errorf("got %v, want a quiet end", err)
	}
	restored(t, term)
}

// restored checks that the terminal got back its screen and its cursor.
func restored(t *testing.T, term *terminal) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for _, sequence := range []string{"\x1b[?1049l", "\x1b[?25h", "\x1b[?2004l", "\x1b[?1000l", "\x1b[?1006l"} { // screen, cursor, bracketed paste, mouse
		if err := term.WaitForOctets(ctx, sequence); err != nil {
			t.Errorf("the terminal did not get back what %q gives", sequence)
		}
	}
	restoredInput(t, term)
}

// restoredInput checks that the terminal echoes typed text again and reads whole lines.
func restoredInput(t *testing.T, term *terminal) {
	t.Helper()
	state, err := unix.IoctlGetTermios(int(term.Program.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	if state.Lflag&unix.ECHO == 0 || state.Lflag&unix.ICANON == 0 {
		t.Error("the terminal is still raw")
	}
}

// Each wait of the engine has a text in each language, which fits into the smallest tile.
func TestEachWaitHasAShortText(t *testing.T) {
	for _, language := range catalogue.Languages() {
		texts, err := catalogue.Load(language)
		if err != nil {
			t.Fatal(err)
		}
		for _, what := range []station.Wait{station.WaitPort, station.WaitBoard, station.WaitRead, station.WaitFlash, station.WaitStart, station.WaitProof, station.WaitLock, station.WaitState} {
			if key := "wait." + string(what); !texts.Has(key) || width(texts.Text(key)) > 18 {
				t.Errorf("%s: %s is %q", language, key, texts.Text(key))
			}
		}
	}
}
