package ui

import (
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"

	"hallmark/station/label"
)

// A scanner is a keyboard, and it may be as slow as a person. So no time tells its characters from keys. Instead, every
// character may only show something or ask something. The go key changes the world, and no scanner sends it. When a
// scan ends, the screen goes back to what was shown before the scan, and answers the label.
//
// The times below only keep the screen quiet, and decide about a text that is no label. None of them protects the station.
const (
	together = 80 * time.Millisecond   // characters that come this close are of a scanner: they show nothing
	slow     = 250 * time.Millisecond  // a slow scanner, or a person who types fast
	within   = 1500 * time.Millisecond // how long a scan may pause
	cutAfter = 2 * time.Second         // a scan without its end is over after so long
	forget   = 5 * time.Second         // older characters are of no scan
	fewest   = 4                       // so many characters that are no slower are a scan
	many     = 8                       // so many characters before enter are a scan, however slow
	longest  = 7089                    // characters of a scan: those of the largest QR code (ISO/IEC 18004)
)

// A scanBuffer keeps the newest characters. They may be keys or a scan.
type scanBuffer struct {
	chars []scanChar
	ended time.Time // when the newest scan ended
	rest  bool      // the configured suffix ended it, and more of the same label may come
	turn  int       // of the newest timer; older timers count no more
}

type scanChar struct {
	r  rune
	at time.Time
	// before is what the screen showed before the character. nil: the character came together with the one before it.
	before *view
}

// heldMsg says that no other character has come for some time.
type heldMsg struct{ turn int }

// add keeps a character.
func (g scanBuffer) add(c scanChar) scanBuffer {
	if g.pause(c.at) > forget {
		g.chars = nil
	}
	g.turn++
	all := append(g.chars[:len(g.chars):len(g.chars)], c)
	if g.chars = all[max(0, len(all)-longest):]; len(all) > longest {
		g.chars[0].before = all[0].before // where the scan began
	}
	return g
}

// pause gives the time since the newest character.
func (g scanBuffer) pause(at time.Time) time.Duration {
	if len(g.chars) == 0 {
		return 0
	}
	return at.Sub(g.chars[len(g.chars)-1].at)
}

// drop forgets what is held.
func (g scanBuffer) drop() scanBuffer { return scanBuffer{turn: g.turn + 1, ended: g.ended} }

// over ends a scan.
func (g scanBuffer) over(at time.Time) scanBuffer { return scanBuffer{turn: g.turn + 1, ended: at} }

// drops reports whether a character belongs to a scan that is over, because no pause came since its suffix.
func (g scanBuffer) drops(at time.Time) (scanBuffer, bool) {
	if g.rest = g.rest && at.Sub(g.ended) <= slow; g.rest {
		g.ended = at
	}
	return g, g.rest
}

// recent gives the index of the first character after the newest long pause. Without a character that is new enough it is
// the number of all.
func (g scanBuffer) recent(at time.Time) int { return g.since(at, within) }

// since gives the index of the first character after the newest pause that was longer.
func (g scanBuffer) since(at time.Time, longer time.Duration) int {
	first := len(g.chars)
	for first > 0 && at.Sub(g.chars[first-1].at) <= longer {
		at = g.chars[first-1].at
		first--
	}
	return first
}

// byScanner reports whether a scanner types at present: its prefix came, or characters that are too close or too many for a
// person.
func (g scanBuffer) byScanner(at time.Time, prefix string) bool {
	recent := g.chars[g.recent(at):]
	if len(g.chars)-g.since(at, slow) >= fewest || prefix != "" && strings.Contains(textOf(recent), prefix) {
		return true
	}
	for i, c := range recent {
		if i > 0 && c.before == nil {
			return true
		}
	}
	return false
}

// joins reports whether the next character belongs to a scan.
func (g scanBuffer) joins(at time.Time, prefix string) bool {
	switch {
	case len(g.chars) == 0:
		return false
	case g.pause(at) <= together:
		return true
	}
	return prefix != "" && strings.Contains(textOf(g.chars[g.recent(at):]), prefix)
}

// shown gives what the screen showed before the newest character that came alone.
func (g scanBuffer) shown() *view {
	for i := len(g.chars) - 1; i >= 0; i-- {
		if g.chars[i].before != nil {
			return g.chars[i].before
		}
	}
	return nil
}

// A scanRead is what was found at the end of what was typed.
type scanRead struct {
	label  label.Label
	before *view // what the screen showed before the label
	scan   bool  // false: these are keys of a person
	again  bool  // a label is there, but whether the characters before it are its own or keys of a person cannot be known
	chosen int   // with again: the bay that was chosen before the label
}

