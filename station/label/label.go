// Package label reads what a barcode scanner types. A scanner is a keyboard: it may put a prefix in front of a label and a
// suffix behind it, it may name the kind of the code, caps lock changes its letters, and it may be set to another keyboard
// layout than the computer.
package label

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/google/uuid"
)

// Kind is what a label is for.
type Kind uint8

// The kinds of labels.
const (
	Unknown Kind = iota
	Badge        // signs an operator in
	Order        // selects a work order
	Board        // a BoardID
	Serial       // the serial number of a board's certificate
	Bay          // chooses a bay
)

// Prefixes tell labels apart that no pattern describes. A BoardID with dashes needs none.
type Prefixes struct{ Badge, Order, Bay string }

// Usual returns the prefixes that the documentation shows how to print.
func Usual() Prefixes { return Prefixes{Badge: "OP-", Order: "WO-", Bay: "BAY-"} }

// A Reader tells what a scanned text is. The zero value knows no prefix, no pattern, and the form of a BoardID with dashes.
type Reader struct {
	Prefixes Prefixes
	Patterns []Pattern // tried in this order, before the prefixes
	Before   string    // the scanner types this in front of each label, may be empty
	After    string    // the scanner types this behind each label; empty: enter, tab, line feed, ETX or EOT
}

// NewReader makes a Reader with the usual prefixes.
func NewReader() *Reader { return &Reader{Prefixes: Usual()} }

// A Label is a text that was read.
type Label struct {
	Kind Kind
	// Text is the BoardID with dashes, the serial number, or the code of a badge, work order or bay. The prefix of a
	// badge or a work order is a part of its code, the prefix of a bay is not. Of an unknown label it is the whole text.
	Text string
	// CapsLock says that caps lock had changed the letters. Text has the letters of the label.
	CapsLock bool
	// Layout says that the scanner is set to another keyboard layout than the computer. The label counts for nothing
	// then, because some of its characters may be wrong.
	Layout *Layout
	// NoPrefix says that the prefix was missing that Reader.Before demands.
	NoPrefix bool
}

// Readable reports whether the label may do what its kind does.
func (l Label) Readable() bool { return l.Kind != Unknown && l.Layout == nil && !l.NoPrefix }

// aim is an AIM identifier (ISO/IEC 15424): the scanner names the kind of the code, such as ]C1 or ]d2.
var aim = regexp.MustCompile(`^\][A-Za-z][0-9A-Za-z]`)

// Read reads one scanned text, without the key that ended it.
func (r *Reader) Read(text string) Label {
	text, framed := r.unframe(text)
	l := r.named(text)
	if !framed && l.Kind != Unknown {
		l.NoPrefix = true
	}
	return l
}

// named reads a text without its frame. It tries the text as it is, then with the letters that caps lock had changed, then
// as typed on other keyboards.
func (r *Reader) named(text string) Label {
	if l, known := r.exact(text); known {
		return l
	}
	if l, known := r.exact(swapCase(text)); known {
		l.CapsLock = true
		return l
	}
	if l, known := r.anyCase(text); known {
		return l
	}
	for i := range layouts {
		meant, changed := layouts[i].undo(text)
		if changed == "" {
			continue
		}
		for _, one := range []string{meant, swapCase(meant)} {
			meant, _ := r.unframe(one)
			if l, known := r.exact(meant); known {
				return Label{Kind: l.Kind, Text: l.Text, Layout: layouts[i].seen(text)}
			}
		}
	}
	return Label{Text: text}
}

// unframe takes prefix, suffix and AIM identifier away, and the control octets at both ends. It reports whether the demanded
// prefix was there.
func (r *Reader) unframe(text string) (inner string, framed bool) {
	framed = r.Before == ""
	if i := strings.Index(text, r.Before); r.Before != "" && i >= 0 {
		text, framed = text[i+len(r.Before):], true
	}
	if r.After != "" {
		text = strings.TrimSuffix(text, r.After)
	}
	text = strings.TrimFunc(text, atEnds)
	if id := aim.FindString(text); id != "" {
		text = strings.TrimLeftFunc(text[len(id):], atEnds)
	}
	return text, framed
}

// atEnds reports whether a character at an end of a text belongs to the scanner, and not to the label.
func atEnds(r rune) bool { return r < ' ' || r == ' ' || r == 0x7f }

// exact reads a text whose letters are as they were printed.
func (r *Reader) exact(text string) (Label, bool) {
	for i := range r.Patterns {
		if l, fits := r.Patterns[i].read(text); fits {
			return l, true
		}
	}
	if id, err := uuid.Parse(text); err == nil && len(text) == dashed {
		return Label{Kind: Board, Text: id.String()}, true
	}
	if strings.ContainsFunc(text, func(c rune) bool { return !unicode.IsPrint(c) }) {
		return Label{Text: text}, false
	}
	return r.prefixed(text, func(text, prefix string) bool { return strings.HasPrefix(text, prefix) })
}

// anyCase reads a label that was typed in any case.
func (r *Reader) anyCase(text string) (Label, bool) {
	if strings.ContainsFunc(text, func(c rune) bool { return !unicode.IsPrint(c) }) {
		return Label{}, false
	}
	return r.prefixed(text, func(text, prefix string) bool {
		return len(text) >= len(prefix) && strings.EqualFold(text[:len(prefix)], prefix)
	})
}

func (r *Reader) prefixed(text string, begins func(text, prefix string) bool) (Label, bool) {
	p := r.Prefixes
	switch {
	case p.Badge != "" && begins(text, p.Badge):
		return Label{Kind: Badge, Text: p.Badge + text[len(p.Badge):]}, true
	case p.Order != "" && begins(text, p.Order):
		return Label{Kind: Order, Text: p.Order + text[len(p.Order):]}, true
	case p.Bay != "" && begins(text, p.Bay):
		return Label{Kind: Bay, Text: text[len(p.Bay):]}, true
	}
	return Label{Text: text}, false
}

// dashed is the length of a UUID in text (RFC 9562 section 4).
const dashed = 36

// longestPIN is the longest typed text that patterns do not take for a label: a PIN may look like one.
const longestPIN = 16

// IsLabel reports whether a text that was typed where a PIN belongs is a label. It makes no string of the text, because the
// text may be the PIN.
func (r *Reader) IsLabel(text []rune) bool {
	for _, prefix := range []string{r.Before, r.Prefixes.Badge, r.Prefixes.Order, r.Prefixes.Bay} {
		if begins := []rune(prefix); len(begins) > 0 && len(text) >= len(begins) && slices.EqualFunc(text[:len(begins)], begins, sameLetter) {
			return true
		}
	}
	if len(text) > longestPIN && slices.ContainsFunc(r.Patterns, func(p Pattern) bool { return p.expression.MatchReader(&runes{text}) }) {
		return true
	}
	return isUUID(text)
}

func sameLetter(a, b rune) bool { return unicode.ToUpper(a) == unicode.ToUpper(b) }

func isUUID(text []rune) bool {
	for i, r := range text {
		hyphen := i == 8 || i == 13 || i == 18 || i == 23
		if hyphen != (r == '-') || !hyphen && !unicode.Is(unicode.ASCII_Hex_Digit, r) {
			return false
		}
	}
	return len(text) == dashed
}

// swapCase gives the letters that caps lock changes.
func swapCase(text string) string {
	return strings.Map(func(r rune) rune { return cmp.Or(swapped(r), r) }, text)
}

func swapped(r rune) rune {
	if unicode.IsUpper(r) {
		return unicode.ToLower(r)
	}
	return unicode.ToUpper(r)
}
