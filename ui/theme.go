package ui

import (
	"strings"

	"github.com/charmbracelet/x/ansi"

	"hallmark/station"
)

// A style is the meaning of a text. newTheme chooses the look of each style.
type style uint8

const (
	plain style = iota
	dim
	strong
	bar      // header and footer
	barAlarm // in the header: something is wrong
	barWarn  // in the header: something is not as in production
	running
	passed
	rejected
	faulted
	aborted
	passText
	rejectText
	faultText
	abortText
	chosen // the bay or row under the cursor
	keycap
	styles // their number
)

// shapes are the characters that a terminal can show.
type shapes struct {
	ellipsis           string
	frame, chosenFrame border
	full, empty        rune // of a bar
	done, now, todo    rune // of a step
	ending             map[station.Ending]rune
	next               string
	half               [4]rune // a cell with nothing, its upper half, its lower half, both
	spark              []rune
	cursor             rune
	dot                string // between two facts
	none               string // in the place of a number that is not known
}

type border struct {
	horizontal, vertical rune
	corners              [4]rune
}

func unicodeShapes() shapes {
	return shapes{
		ellipsis: "…", frame: border{'─', '│', [4]rune{'┌', '┐', '└', '┘'}}, chosenFrame: border{'═', '║', [4]rune{'╔', '╗', '╚', '╝'}},
		full: '█', empty: '░', done: '●', now: '►', todo: '○', next: "→ ",
		ending: map[station.Ending]rune{station.Pass: '✓', station.Reject: '✗', station.Fault: '▲', station.Aborted: '■'},
		half:   [4]rune{' ', '▀', '▄', '█'}, spark: []rune("▁▂▃▄▅▆▇█"), cursor: '►', dot: " · ", none: "—",
	}
}

func asciiShapes() shapes {
	return shapes{
		ellipsis: "~", frame: border{'-', '|', [4]rune{'+', '+', '+', '+'}}, chosenFrame: border{'=', '#', [4]rune{'#', '#', '#', '#'}},
		full: '#', empty: '.', done: '*', now: '>', todo: '.', next: "> ",
		ending: map[station.Ending]rune{station.Pass: '+', station.Reject: 'X', station.Fault: '!', station.Aborted: '#'},
		spark:  []rune("_.-=+*%#"), cursor: '>', dot: " | ", none: "-",
	}
}

// A theme holds the colours and characters of this terminal. It is made once and never changed.
type theme struct {
	ascii  bool
	shapes shapes
	codes  [styles]string // the sequence that begins a style, empty for plain
}

// newTheme makes a theme. Without colour no style has an escape sequence at all (NO_COLOR, no-color.org).
func newTheme(colour, ascii bool) *theme {
	l := &theme{ascii: ascii, shapes: unicodeShapes()}
	if ascii {
		l.shapes = asciiShapes()
	}
	for s, shown := range palette() {
		if colour && style(s) != plain {
			l.codes[s] = shown.String()
		}
	}
	return l
}

// hasColours reports whether the terminal that the environment names shows colours. The terminals of DEC, such as a vt220, do not.
func hasColours(getenv func(string) string) bool {
	kind := getenv("TERM")
	return getenv("CLICOLOR_FORCE") == "1" || kind != "" && kind != "dumb" && !strings.HasPrefix(kind, "vt")
}

// palette uses the sixteen colours that every terminal has and every theme keeps readable.
func palette() [styles]ansi.Style {
	on := func(front, back ansi.BasicColor) ansi.Style {
		s := ansi.NewStyle().ForegroundColor(front).BackgroundColor(back)
		if front == ansi.Black {
			return s // some terminals show bold black as grey, and nobody can read grey on green
		}
		return s.Bold()
	}
	in := func(front ansi.BasicColor) ansi.Style { return ansi.NewStyle().Bold().ForegroundColor(front) }
	return [styles]ansi.Style{
		dim: ansi.NewStyle().Faint(), strong: ansi.NewStyle().Bold(),
		bar: on(ansi.BrightWhite, ansi.Blue), barAlarm: on(ansi.BrightWhite, ansi.Red), barWarn: on(ansi.Black, ansi.Yellow),
		running: in(ansi.Cyan), passed: on(ansi.Black, ansi.Green), rejected: on(ansi.BrightWhite, ansi.Red),
		faulted: on(ansi.Black, ansi.Yellow), aborted: on(ansi.Black, ansi.White),
		passText: in(ansi.Green), rejectText: in(ansi.Red), faultText: in(ansi.Yellow), abortText: in(ansi.White),
		chosen: ansi.NewStyle().Reverse(true), keycap: in(ansi.Cyan),
	}
}

// endingStyles gives the style of a filled area and of a text.
func endingStyles(e station.Ending) (area, text style) {
	switch e {
	case station.Pass:
		return passed, passText
	case station.Reject:
		return rejected, rejectText
	case station.Fault:
		return faulted, faultText
	case station.Aborted:
		return aborted, abortText
	}
	return plain, plain
}
