package ui

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// framePause is the shortest time between two frames. Keys and events that come in that time are drawn together.
const framePause = 4 * time.Millisecond

// serialRate is how many octets a second a terminal of DEC gets in the long run, such as a vt220: a serial line of 9600 baud
// carries 960, and other programs write to it, too. What is more waits in the line, and a key would be answered behind it. So the painter leaves out frames instead.
// After a quiet time it writes up to serialBurst octets at once, so that a key is answered without a pause.
const serialRate, serialBurst = 750, 2500

// rateOf gives the octets a second for a terminal; 0: no limit. kind is TERM.
func rateOf(kind string) int {
	if isDEC(kind) {
		return serialRate
	}
	return 0
}

// A painter draws the newest state of the screen and writes the cells that changed. While there is no new state it
// sleeps. bubbletea's own renderer looks for changes at a fixed rate, and costs an idle station more CPU than
// everything else together. All output while the screen is open comes from the painter, so a terminal that takes nothing
// holds only the painter.
type painter struct {
	out   io.Writer
	rate  int         // octets a second in the long run, 0 for no limit
	spent time.Time   // when the octets that were written will have gone over a line of this rate
	next  chan *Model // holds the newest state until it is drawn
	stop  chan struct{}
	ended chan error
	rung  int     // how often the bell was rung
	drawn int     // how often the whole screen was drawn because the operator asked
	shown *canvas // what the terminal shows; nil: not known
	spare *canvas
	mend  mend
}

// startPainter starts a painter. After an error of a write the painter calls failed and writes nothing more.
func startPainter(out io.Writer, rate int, failed func()) *painter {
	p := &painter{out: out, rate: rate, next: make(chan *Model, 1), stop: make(chan struct{}), ended: make(chan error, 1)}
	go func() {
		err := p.work()
		if err != nil {
			failed()
		}
		p.ended <- err
	}()
	return p
}

// show passes a newer state to the painter, and does not wait. Only one goroutine may call show.
func (p *painter) show(m Model) {
	select {
	case <-p.next: // an older state that was not drawn yet
	default:
	}
	p.next <- &m
}

// end stops the painter and gives the error of a write, if there was one.
func (p *painter) end() error {
	close(p.stop)
	bound := time.NewTimer(leaveBound)
	defer bound.Stop()
	select {
	case err := <-p.ended:
		return err
	case <-bound.C:
		return nil // the painter is still in a write
	}
}

func (p *painter) work() error {
	for {
		select {
		case <-p.stop:
			return nil
		case m := <-p.next:
			octets, err := p.paint(m)
			if err != nil {
				return err
			}
			if !p.rest(octets) {
				return nil
			}
		}
	}
}

// rest waits until the next frame may be drawn after one of so many octets, and reports whether there will be one.
func (p *painter) rest(octets int) bool {
	pause := time.NewTimer(p.pause(octets, time.Now()))
	defer pause.Stop()
	select {
	case <-p.stop:
		return false
	case <-pause.C:
		return true
	}
}

// pause is the time until the next frame may be drawn after one of so many octets.
func (p *painter) pause(octets int, now time.Time) time.Duration {
	if p.rate == 0 {
		return framePause
	}
	inTime := func(octets int) time.Duration { return time.Duration(octets) * time.Second / time.Duration(p.rate) }
	if quiet := now.Add(-inTime(serialBurst)); p.spent.Before(quiet) {
		p.spent = quiet
	}
	p.spent = p.spent.Add(inTime(octets))
	return max(framePause, p.spent.Sub(now))
}

// paint draws a state and writes what differs from what the terminal shows. It gives the number of octets.
func (p *painter) paint(m *Model) (octets int, err error) {
	if m.w <= 0 || m.h <= 0 {
		return 0, nil // the size of the terminal is not known yet
	}
	c := m.canvas(p.spare)
	p.spare = nil
	var b strings.Builder
	if m.redraws > p.drawn {
		p.shown, p.drawn = nil, m.redraws
	}
	if p.shown == nil || p.shown.w != c.w || p.shown.h != c.h {
		b.WriteString(clearScreen)
		p.shown = newCanvas(c.w, c.h, c.theme)
	}
	p.mendRows(&b, m, c)
	c.changes(&b, p.shown)
	if m.rings > p.rung {
		b.WriteByte('\a')
	}
	p.rung = m.rings
	p.shown, p.spare = c, p.shown
	if b.Len() == 0 {
		return 0, nil
	}
	if _, err := io.WriteString(p.out, b.String()); err != nil {
		return 0, fmt.Errorf("drawing the screen: %w", err)
	}
	return b.Len(), nil
}

// nearby is the longest gap of unchanged cells that is written again, because moving the cursor over the gap takes as many
// octets.
const nearby = 8

// changes writes what turns a terminal that shows old into one that shows c. It only moves the cursor,
// because terminals differ in how they erase, insert and scroll.
func (c *canvas) changes(b *strings.Builder, old *canvas) {
	current := plain
	for y := range c.h {
		current = c.rowChanges(b, old, y, current)
	}
	c.change(b, current, plain)
}

// rowChanges writes what changed in one row, and gives the style that the terminal has then.
func (c *canvas) rowChanges(b *strings.Builder, old *canvas, y int, current style) style {
	row, before := c.row(y), old.row(y)
	for x := 0; x < c.w; {
		if row[x] == before[x] {
			x++
			continue
		}
		end := changeEnd(row, before, x)
		moveTo(b, c.start(row, x), y)
		current = c.cellsTo(b, row[c.start(row, x):end], current)
		x = end
	}
	return current
}

func (c *canvas) row(y int) []cell { return c.cells[y*c.w : (y+1)*c.w] }

// changeEnd gives the end of the cells to write from x on: the changed ones and the short gaps between them.
func changeEnd(row, before []cell, x int) int {
	end := x + 1
	for i := end; i < len(row) && i-end < nearby; i++ {
		if row[i] != before[i] {
			end = i + 1
		}
	}
	return end
}

// start gives the first cell of the character at x.
func (c *canvas) start(row []cell, x int) int {
	if row[x].r == 0 && x > 0 {
		return x - 1
	}
	return x
}

// moveTo moves the cursor (CUP).
func moveTo(b *strings.Builder, x, y int) {
	b.WriteString("\x1b[" + strconv.Itoa(y+1) + ";" + strconv.Itoa(x+1) + "H")
}
