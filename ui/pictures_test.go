package ui

import (
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"hallmark/station"
	"hallmark/ui/catalogue"
)

// The pictures of docs/operator.md are the real screen, drawn as SVG. `go test ./ui -run Pictures -update` draws them anew.
func TestThePicturesOfTheOperatorsPageAreCurrent(t *testing.T) {
	for name, picture := range map[string]struct {
		w, h, bays int
		scene      func(d *driver)
	}{
		"start": {80, 16, 4, func(d *driver) {
			d.screen, d.operator, d.checks = screenStart, Operator{}, checksView{}
			d.send(d.runChecks()())
		}},
		"bench": {112, 30, 8, func(d *driver) {
			for _, e := range mixed(8)[:7] {
				d.send(EventMsg{e})
			}
			d.send(EventMsg{ended(7, "8", station.Reject, "clone")})
			d.facts.Bays = []BayFacts{{Name: "8", Stopped: "clone"}}
			d.send(factsMsg{facts: d.facts})
			d.selected = 1
		}},
		"order": {80, 16, 4, func(d *driver) {
			d.key("o")
			d.key("WO-4712")
		}},
		"history": {112, 24, 8, func(d *driver) {
			for i := range 30 {
				e := ended(i, fmt.Sprint(i%8+1), []station.Ending{station.Pass, station.Pass, station.Reject, station.Pass, station.Fault, station.Pass}[i%6], []string{"", "", "store-io", "", "no-answer", ""}[i%6])
				d.station.rows = append(d.station.rows, Row{Run: e.Run, At: at(float64(-3600*22 - i*97)), Bay: e.Bay, BoardID: e.Snap.Identity.ID.String(),
					Order: "WO-4711", Operator: "op17", Ending: e.Snap.Ending, Outcome: e.Snap.Outcome, Reason: e.Snap.Reason})
			}
			d.key("h")
			d.key("down")
			d.key("down")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			d := drive(t, picture.bays, picture.w, picture.h, "en")
			d.theme = newTheme(SchemeDark, unicodeCharacters)
			picture.scene(d)
			path := filepath.Join("..", "docs", "pictures", name+".svg")
			got := svg(d.canvas(nil), darkTerminal)
			if err := xml.Unmarshal([]byte(got), new(struct{})); err != nil {
				t.Fatalf("the picture is no XML: %v", err)
			}
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if string(want) != got {
				t.Errorf("%s is not the screen any more: make it with -update and look at it", path)
			}
		})
	}
}

// The page names words of the screen in bold capitals and in quotation marks: the English texts have each of them.
func TestTheOperatorsPageNamesWhatTheScreenShows(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "docs", "operator.md"))
	if err != nil {
		t.Fatal(err)
	}
	texts := load(t, catalogue.Reference)
	var all strings.Builder
	for _, key := range texts.Keys() {
		all.WriteString(texts.Text(key) + "\n")
	}
	words := regexp.MustCompile(`\*\*([A-Z]{4,}[A-Z ]*|automatic)\*\*|"([A-Z][^"]+)"`).FindAllStringSubmatch(string(page), -1)
	if len(words) < 15 {
		t.Fatalf("the page has only %d words of the screen", len(words))
	}
	for _, word := range words {
		if word := word[1] + word[2]; !strings.Contains(all.String(), word) {
			t.Errorf("the screen does not say %q", word)
		}
	}
}

// Size of a cell in pixels.
const (
	cellWidth  = 9
	cellHeight = 18
)

// An appearance is how a style is drawn.
type appearance struct {
	front, back      string // colours; back is empty for the background of the terminal
	bold, underlined bool
}

// A terminalLook has the colours of text without a style.
type terminalLook struct{ front, back, faint string }

var (
	darkTerminal  = terminalLook{"#d4d8de", "#14171c", "#8b929c"}
	lightTerminal = terminalLook{"#14171c", "#ffffff", "#5c6570"}
)

// colours are those of a terminal: black, red, green, yellow, blue, magenta, cyan, white, and the same bright.
var colours = [16]string{"#14171c", "#c93037", "#3fae5a", "#e0a92e", "#2f62b5", "#a45bb0", "#4fc1cf", "#b9bfc8",
	"#5c6570", "#ff6b70", "#6fdc8c", "#ffd666", "#6ea3ff", "#d68ae0", "#86e5f0", "#ffffff"}

// appearanceOf reads the escape sequence of a style (ECMA-48, SGR).
func appearanceOf(code string, terminal terminalLook) appearance {
	l := appearance{front: terminal.front}
	for _, word := range strings.Split(strings.TrimSuffix(strings.TrimPrefix(code, "\x1b["), "m"), ";") {
		n, _ := strconv.Atoi(word)
		switch {
		case n == 1:
			l.bold = true
		case n == 2:
			l.front = terminal.faint
		case n == 4:
			l.underlined = true
		case n == 7:
			l.front, l.back = terminal.back, terminal.front
		case n >= 30 && n < 38:
			l.front = colours[n-30]
		case n >= 40 && n < 48:
			l.back = colours[n-40]
		case n >= 90 && n < 98:
			l.front = colours[n-90+8]
		case n >= 100 && n < 108:
			l.back = colours[n-100+8]
		}
	}
	return l
}

