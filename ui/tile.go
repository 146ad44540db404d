package ui

import (
	"fmt"
	"strings"

	"hallmark/station"
)

// A tile: frame, title, and what the bay does.

// drawTile draws one bay.
func (m Model) drawTile(c *canvas, r rect, i int) {
	b := &m.bays[i]
	frame, s := m.theme.shapes.frame, dim
	if b.begun {
		s = plain
	}
	if b.ended() {
		s = frameStyle(b.run.Ending)
	}
	if b.facts.Skipped != "" && !b.busy() {
		s = plain // a bay that is out of work shows its reason, and not its last ending
	}
	if b.facts.Stopped != "" || b.facts.WrongLabel != "" && !b.busy() {
		s = rejected
	}
	if i == m.selected {
		frame = m.theme.shapes.chosenFrame
		if s == dim {
			s = plain
		}
	}
	c.box(r.x, r.y, r.w, r.h, s, frame)
	m.drawTitle(c, r, i, s)
	inner := rect{r.x + 1, r.y + 1, r.w - 2, r.h - 2}
	switch {
	case b.facts.Stopped != "" && !b.busy():
		m.drawStopped(c, inner, b)
	case b.facts.Skipped != "" && !b.busy():
		m.drawSkipped(c, inner, b)
	case b.busy():
		m.drawRunning(c, inner, b)
	case b.facts.WrongLabel != "":
		m.drawWrongLabel(c, inner, b)
	case b.ended():
		m.drawEnded(c, inner, i)
	default:
		m.drawIdle(c, inner, i)
	}
}

// frameStyle is the style of the frame of a tile: of a board that did not pass, the frame belongs to the coloured area.
func frameStyle(e station.Ending) style {
	area, text := endingStyles(e)
	if e == station.Reject || e == station.Fault {
		return area
	}
	return text
}

// drawTitle draws number and name of the bay at the left, and the board at the right. On a coloured frame they have its colour.
func (m Model) drawTitle(c *canvas, r rect, i int, frame style) {
	b := &m.bays[i]
	label, name, id := m.bayKey(i), "", ""
	if b.boardID() != "" {
		id = " " + short(b.boardID()) + " "
	}
	s, board := strong, plain
	if frame == rejected || frame == faulted {
		s, board = frame, frame
	}
	if i == m.selected {
		s = chosen
	}
	if strings.TrimLeft(label, "0") != strings.TrimLeft(b.name, "0") {
		name = " " + m.clean(b.name)
	}
	room := r.w - 4 - width(label)      // without the frame, and a blank at both ends
	if width(name)+width(id)+1 > room { // the board is in the tile and in the detail, the name of the bay only here
		id = ""
	}
	c.right(r.x+r.w-1, r.y, r.w, board, id)
	if width(name) > room {
		name = " " + tail(m.clean(b.name), room-1, m.theme.shapes.ellipsis)
	}
	c.put(r.x+1, r.y, r.w-2, s, " "+label+name+" ")
}

func (m Model) drawIdle(c *canvas, r rect, i int) {
	b := &m.bays[i]
	y := r.y + max(0, (r.h-4)/2)
	c.centre(r.x, y, r.w, strong, m.idleText(b))
	for n, line := range wrap(m.idleNext(i), r.w, r.h-2, m.theme.shapes.ellipsis) {
		c.centre(r.x, y+2+n, r.w, plain, line)
	}
}

// drawSkipped draws a bay that is out of work, and the reason.
func (m Model) drawSkipped(c *canvas, r rect, b *bay) {
	c.fill(r.x, r.y, r.w, 1, aborted, ' ')
	c.centre(r.x, r.y, r.w, aborted, m.t("tile.skipped"))
	lines := wrap(m.whySkipped(b), r.w, 2, m.theme.shapes.ellipsis)
	for n, line := range lines {
		c.put(r.x, r.y+1+n, r.w, plain, line)
	}
	next := wrap(m.theme.shapes.next+m.t("next.unskip", m.keys.Skip.show), r.w, r.h-1-len(lines), m.theme.shapes.ellipsis)
	for n, line := range next {
		c.put(r.x, r.y+r.h-len(next)+n, r.w, strong, line)
	}
}

