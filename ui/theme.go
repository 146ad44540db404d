package ui

import (
	"errors"
	"regexp"
	"unicode"

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
	thin               rune // of a bar that is one of several below each other
	done, now, todo    rune // of a step
	ending             map[station.Ending]rune
	next               string
	half               [4]rune  // a cell with nothing, its upper half, its lower half, both
	quarters           [16]rune // a cell by its quarters: 1 is top left, 2 top right, 4 bottom left, 8 bottom right
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
		full: '█', empty: '░', thin: '▄', done: '●', now: '►', todo: '○', next: "→ ",
		ending: map[station.Ending]rune{station.Pass: '✓', station.Reject: '✗', station.Fault: '▲', station.Aborted: '■'},
		half:   [4]rune{' ', '▀', '▄', '█'}, quarters: [16]rune([]rune(" ▘▝▀▖▌▞▛▗▚▐▜▄▙▟█")), spark: []rune("▁▂▃▄▅▆▇█"), cursor: '►', dot: " · ", none: "—",
	}
}

func asciiShapes() shapes {
	return shapes{
		ellipsis: "~", frame: border{'-', '|', [4]rune{'+', '+', '+', '+'}}, chosenFrame: border{'=', '#', [4]rune{'#', '#', '#', '#'}},
		full: '#', empty: '.', thin: '=', done: '*', now: '>', todo: '.', next: "> ",
		ending: map[station.Ending]rune{station.Pass: '+', station.Reject: 'X', station.Fault: '!', station.Aborted: '#'},
		spark:  []rune("_.-=+*%#"), cursor: '>', dot: " | ", none: "-",
	}
}

// consoleShapes are for the console of Linux: its fonts have the characters of ISO 8859-1, frames and half blocks, and
// no check marks, circles or quarter blocks.
func consoleShapes() shapes {
	all, ascii := unicodeShapes(), asciiShapes()
	all.ellipsis, all.done, all.now, all.todo, all.next = ascii.ellipsis, ascii.done, ascii.now, ascii.todo, ascii.next
	all.ending, all.quarters, all.spark, all.cursor, all.none = ascii.ending, ascii.quarters, ascii.spark, ascii.cursor, ascii.none
	return all
}

// A charset says what characters a terminal can show.
type charset uint8

const (
	unicodeCharacters charset = iota
	consoleCharacters
	asciiCharacters
)

// charactersOf gives the characters of a terminal. ascii says that the locale is not UTF-8, kind is TERM.
func charactersOf(ascii bool, kind string) charset {
	switch {
	case ascii:
		return asciiCharacters
	case kind == "linux":
		return consoleCharacters
	}
	return unicodeCharacters
}

// A ColourScheme is a choice of colours.
type ColourScheme string

// The colour schemes. Dark is the usual one.
const (
	SchemeDark     ColourScheme = "dark"     // for a terminal with a dark background
	SchemeLight    ColourScheme = "light"    // for a terminal with a light background
	SchemeContrast ColourScheme = "contrast" // black, white and reverse alone
	SchemeNone     ColourScheme = "none"     // no colours and no bold text
)

// ErrScheme refuses another word.
var ErrScheme = errors.New("want dark, light, contrast or none")

// Set reads the name of a scheme, as package pflag does.
func (s *ColourScheme) Set(name string) error {
	switch scheme := ColourScheme(name); scheme {
	case SchemeDark, SchemeLight, SchemeContrast, SchemeNone:
		*s = scheme
		return nil
	}
	return ErrScheme
}

func (s *ColourScheme) String() string { return string(*s) }

// Type is the word for the value in the help of package pflag.
func (s *ColourScheme) Type() string { return "name" }

// A theme holds the colours and characters of this terminal. It is made once and never changed.
type theme struct {
	characters charset
	shapes     shapes
	codes      [styles]string // the sequence that begins a style, empty for plain
}

// newTheme makes a theme. With SchemeNone no style has an escape sequence at all (NO_COLOR, no-color.org).
func newTheme(scheme ColourScheme, c charset) *theme {
	l := &theme{characters: c, shapes: map[charset]func() shapes{unicodeCharacters: unicodeShapes, consoleCharacters: consoleShapes, asciiCharacters: asciiShapes}[c]()}
	if scheme == SchemeNone {
		return l
	}
	for s, shown := range palettes[scheme]() {
		if style(s) == dim && c == consoleCharacters {
			continue // the console of Linux draws faint text in a dark grey that nobody can read
		}
		if style(s) != plain && len(shown) > 0 {
			l.codes[s] = shown.String()
		}
	}
	return l
}

