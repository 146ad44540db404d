package ui

import (
	"strings"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

// A canvas is a screen of cells. What is drawn outside is cut, so that no screen
// is wider or higher than the terminal.
type canvas struct {
	w, h  int
	cells []cell
	theme *theme
}

// A cell holds one rune; the second cell of a wide rune holds 0.
type cell struct {
	r rune
	s style
}

func newCanvas(w, h int, theme *theme) *canvas {
	c := &canvas{w: w, h: h, cells: make([]cell, w*h), theme: theme}
	c.blank()
	return c
}

// blank makes the canvas empty.
func (c *canvas) blank() {
	for i := range c.cells {
		c.cells[i] = cell{' ', plain}
	}
}

// put writes a clean text from (x, y) to the right, in at most limit columns,
// and gives the column after it.
func (c *canvas) put(x, y, limit int, s style, text string) int {
	if y < 0 || y >= c.h {
		return x
	}
	end := min(c.w, x+limit)
	for _, r := range clip(text, end-x, c.theme.shapes.ellipsis) {
		w := runeWidth(r)
		if x < 0 || x+w > end {
			break
		}
		c.set(x, y, cell{r, s})
		if w == 2 {
			c.set(x+1, y, cell{0, s})
		}
		x += w
	}
	return x
}

// right writes a text that ends before column x.
func (c *canvas) right(x, y, limit int, s style, text string) {
	text = clip(text, limit, c.theme.shapes.ellipsis)
	c.put(x-width(text), y, limit, s, text)
}

// centre writes a text in the middle of the columns x to x+w.
func (c *canvas) centre(x, y, w int, s style, text string) {
	text = clip(text, w, c.theme.shapes.ellipsis)
	c.put(x+(w-width(text))/2, y, w, s, text)
}

// fill gives a rectangle one style and one rune.
func (c *canvas) fill(x, y, w, h int, s style, r rune) {
	for row := max(y, 0); row < min(y+h, c.h); row++ {
		for column := max(x, 0); column < min(x+w, c.w); column++ {
			c.set(column, row, cell{r, s})
		}
	}
}

// set changes a cell. If the cell was one half of a wide character, the other half becomes a space.
func (c *canvas) set(x, y int, to cell) {
	row := c.cells[y*c.w : (y+1)*c.w]
	if row[x].r == 0 && x > 0 {
		row[x-1].r = ' '
	}
	if x+1 < len(row) && row[x+1].r == 0 {
		row[x+1].r = ' '
	}
	row[x] = to
}

// box draws a frame.
func (c *canvas) box(x, y, w, h int, s style, b border) {
	if w < 2 || h < 2 {
		return
	}
	c.fill(x+1, y, w-2, 1, s, b.horizontal)
	c.fill(x+1, y+h-1, w-2, 1, s, b.horizontal)
	c.fill(x, y+1, 1, h-2, s, b.vertical)
	c.fill(x+w-1, y+1, 1, h-2, s, b.vertical)
	c.fill(x, y, 1, 1, s, b.corners[0])
	c.fill(x+w-1, y, 1, 1, s, b.corners[1])
	c.fill(x, y+h-1, 1, 1, s, b.corners[2])
	c.fill(x+w-1, y+h-1, 1, 1, s, b.corners[3])
}

// String gives the screen as text with its escape sequences. Spaces without a style at
// the end of a line are left out.
func (c *canvas) String() string {
	var b strings.Builder
	b.Grow(len(c.cells) * 2)
	for y := range c.h {
		if y > 0 {
			b.WriteByte('\n')
		}
		c.line(&b, c.cells[y*c.w:(y+1)*c.w])
	}
	return b.String()
}

func (c *canvas) line(b *strings.Builder, cells []cell) {
	end := len(cells)
	for end > 0 && cells[end-1] == (cell{' ', plain}) {
		end--
	}
	c.change(b, c.cellsTo(b, cells[:end], plain), plain)
}

// cellsTo writes cells. The terminal has the style current before, and the returned style after.
func (c *canvas) cellsTo(b *strings.Builder, cells []cell, current style) style {
	for _, cell := range cells {
		if cell.r == 0 {
			continue
		}
		c.change(b, current, cell.s)
		current = cell.s
		if c.theme.characters == asciiCharacters && cell.r >= utf8.RuneSelf {
			cell.r = '?'
		}
		b.WriteRune(cell.r)
	}
	return current
}

// change ends a style and begins another.
func (c *canvas) change(b *strings.Builder, from, to style) {
	if from == to {
		return
	}
	if c.theme.codes[from] != "" {
		b.WriteString(ansi.ResetStyle)
	}
	b.WriteString(c.theme.codes[to])
}
