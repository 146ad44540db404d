package health

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"hallmark/station/label"
)

// A scan is what a scanner typed for one label.
type scan struct {
	before, text, after string // control octets in front, the text with a prefix of signs, control octets behind
	speed, longest      time.Duration
	label               label.Label
}

// newScan splits what was typed.
func newScan(typed []typedOctet, labels *label.Reader) scan {
	octets, pauses := make([]byte, len(typed)), make([]time.Duration, 0, len(typed))
	for i, t := range typed {
		if octets[i] = t.octet; i > 0 {
			pauses = append(pauses, t.at.Sub(typed[i-1].at))
		}
	}
	whole := string(octets)
	s := scan{label: labels.Read(whole)}
	s.text = strings.TrimFunc(whole, unicode.IsControl)
	s.before, s.after, _ = strings.Cut(whole, s.text)
	if s.text == "" {
		s.before, s.after = "", whole
	}
	if slices.Sort(pauses); len(pauses) > 0 {
		s.speed, s.longest = pauses[len(pauses)/2], pauses[len(pauses)-1]
	}
	return s
}

// names of control octets (ECMA-48), and the key of the last one.
var octetNames = map[byte]string{0x02: "STX", 0x03: "ETX", 0x04: "EOT", '\t': "tab", '\n': "line feed", '\r': "enter", 0x1c: "FS", 0x1d: "GS", 0x1e: "RS", 0x1f: "US"}

// frameText names the octets of a prefix or a suffix.
func frameText(text string) string {
	if text == "" {
		return "none"
	}
	var parts []string
	for _, octet := range []byte(text) {
		name, known := octetNames[octet]
		if !known {
			name = strconv.QuoteToASCII(string(rune(octet)))
		}
		parts = append(parts, name)
	}
	return strings.Join(parts, " ")
}

var kindNames = map[label.Kind]string{label.Badge: "badge", label.Order: "work order", label.Board: "BoardID", label.Serial: "serial number", label.Bay: "bay"}

func (s scan) lines() []string {
	what := "no label of this station"
	if name, known := kindNames[s.label.Kind]; known {
		what = name + " " + strconv.QuoteToASCII(s.label.Text)
	}
	return []string{strconv.QuoteToASCII(s.text), what,
		fmt.Sprintf("%d ms for a character, the longest %d ms; in front: %s; behind: %s", s.speed.Milliseconds(), s.longest.Milliseconds(), frameText(s.before), frameText(s.after))}
}

// A scannerFinding is what three scans show.
type scannerFinding struct {
	text           []string
	wrong          int
	prefix, suffix string
}

func (f *scannerFinding) fine(format string, args ...any) {
	f.text = append(f.text, "ok    "+fmt.Sprintf(format, args...))
}

func (f *scannerFinding) bad(format string, args ...any) {
	f.text, f.wrong = append(f.text, "FAIL  "+fmt.Sprintf(format, args...)), f.wrong+1
}

// conclude compares the scans.
func conclude(scans []scan, labels *label.Reader) (f scannerFinding) {
	f.speed(scans)
	f.frame(scans, labels)
	f.keyboard(scans)
	f.readable(scans, f.framed(labels))
	return f
}

func (f *scannerFinding) speed(scans []scan) {
	slowest := slices.MaxFunc(scans, func(a, b scan) int { return int(a.speed - b.speed) }).speed
	longest := slices.MaxFunc(scans, func(a, b scan) int { return int(a.longest - b.longest) }).longest
	f.fine("speed: up to %d ms for a character, with pauses of up to %d ms; the screen takes any speed", slowest.Milliseconds(), longest.Milliseconds())
}

// frame finds prefix and suffix that all scans have.
func (f *scannerFinding) frame(scans []scan, labels *label.Reader) {
	f.prefix, f.suffix = scans[0].before, scans[0].after
	for _, s := range scans {
		if s.before != f.prefix || s.after != f.suffix {
			f.bad("frame: the scans have different ones: in front %s and %s, behind %s and %s; set the same for all kinds of codes",
				frameText(f.prefix), frameText(s.before), frameText(f.suffix), frameText(s.after))
			f.prefix, f.suffix = "", ""
			return
		}
	}
	bare := *labels
	bare.Before, bare.After = "", ""
	front, behind := signsInFront(scans), signsBehind(scans)
	if f.suffix != "" {
		behind = "" // signs before a control octet are a part of the label
	}
	front, behind = frameOf(scans, front, behind, &bare)
	f.prefix += front
	f.fine("prefix: %s", frameText(f.prefix))
	if f.suffix == "" {
		f.suffix = behind
	}
	if f.suffix == "" {
		f.bad("suffix: none; set the scanner to send enter behind each label, or the screen does not know where a label ends")
		return
	}
	f.fine("suffix: %s", frameText(f.suffix))
}

