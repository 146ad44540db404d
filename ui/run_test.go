package ui

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hallmark/station"
)

// A terminal is a pseudo-terminal with somebody reading its screen.
type terminal struct {
	t     *testing.T
	outer *os.File
	inner *os.File
	mu    sync.Mutex // covers text
	text  strings.Builder
	read  sync.WaitGroup
}

func newTerminal(t *testing.T, w, h uint16) *terminal {
	t.Helper()
	outer, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fd := int(outer.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Col: w, Row: h}); err != nil {
		t.Fatal(err)
	}
	inner, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	term := &terminal{t: t, outer: outer, inner: inner}
	term.read.Go(term.watch)
	t.Cleanup(func() { inner.Close(); outer.Close(); term.read.Wait() })
	return term
}

func (t *terminal) watch() {
	buffer := make([]byte, 4096)
	for {
		n, err := t.outer.Read(buffer)
		t.mu.Lock()
		t.text.Write(buffer[:n])
		t.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (t *terminal) seen() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.String()
}

func (t *terminal) waitFor(text string) {
	t.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(t.seen(), text); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.t.Fatalf("the terminal never showed %q:\n%q", text, t.seen())
		}
	}
}

func (t *terminal) typeText(text string) {
	t.t.Helper()
	if _, err := t.outer.WriteString(text); err != nil {
		t.t.Fatal(err)
	}
}

// onTerminal runs the screen on a real pseudo-terminal; the channel gives how it ended.
func onTerminal(t *testing.T, ctx context.Context, s *stand) (*terminal, Options, <-chan error) {
	t.Helper()
	term := newTerminal(t, 100, 30)
	o := options(t, s, 8, "en")
	o.Out, o.Now, o.Operator = term.inner, time.Now, s.badges["OP-17"]
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, o, term.inner) }()
	return term, o, ended
}

func TestAShiftOnATerminal(t *testing.T) {
	s := newStand()
	term, o, over := onTerminal(t, t.Context(), s)
	term.waitFor("The bench is ready.")
	term.typeText("g")
	term.waitFor("waiting")
	term.typeText("WO-4712\r") // a scan
	term.waitFor("Work order WO-4712")
	term.typeText("3")
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
	term.typeText("y")
	if err := <-over; err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(s.said(), "drain by op17") {
		t.Errorf("left without draining: %s", s.said())
	}
	restored(t, term)
}

// The caller ends the screen when the terminal goes away (SIGHUP) or it is told to stop.
func TestTheScreenEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	term, _, over := onTerminal(t, ctx, newStand())
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
	term.waitFor("\x1b[?1049l")
	term.waitFor("\x1b[?25h")
	state, err := unix.IoctlGetTermios(int(term.inner.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	if state.Lflag&unix.ECHO == 0 || state.Lflag&unix.ICANON == 0 {
		t.Error("the terminal is still raw")
	}
}