// read finds a label at the end of what was typed. First it takes all characters since the newest long pause, then more, because a scan may
// have stopped for longer. The end of somebody else's label is no label, see begins.
func (g scanBuffer) read(labels *label.Reader, at time.Time) scanRead {
	first := g.recent(at)
	for i := len(g.chars) - 1; i >= 0; i-- {
		if g.chars[i].before == nil || !g.begins(i) {
			continue
		}
		if l := labels.Read(textOf(g.chars[i:])); l.Kind != label.Unknown || l.Layout != nil {
			return scanRead{label: l, before: g.chars[i].before, scan: true}
		}
	}
	if first == len(g.chars) || !g.byScanner(at, labels.Before) && g.pause(at) > together && len(g.chars)-first < many {
		return scanRead{}
	}
	behind := first + g.keysAt(first)
	again := behind > first && labels.Read(textOf(g.chars[behind:])).Readable()
	for g.chars[first].before == nil || !g.begins(first) { // the first of all characters came alone
		first--
	}
	found := scanRead{label: labels.Read(textOf(g.chars[first:])), before: g.chars[first].before, scan: true, again: again}
	if found.chosen = found.before.selected; again && g.chars[behind].before != nil {
		found.chosen = g.chars[behind].before.selected
	}
	return found
}

// begins reports whether a scan may begin with this character. It may begin with the first one, and after a pause that is longer than a scan
// stops. But if scanner or hand was fast just before the pause, the pause is in the middle of a scan. A shorter pause shows nothing: what is
// before it may be the key of a person, or the first character of the label. Two fast digits in front may have chosen a bay.
func (g scanBuffer) begins(i int) bool {
	return i == 0 || g.pauseBefore(i) > within && (i == 1 || g.pauseBefore(i-1) > slow || i > 1 && g.choseBay(i-2))
}

// keysAt gives the number of keys that a person may have pressed from this index on, with the scan behind them: a bay's two digits, or one key.
func (g scanBuffer) keysAt(i int) int {
	switch {
	case i+2 < len(g.chars) && g.pauseBefore(i+2) > slow && g.choseBay(i):
		return 2
	case i+1 < len(g.chars) && g.pauseBefore(i+1) > slow && (i == 0 || g.pauseBefore(i) > slow):
		return 1
	}
	return 0
}

// choseBay reports whether the characters from this index on may be the two digits with which a person has chosen a bay.
func (g scanBuffer) choseBay(i int) bool {
	second := g.chars[i+1].before
	return second != nil && second.digits != "" && (i == 0 || g.pauseBefore(i) > slow)
}

// pauseBefore gives the time between a character and the one before it.
func (g scanBuffer) pauseBefore(i int) time.Duration { return g.chars[i].at.Sub(g.chars[i-1].at) }

// opensSearch are the keys of a person that lead to the search.
var opensSearch = regexp.MustCompile(`^h?f*/$`)

// inSearch leaves out the keys with which a person has opened the search.
func (g scanBuffer) inSearch() scanBuffer {
	for i, c := range g.chars {
		if c.before == nil || c.before.field == nil {
			continue
		}
		keys := scanBuffer{chars: g.chars[:i]}
		if opensSearch.MatchString(textOf(keys.chars[keys.recent(c.at):])) {
			g.chars = g.chars[i:]
		}
		break
	}
	return g
}

func textOf(chars []scanChar) string {
	text := make([]byte, 0, len(chars))
	for _, c := range chars {
		text = utf8.AppendRune(text, c.r)
	}
	return string(text)
}

// A view is what a key may change that only shows something.
type view struct {
	screen           screen
	selected, scroll int
	helpShown        bool
	dialog           *dialog
	field            *field
	digits           string
	cursor           int
	query            Query
}

func (m Model) shown() *view {
	return &view{m.screen, m.selected, m.scroll, m.helpShown, m.dialog, m.field, m.digits, m.history.cursor, m.history.query}
}

// showAgain goes back to an older view.
func (m Model) showAgain(v *view) (Model, tea.Cmd) {
	m.screen, m.selected, m.scroll, m.helpShown, m.dialog = v.screen, v.selected, v.scroll, v.helpShown, v.dialog
	m.field, m.digits, m.notice = v.field, v.digits, notice{}
	if m.history.query != v.query {
		m.history.query = v.query
		return m.search()
	}
	m.history.cursor = v.cursor
	return m, nil
}

// scanEnds reports whether a key ends a scan: enter, tab, line feed, ETX, EOT.
func scanEnds(key string) bool {
	switch key {
	case "enter", "tab", "ctrl+j", keyETX, "ctrl+d":
		return true
	}
	return false
}

// keyETX is what bubbletea calls the octet ETX, which is also Ctrl-C.
const keyETX = "ctrl+c"

// octet gives the control octet that a key stands for, if it may be a part of a label or of its frame, such as STX and GS.
func octet(msg tea.KeyPressMsg) (rune, bool) {
	if msg.Mod != tea.ModCtrl || msg.Code < '@' || msg.Code > 'z' {
		return 0, false
	}
	return msg.Code & 0x1f, true
}