// frameOf takes so many of the common signs as frame that the labels can be read: the other signs belong to the labels. In front it takes
// as few as possible, and behind as many, because the code of a badge or an order may end with any sign. If no choice makes all
// labels readable, all signs are the frame.
func frameOf(scans []scan, front, behind string, bare *label.Reader) (prefix, suffix string) {
	for i := range len(front) + 1 {
		for j := range len(behind) + 1 {
			prefix, suffix = front[:i], behind[j:]
			if !slices.ContainsFunc(scans, func(s scan) bool {
				return bare.Read(strings.TrimSuffix(strings.TrimPrefix(s.text, prefix), suffix)).Kind == label.Unknown
			}) {
				return prefix, suffix
			}
		}
	}
	return front, behind
}

// signsInFront gives the signs with which all texts begin. An AIM identifier is no prefix.
func signsInFront(scans []scan) string {
	common := scans[0].text
	for _, s := range scans {
		for !strings.HasPrefix(s.text, common) {
			common = common[:len(common)-1]
		}
	}
	end := strings.IndexFunc(common, func(r rune) bool { return !isSign(r) })
	if end < 0 {
		end = len(common)
	}
	return strings.TrimSuffix(common[:end], "]")
}

// signsBehind gives the signs with which all texts end.
func signsBehind(scans []scan) string {
	common := scans[0].text
	for _, s := range scans {
		for !strings.HasSuffix(s.text, common) {
			common = common[1:]
		}
	}
	return common[strings.LastIndexFunc(common, func(r rune) bool { return !isSign(r) })+1:]
}

func isSign(r rune) bool { return r < utf8.RuneSelf && !unicode.IsLetter(r) && !unicode.IsDigit(r) }

func (f *scannerFinding) keyboard(scans []scan) {
	layout, capsLock := (*label.Layout)(nil), false
	for _, s := range scans {
		capsLock = capsLock || s.label.CapsLock
		if layout == nil {
			layout = s.label.Layout
		}
	}
	if layout == nil {
		f.fine("keyboard layout: scanner and computer agree on what was scanned")
	} else {
		f.bad("keyboard layout: the scanner is set to %q and the computer to %q: %q came for %q; set the scanner's keyboard country to %q",
			layout.Scanner, layout.Computer, layout.Came, layout.For, layout.Computer)
	}
	if capsLock {
		f.bad("caps lock: it is on, and changes the letters; switch it off")
	} else {
		f.fine("caps lock: off, as far as the labels show")
	}
}

// framed gives the reader with the prefix and the suffix that were seen.
func (f *scannerFinding) framed(labels *label.Reader) *label.Reader {
	framed := *labels
	framed.Before, framed.After = f.prefix, ""
	return &framed
}

func (f *scannerFinding) readable(scans []scan, labels *label.Reader) {
	for i, s := range scans {
		text := strings.TrimSuffix(s.before+s.text, f.suffix)
		if l := labels.Read(text); l.Kind == label.Unknown {
			f.bad("label %d: no label of this station: %s; describe it under labels in station.yaml (station.example.yaml shows how)", i+1, strconv.QuoteToASCII(text))
		}
	}
}

// lines are the findings and the lines for station.yaml.
func (f *scannerFinding) lines() []string {
	suffix := f.suffix
	if strings.Trim(suffix, "\r\n\t\x03\x04") == "" { // the screen knows these
		suffix = ""
	}
	return append(slices.Clone(f.text), "", "For station.yaml:", "", "scanner:", "  prefix: "+yamlText(f.prefix), "  suffix: "+yamlText(suffix))
}

// yamlText quotes ASCII as YAML 1.2 wants it in double quotes.
func yamlText(text string) string {
	var b strings.Builder
	for _, octet := range []byte(text) {
		switch {
		case octet == '"' || octet == '\\':
			b.WriteString(`\` + string(rune(octet)))
		case octet < ' ' || octet >= 0x7f:
			fmt.Fprintf(&b, `\x%02x`, octet)
		default:
			b.WriteByte(octet)
		}
	}
	return `"` + b.String() + `"`
}