// svg draws a canvas. Frames and blocks are drawn as lines and rectangles, because fonts leave gaps between them.
func svg(c *canvas, terminal terminalLook) string {
	var b strings.Builder
	w, h := c.w*cellWidth, c.h*cellHeight
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="-8 -8 %d %d">
<style>text{font:15px "DejaVu Sans Mono","Liberation Mono",Consolas,Menlo,monospace;white-space:pre}.b{font-weight:bold}</style>
<rect x="-8" y="-8" width="%d" height="%d" rx="6" fill="%s"/>
`, w+16, h+16, w+16, h+16, w+16, h+16, terminal.back)
	for y := range c.h {
		row := c.cells[y*c.w : (y+1)*c.w]
		for x := 0; x < len(row); {
			end := x
			for end < len(row) && row[end].s == row[x].s {
				end++
			}
			svgRun(&b, x, y, row[x:end], appearanceOf(c.theme.codes[row[x].s], terminal))
			x = end
		}
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// svgRun draws cells of one style: the background, then the shapes, then the words.
func svgRun(b *strings.Builder, x, y int, cells []cell, l appearance) {
	if l.back != "" {
		svgRect(b, x*cellWidth, y*cellHeight, len(cells)*cellWidth, cellHeight, l.back)
	}
	for i := 0; i < len(cells); i++ {
		same := 1
		for i+same < len(cells) && cells[i+same].r == cells[i].r {
			same++
		}
		if svgShape(b, (x+i)*cellWidth, y*cellHeight, same, cells[i].r, l.front) {
			i += same - 1
			continue
		}
		end := i
		for end < len(cells) && !isShape(cells[end].r) && (cells[end].r != ' ' || end+1 < len(cells) && cells[end+1].r != ' ') {
			end++
		}
		if text := textIn(cells[i:end]); strings.TrimSpace(text) != "" {
			svgText(b, x+i, y, text, l)
			i = end - 1
		}
	}
}

func textIn(cells []cell) string {
	var text strings.Builder
	for _, cell := range cells {
		if cell.r != 0 {
			text.WriteRune(cell.r)
		}
	}
	return text.String()
}

func svgText(b *strings.Builder, x, y int, text string, l appearance) {
	lead := len(text) - len(strings.TrimLeft(text, " "))
	text = text[lead:]
	class := ""
	if l.bold {
		class = ` class="b"`
	}
	if l.underlined {
		class += ` text-decoration="underline"`
	}
	var escaped strings.Builder
	_ = xml.EscapeText(&escaped, []byte(text)) // a Builder takes everything
	fmt.Fprintf(b, `<text x="%d" y="%d" fill="%s" textLength="%d"%s>%s</text>`+"\n", (x+lead)*cellWidth, y*cellHeight+14, l.front, width(text)*cellWidth, class, escaped.String())
}

func svgRect(b *strings.Builder, x, y, w, h int, colour string) {
	fmt.Fprintf(b, `<rect x="%d" y="%d" width="%d" height="%d" fill="%s" shape-rendering="crispEdges"/>`+"\n", x, y, w, h, colour)
}

// quarterRunes are the cells by their quarters: 1 is top left, 2 top right, 4 bottom left, 8 bottom right.
var quarterRunes = []rune(" ▘▝▀▖▌▞▛▗▚▐▜▄▙▟█")

// frameArms gives the arms of a frame's corner or line: 1 left, 2 right, 4 up, 8 down, and 16 for a double line.
var frameArms = map[rune]int{'─': 3, '│': 12, '┌': 10, '┐': 9, '└': 6, '┘': 5, '═': 19, '║': 28, '╔': 26, '╗': 25, '╚': 22, '╝': 21}

func isShape(r rune) bool {
	return frameArms[r] != 0 || r == '░' || r != ' ' && strings.ContainsRune(string(quarterRunes), r)
}

// svgShape draws a number of the same blocks or frames side by side. It reports false for a character that is none.
func svgShape(b *strings.Builder, x, y, number int, r rune, colour string) bool {
	if !isShape(r) {
		return false
	}
	if arms := frameArms[r]; arms != 0 {
		if arms&3 == 3 {
			svgFrame(b, x, y, number, arms, colour)
			return true
		}
		for i := range number {
			svgFrame(b, x+i*cellWidth, y, 1, arms, colour)
		}
		return true
	}
	if r == '░' {
		fmt.Fprintf(b, `<rect x="%d" y="%d" width="%d" height="%d" fill="%s" fill-opacity="0.25"/>`+"\n", x, y, number*cellWidth, cellHeight, colour)
		return true
	}
	quarters := strings.Index(string(quarterRunes), string(r))
	quarters = len([]rune(string(quarterRunes)[:quarters]))
	left, top := (cellWidth+1)/2, cellHeight/2
	switch quarters {
	case 15:
		svgRect(b, x, y, number*cellWidth, cellHeight, colour)
	case 3:
		svgRect(b, x, y, number*cellWidth, top, colour)
	case 12:
		svgRect(b, x, y+top, number*cellWidth, cellHeight-top, colour)
	default:
		for i := range number {
			for q := range 4 {
				if quarters&(1<<q) != 0 {
					svgRect(b, x+i*cellWidth+q%2*left, y+q/2*top, left-q%2, top, colour)
				}
			}
		}
	}
	return true
}

// svgFrame draws the arms of a number of the same cells of a frame. Only lines from left to right repeat.
func svgFrame(b *strings.Builder, x, y, number, arms int, colour string) {
	thick := 1
	if arms&16 != 0 {
		thick = 3
	}
	midX, midY := cellWidth/2-thick/2, cellHeight/2-thick/2
	switch arms & 15 {
	case 3:
		svgRect(b, x, y+midY, number*cellWidth, thick, colour)
		return
	case 12:
		svgRect(b, x+midX, y, thick, cellHeight, colour)
		return
	}
	for _, arm := range []struct{ bit, x, y, w, h int }{
		{1, 0, midY, midX + thick, thick}, {2, midX, midY, number*cellWidth - midX, thick},
		{4, midX, 0, thick, midY + thick}, {8, midX, midY, thick, cellHeight - midY},
	} {
		if arms&arm.bit != 0 {
			svgRect(b, x+arm.x, y+arm.y, arm.w, arm.h, colour)
		}
	}
}
