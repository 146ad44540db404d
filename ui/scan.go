package ui

import (
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"
	"github.com/google/uuid"
)

// A scanner types a label with a few milliseconds for each character, and ends with enter.
// People are slower. The scanBuffer holds each character for a moment. If nothing follows, the character is a key. If
// another one follows, both belong to a scan, and so does all that comes until the scan ends, even if it comes late.
// A key that only changes what is shown works at once, and is undone if it was no key.
const (
	keyHold   = 30 * time.Millisecond  // how long a character is held
	scanPause = 400 * time.Millisecond // how long a scan may pause in the middle
	longest   = 256                    // octets of a scan
)

// A scanBuffer holds characters that may be keys or the beginning of a scan.
type scanBuffer struct {
	held  string
	burst bool
	turn  int // of the newest timer; older ones count no more
	// before is the state before the held character acted as a key. nil: it has not acted.
	before *Model
	at     time.Time // when the newest character was read; zero when nobody knows
}

// heldMsg says that the hold time of a character is over and no other character came.
type heldMsg struct {
	turn   int
	waited bool // the second wait, because characters were still on their way
}

// take adds characters that came together.
func (g scanBuffer) take(text string) (scanBuffer, tea.Cmd) {
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

func (g scanBuffer) wait(hold time.Duration, waited bool) tea.Cmd {
	return tea.Tick(hold, func(time.Time) tea.Msg { return heldMsg{g.turn, waited} })
}

// drop forgets what is held.
func (g scanBuffer) drop() scanBuffer { return scanBuffer{turn: g.turn + 1} }

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

// isLabel reports whether a typed text is a label: a BoardID, or a text with a prefix. It makes no
// string of the text, which may be a PIN.
func (p Prefixes) isLabel(text []rune) bool {
	for _, prefix := range []string{p.Badge, p.Order, p.Bay} {
		if begins := []rune(prefix); len(begins) > 0 && len(text) >= len(begins) && slices.EqualFunc(text[:len(begins)], begins, sameLetter) {
			return true
		}
	}
	return isBoardID(text)
}

func sameLetter(a, b rune) bool { return unicode.ToUpper(a) == unicode.ToUpper(b) }

// isBoardID reports whether a text has the form of a UUID (RFC 9562 section 4).
func isBoardID(text []rune) bool {
	for i, r := range text {
		hyphen := i == 8 || i == 13 || i == 18 || i == 23
		if hyphen != (r == '-') || !hyphen && !unicode.Is(unicode.ASCII_Hex_Digit, r) {
			return false
		}
	}
	return len(text) == 36
}

// readScan returns kind and content of a label. The prefix of a badge or an order is a part of its name, the prefix of a bay
// is not.
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