// text gives a text in characters that the terminal can show.
func (l *theme) text(s string) string {
	switch l.characters {
	case asciiCharacters:
		return replaced(s, unicode.MaxASCII)
	case consoleCharacters:
		return replaced(s, unicode.MaxLatin1)
	}
	return s
}

var palettes = map[ColourScheme]func() [styles]ansi.Style{SchemeDark: darkPalette, SchemeLight: lightPalette, SchemeContrast: contrastPalette}

// hasColours reports whether the terminal that the environment names shows colours. The terminals of DEC, such as a vt220, do not.
func hasColours(getenv func(string) string) bool {
	kind := getenv("TERM")
	return getenv("CLICOLOR_FORCE") == "1" || kind != "" && kind != "dumb" && !isDEC(kind)
}

var decTerminal = regexp.MustCompile(`^vt[0-9]`)

// isDEC reports whether TERM is a terminal of DEC, such as vt220. The window "vte-256color" is none.
func isDEC(kind string) bool { return decTerminal.MatchString(kind) }

// on is a text on a colour.
func on(front, back ansi.BasicColor) ansi.Style {
	s := ansi.NewStyle().ForegroundColor(front).BackgroundColor(back)
	if front == ansi.Black {
		return s // some terminals show bold black as grey, and nobody can read grey on green
	}
	return s.Bold()
}

// in is a coloured text.
func in(front ansi.BasicColor) ansi.Style { return ansi.NewStyle().Bold().ForegroundColor(front) }

// onYellow is a black text on bright yellow. The yellow before it is for terminals without bright backgrounds, such as the console
// of Linux; in many themes it is a brown on which black text has too little contrast.
func onYellow() ansi.Style { return on(ansi.Black, ansi.Yellow).BackgroundColor(ansi.BrightYellow) }

// inBright is a text in a bright colour. The dark colour before it is for terminals that have eight colours.
func inBright(dark, bright ansi.BasicColor) ansi.Style { return in(dark).ForegroundColor(bright) }

// darkPalette uses the sixteen colours that every terminal has. A test measures the contrast of each style.
func darkPalette() [styles]ansi.Style {
	return [styles]ansi.Style{
		dim: ansi.NewStyle().Faint(), strong: ansi.NewStyle().Bold(),
		bar: on(ansi.BrightWhite, ansi.Blue), barAlarm: on(ansi.BrightWhite, ansi.Red), barWarn: onYellow(),
		running: in(ansi.Cyan), passed: on(ansi.Black, ansi.Green), rejected: on(ansi.BrightWhite, ansi.Red),
		faulted: onYellow(), aborted: on(ansi.Black, ansi.White),
		passText: in(ansi.Green), rejectText: inBright(ansi.Red, ansi.BrightRed), faultText: inBright(ansi.Yellow, ansi.BrightYellow), abortText: in(ansi.White),
		chosen: ansi.NewStyle().Reverse(true), keycap: in(ansi.Cyan),
	}
}

// lightPalette has no yellow, green and cyan text, because nobody can read these on white. Bad endings have their colour behind them,
// and a Pass is bold.
func lightPalette() [styles]ansi.Style {
	p := darkPalette()
	p[dim] = ansi.NewStyle()
	p[running], p[keycap] = in(ansi.Blue), in(ansi.Blue)
	p[passText], p[rejectText], p[faultText] = ansi.NewStyle().Bold(), p[rejected], p[faulted]
	p[abortText] = ansi.NewStyle().Underline(true)
	return p
}

// contrastPalette has no colours: what is wrong is reverse, and what is of less weight is not faint.
func contrastPalette() [styles]ansi.Style {
	reverse, bold := ansi.NewStyle().Reverse(true), ansi.NewStyle().Bold()
	return [styles]ansi.Style{
		dim: ansi.NewStyle(), strong: bold, bar: reverse, barAlarm: bold, barWarn: bold,
		running: bold, passed: ansi.NewStyle(), rejected: reverse, faulted: reverse, aborted: ansi.NewStyle(),
		passText: bold, rejectText: reverse, faultText: reverse, abortText: bold, chosen: reverse, keycap: bold.Underline(true),
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