// drawRunning shows the progress of a Run: the step in words, a bar of steps, the time, and what the step waits for.
// A tile that is high enough lists all steps, or those before and after the running one.
func (m Model) drawRunning(c *canvas, r rect, b *bay) {
	y := r.y
	if r.h >= 7 {
		y = m.drawSteps(c, r, b, min(len(m.o.Steps), r.h-3))
	} else {
		c.put(r.x, y, r.w, running, string(m.theme.shapes.now)+" "+m.nowText(b))
		m.drawStepMarks(c, r.x, y+1, r.w, b)
		y += 2
	}
	m.drawBar(c, r.x, y, r.w, 100*b.step+b.moved.Percent(), 100*len(m.o.Steps))
	count := strings.TrimSpace(fmt.Sprintf("%d/%d %s", b.step+1, len(m.o.Steps), m.secondKey(b.run.Purpose)))
	c.put(r.x, y+1, r.w, plain, count)
	c.right(r.x+r.w, y+1, r.w-width(count)-1, strong, elapsed(m.now.Sub(b.run.Started).Seconds()))
	y += 2
	if retries := retriesOf(&b.run); retries > 0 {
		c.put(r.x, y, r.w, faultText, m.t("tile.retries", retries))
		y++
	}
	if y < r.y+r.h {
		for n, line := range wrap(m.waitText(b), r.w, r.y+r.h-y, m.theme.shapes.ellipsis) {
			c.put(r.x, y+n, r.w, plain, line)
		}
	}
}

// elapsed shows the time of a running Run, without tenths of a second, because they change too fast to read.
func elapsed(s float64) string {
	whole := max(0, int(s))
	if whole < 100 {
		return fmt.Sprintf("%d s", whole)
	}
	return fmt.Sprintf("%d:%02d", whole/60, whole%60)
}

func retriesOf(run *station.Run) int {
	count := 0
	for _, step := range run.Steps {
		count += step.Retries
	}
	return max(count, run.Wire.Retries)
}

func (m Model) drawSteps(c *canvas, r rect, b *bay, rows int) int {
	first := min(max(0, b.step-rows/2), len(m.o.Steps)-rows)
	for row := range rows {
		i, y := first+row, r.y+row
		s, mark := dim, m.theme.shapes.todo
		switch {
		case i < b.step:
			s, mark = plain, m.theme.shapes.done
		case i == b.step:
			s, mark = running, m.theme.shapes.now
		}
		name := m.stepName(i)
		if i == b.step {
			name = m.nowText(b)
		}
		c.put(r.x, y, r.w, s, string(mark)+" "+name)
		if took, ok := tookOf(&b.run, m.o.Steps[i]); ok && i < b.step && width(name)+width(m.seconds(took))+3 <= r.w {
			c.right(r.x+r.w, y, 6, dim, m.seconds(took))
		}
	}
	return r.y + rows
}

func (m Model) drawStepMarks(c *canvas, x, y, w int, b *bay) {
	for i := range m.o.Steps {
		mark, s := m.theme.shapes.todo, dim
		if i < b.step {
			mark, s = m.theme.shapes.done, plain
		} else if i == b.step {
			mark, s = m.theme.shapes.now, running
		}
		if i < w {
			c.put(x+i, y, 1, s, string(mark))
		}
	}
}

func (m Model) drawBar(c *canvas, x, y, w, done, total int) {
	full := w * max(0, done) / max(1, total)
	c.put(x, y, w, running, strings.Repeat(string(m.theme.shapes.full), full))
	c.put(x+full, y, w-full, dim, strings.Repeat(string(m.theme.shapes.empty), w-full))
}

// whySkipped says why a bay is out of work: what a person wrote, or in the language of the screen after Faults at automatic start.
func (m Model) whySkipped(b *bay) string {
	if b.facts.Faults > 0 {
		return m.t("skipped.faults", b.facts.Faults, m.reason(station.Fault, b.facts.Fault))
	}
	return m.clean(b.facts.Skipped)
}
