package html

import (
	"cmp"
	"strings"
	"unicode"

	"hallmark/station/audit"
)

// An event is an entry with plain texts: no part is missing, and no text of a board or an
// operator can change how the text around it reads.
type event struct {
	Seq                                int64
	Time                               audit.Time
	kind, outcome, reason, actor       string
	station, board, hardware           string
	run, bay, operator, ending, passed string // ending: of the Run that the entry closes; passed: outcome of a Pass
	serial, status, order, product     string
	quota, counted                     int64
	rework                             bool
	hasCertificate, hasOrder           bool
	steps                              []audit.Step
	details                            map[string]string
}

func eventOf(e *audit.Entry) event {
	out := event{Seq: e.Seq, Time: e.Time, kind: clean(e.Type), outcome: shown(string(e.Outcome)), reason: clean(e.Reason), actor: shown(e.Actor.ID),
		station: clean(e.Station), details: e.Details}
	if b := e.Board; b != nil {
		out.board, out.hardware = clean(b.ID), clean(b.HardwareID)
	}
	if r := e.Run; r != nil {
		out.run, out.bay, out.operator, out.passed, out.steps = clean(r.ID), clean(r.Bay), clean(r.Operator), clean(r.Outcome), r.Steps
	}
	if c := e.Cert; c != nil {
		out.hasCertificate, out.serial, out.status, out.rework = true, clean(c.Serial), clean(c.Status), c.Rework
	}
	if o := e.WorkOrder; o != nil {
		out.hasOrder, out.order, out.product, out.quota, out.counted = true, clean(o.ID), clean(o.Product), o.Quota, o.Counted
	}
	if ending, ok := strings.CutPrefix(out.kind, "run."); ok && endings[ending] {
		out.ending = ending
	}
	return out
}

// shown gives a text that is never empty.
func shown(text string) string { return cmp.Or(clean(text), "\u2013") }

// maxText is the longest text in runes that the report shows of an entry.
const maxText = 400

// maxMarks is how many combining marks may follow each other.
const maxMarks = 2

// clean makes a text from a board or an operator harmless to read. Each character that is not
// visible becomes U+FFFD: control characters, bidi controls (Unicode UAX 9), joiners, spaces other
// than U+0020. Towers of combining marks and endless texts are cut.
func clean(text string) string {
	if plain(text) {
		return text
	}
	var out strings.Builder
	runes, marks := 0, 0
	for _, r := range text {
		if marks = marks + 1; !unicode.Is(unicode.M, r) {
			marks = 0
		}
		if marks > maxMarks {
			continue
		}
		if runes++; runes > maxText {
			out.WriteRune('…')
			break
		}
		if !unicode.IsPrint(r) {
			r = unicode.ReplacementChar
		}
		out.WriteRune(r)
	}
	return out.String()
}

// plain reports whether a text is printable ASCII and short, as nearly all texts are.
func plain(text string) bool {
	if len(text) > maxText {
		return false
	}
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}
