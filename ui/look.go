package ui

import (
	"io"
	"strings"

	"github.com/charmbracelet/lipgloss"

	"hallmark/station"
)

// A style is what a text means; what it looks like is decided in newLook.
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
	none               string // a figure that there is not
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

// A look is how this terminal shows things. It is made once and never changed.
type look struct {
	ascii  bool
	shapes shapes
	codes  [styles]code
}

type code struct{ open, close string }

// newLook takes the colours that the terminal behind out is known to have; without colour
// no style has an escape sequence at all (NO_COLOR, no-color.org).
func newLook(out io.Writer, colour, ascii bool) *look {
	l := &look{ascii: ascii, shapes: unicodeShapes()}
	if ascii {
		l.shapes = asciiShapes()
	}
	if !colour {
		return l
	}
	for s, look := range palette(lipgloss.NewRenderer(out)) {
		l.codes[s] = sgr(look)
	}
	return l
}

const black = "0"

// palette uses the sixteen colours that every terminal has and every theme keeps readable.
func palette(r *lipgloss.Renderer) [styles]lipgloss.Style {
	on := func(front, back string) lipgloss.Style {
		// Bold black is grey on terminals that brighten what is bold, and grey on green is no word at all.
		return r.NewStyle().Bold(front != black).Foreground(lipgloss.Color(front)).Background(lipgloss.Color(back))
	}
	in := func(front string) lipgloss.Style {
		return r.NewStyle().Bold(true).Foreground(lipgloss.Color(front))
	}
	return [styles]lipgloss.Style{
		plain: r.NewStyle(), dim: r.NewStyle().Faint(true), strong: r.NewStyle().Bold(true),
		bar: on("15", "4"), barAlarm: on("15", "1"), barWarn: on(black, "3"),
		running: in("6"), passed: on(black, "2"), rejected: on("15", "1"), faulted: on(black, "3"), aborted: on(black, "7"),
		passText: in("2"), rejectText: in("1"), faultText: in("3"), abortText: in("7"),
		chosen: r.NewStyle().Reverse(true), keycap: in("6"),
	}
}

// sgr takes a style apart into what begins and what ends it.
func sgr(s lipgloss.Style) code {
	open, end, _ := strings.Cut(s.Render("x"), "x")
	return code{open, end}
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
