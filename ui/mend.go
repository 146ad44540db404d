package ui

import (
	"strings"
	"time"
)

// Other programs write to the terminal, too: wall(1), and on a console the kernel. No program is told of that, and a terminal may not be
// asked what it shows (see takeTerminal). So the painter writes row after row again, whether it changed or not, with few octets a second.
// On a fast terminal it also writes all rows again at the first key of a second: who sees strange characters presses any key.

// mendRate is how many octets a second go into rows that did not change. An idle station writes at most 100 (make bench).
const mendRate = 60

// unknownCell is a cell of which nobody knows what the terminal shows.
const unknownCell = -1

// mend is how far the painter is.
type mend struct {
	at     time.Time // of the newest second
	typed  time.Time // of the newest key
	row    int       // the next
	credit int       // octets; below 0: the last row was longer
}

// mendRows writes rows again.
func (p *painter) mendRows(b *strings.Builder, m *Model, c *canvas) {
	if p.rate == 0 && m.touched.After(p.mend.typed) {
		if p.mend.typed = m.touched; !p.mend.at.IsZero() {
			p.shown.forget(0, c.h)
		}
	}
	if m.now.Sub(p.mend.at) < time.Second {
		return
	}
	first := p.mend.at.IsZero()
	p.mend.at = m.now
	if p.mend.credit = min(p.mend.credit+mendRate, mendRate); first || p.mend.credit <= 0 {
		return
	}
	y, before := p.mend.row%c.h, b.Len()
	p.shown.forget(y, y+1)
	c.change(b, c.rowChanges(b, p.shown, y, plain), plain)
	copy(p.shown.row(y), c.row(y))
	p.mend.row, p.mend.credit = y+1, p.mend.credit-(b.Len()-before)
}

// forget says that nobody knows what the terminal shows in these rows.
func (c *canvas) forget(from, to int) {
	for y := from; y < to; y++ {
		row := c.row(y)
		for x := range row {
			row[x].r = unknownCell
		}
	}
}
