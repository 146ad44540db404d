package ui

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"hallmark/station"
)

// goKey is F12 as a terminal sends it.
const goKey = "\x1b[24~"

// atTheBench runs the screen on a terminal and begins the shift.
func atTheBench(t *testing.T, s *fakeStation) (*terminal, Options, <-chan error) {
	t.Helper()
	term, o, over := onTerminal(t, t.Context(), s)
	term.waitFor("The bench is ready.")
	term.typeText(goKey)
	term.waitFor("waiting")
	return term, o, over
}

// answers types each first text and waits for the second.
func (t *terminal) answers(typed [][2]string) {
	t.t.Helper()
	for _, pair := range typed {
		from := t.Length()
		t.typeText(pair[0])
		t.waitForAfter(from, pair[1])
	}
}

// leaves quits as an operator does, and checks that the terminal is as it was.
func (t *terminal) leaves(over <-chan error) {
	t.t.Helper()
	t.typeText("q")
	t.waitFor("Leave the station?")
	t.typeText(goKey)
	if err := <-over; err != nil {
		t.t.Fatal(err)
	}
	restored(t.t, t)
}

func TestManyEventsAtOnceLoseNoEndingAndNoKey(t *testing.T) {
	const runs, steps = 20, 10 // of each of 32 bays: as many as in one second of a busy station
	s := newFakeStation()
	term, o, over := atTheBench(t, s)
	var bays sync.WaitGroup
	for b := range 32 {
		bays.Go(func() {
			for run := range runs {
				n := b*runs + run
				for step := range steps - 1 {
					o.Feed.Push(running1(n, fmt.Sprint(b%8+1), step))
				}
				o.Feed.Push(ended(n, fmt.Sprint(b%8+1), station.Pass, ""))
				o.Feed.Log(LogLine{Text: strings.Repeat("log ", 100)})
			}
		})
	}
	term.typeText("n") // in the middle of it
	bays.Wait()
	term.waitFor("first-pass yield")
	term.waitFor(fmt.Sprintf("(%d/%d)", 32*runs, 32*runs))
	term.leaves(over)
}

// panicky is a station that panics in every call.
type panicky struct{ *fakeStation }

func (panicky) Facts(context.Context) (Facts, error)                  { panic("no facts") }
func (panicky) Search(context.Context, Query) ([]Row, error)          { panic("no history") }
func (panicky) Start(context.Context, Start) error                    { panic("no start") }
func (panicky) Switch(context.Context, string, string) (Order, error) { panic("no order") }

func TestPanicsOfTheStationDoNotEndTheScreen(t *testing.T) {
	p := panicky{newFakeStation()}
	o := options(t, p.fakeStation, 4, "en")
	o.Controller, o.Facts, o.History, o.Orders = p, p, p, p
	d := open(t, p.fakeStation, o, 100, 30)
	d.screen, d.operator = screenDashboard, p.badges["OP-17"]
	for key, want := range map[string]string{"go": "no start", "h": "no history"} {
		d.key(key)
		d.shows(want)
		d.key("esc")
	}
	d.scan("WO-4712")
	d.shows("no order")
	d.obey(d.askFacts())
	d.shows("STATE UNKNOWN")
	d.send(EventMsg{ended(1, "1", station.Pass, "")})
	d.shows(boardOf(1).String()[:8]) // Runs go on
}

// What a terminal sends for pasted text (bracketed paste) and what a scanner types.
func TestNothingThatComesInABurstIsAKey(t *testing.T) {
	s := newFakeStation()
	term, _, over := atTheBench(t, s)
	term.answers([][2]string{
		{"\x1b[200~XyqyO1\r\x1b[201~", "Pasted text is not taken"},
		{"XyqyO1\r", "This label is not for this station: XyqyO1"},
		{"1234\n", "This label is not for this station: 1234"},
		{"Xy", "The scan was cut off"},
		{"\x1b[200~WO-4712\x1b[201~", "Pasted text is not taken"},
		{"q", "Leave the station?"},
		{"\x1b[D", "Only F12 confirms"}, // a scan right behind the q would be read together with it
		{"OP-18\r", "A question is open"},
		{"\x1b[200~y\x1b[201~", "Pasted text is not taken"},
		{"WO-4712\r", "A question is open"},
		{"z", "Only F12 confirms"},
	})
	if got := s.said(); got != "" {
		t.Errorf("a burst did what a key does: %s", got)
	}
	term.typeText(goKey)
	if err := <-over; err != nil {
		t.Fatal(err)
	}
	restored(t, term)
}
