package ui

import (
	"strings"
	"time"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"
	"github.com/google/uuid"
)

// A scanner types a label in a few milliseconds a character and ends with enter.
// People do not. The gatherer holds back each character for a moment: if nothing
// follows it was a key, if more follows it is a scan, and from then on nothing of it is a
// key, even if the rest comes late. A key that only shows something does so at once.
const (
	keyHold   = 30 * time.Millisecond  // how long one character may be a scan's first one
	scanPause = 400 * time.Millisecond // how long a scan may pause in the middle
	longest   = 256                    // characters of a scan
)

// A gatherer holds characters that are not yet known to be keys.
type gatherer struct {
	held  string
	burst bool
	turn  int // of the timer that counts
	// before is the screen before the held character was taken for a key, nil if it was not.
	before *Model
}

// heldMsg says that nothing came after a character for as long as it may be held.
type heldMsg struct {
	turn   int
	waited bool // also for what was on its way
}

// take adds characters, which came in one go.
func (g gatherer) take(text string) (gatherer, tea.Cmd) {
	g.burst = g.burst || g.held != "" || utf8.RuneCountInString(text) > 1
	if len(g.held) < longest {
		g.held += text
	}
	g.turn++
	hold := keyHold
	if g.burst {
		hold = scanPause
	}
	return g, g.wait(hold, false)
}

func (g gatherer) wait(hold time.Duration, waited bool) tea.Cmd {
	return tea.Tick(hold, func(time.Time) tea.Msg { return heldMsg{g.turn, waited} })
}

// drop forgets what is held.
func (g gatherer) drop() gatherer { return gatherer{turn: g.turn + 1} }

// scanKind is what a label is for.
type scanKind uint8

const (
	scanUnknown scanKind = iota
	scanBadge
	scanOrder
	scanBoard
	scanBay
)

// Prefixes tell labels apart; a BoardID needs none.
type Prefixes struct{ Badge, Order, Bay string }

// Labels that the documentation shows how to print.
func defaultPrefixes() Prefixes { return Prefixes{Badge: "OP-", Order: "WO-", Bay: "BAY-"} }

// readScan says what was scanned. Badge and order keep their prefix: it is part of
// what is printed on them; a bay's is removed.
func (p Prefixes) readScan(text string) (scanKind, string) {
	text = strings.TrimSpace(text)
	if id, err := uuid.Parse(text); err == nil && len(text) == 36 {
		return scanBoard, id.String()
	}
	switch upper := strings.ToUpper(text); {
	case clean(text) != text:
		return scanUnknown, text
	case p.Badge != "" && strings.HasPrefix(upper, p.Badge):
		return scanBadge, text
	case p.Order != "" && strings.HasPrefix(upper, p.Order):
		return scanOrder, text
	case p.Bay != "" && strings.HasPrefix(upper, p.Bay):
		return scanBay, text[len(p.Bay):]
	}
	return scanUnknown, text
}
