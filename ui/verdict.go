package ui

import (
	"fmt"
	"strings"

	"hallmark/station"
)

// A tile whose board has ended, or whose bay is stopped.

// A verdict is what a tile shows of a board that has ended, or of a bay that is stopped.
type verdict struct {
	word   string
	shape  rune
	size   wordSize
	area   style // of the band behind the word
	body   style // of the texts
	loud   bool  // the whole tile has the style of the area
	head   [2]string
	facts  [][]string // numbers, each in its rows
	why    string
	next   string
	second style // of why
}

// endedRows says how many rows the parts of a tile have at most. They follow from the size of the tile alone, so that
// the word of each ending has the same room.
type endedRows struct{ head, word, why, next int }

func planEnded(w, h int) endedRows {
	rows := endedRows{word: 1}
	if h >= 6 {
		rows.head = 1
	}
	switch {
	case h >= 20 && w >= 92: // six letters of the greatest size
		rows.word = 12
	case h >= 12:
		rows.word = 7
	case h >= 10:
		rows.word = 5
	case h >= 5:
		rows.word = 3
	}
	left := h - rows.head - rows.word
	rows.next = max(0, min(2, left-1))
	rows.why = max(0, min(3, left-rows.next))
	return rows
}

// drawEnded shows the ending, why, and what to do.
func (m Model) drawEnded(c *canvas, r rect, i int) {
	b := &m.bays[i]
	run := &b.run
	area, text := endingStyles(run.Ending)
	v := verdict{word: m.ending(run.Ending), shape: m.theme.shapes.ending[run.Ending], area: area, body: plain, second: text,
		head: [2]string{clockTime(run.Finished), m.seconds(run.Finished.Sub(run.Started))}, why: m.reasonOf(run), next: m.nextAction(i, run.Ending, run.Reason)}
	v.loud = run.Ending == station.Reject || run.Ending == station.Fault
	v.size = m.sizeOf(run.Ending, r)
	if run.Ending == station.Pass {
		v.why = m.outcomeText(b)
	}
	if key := m.secondKey(run.Purpose); key != "" {
		v.head[0] += " " + key
	}
	if width(v.head[0])+width(v.head[1])+1 > r.w {
		v.head[1] = ""
	}
	if kind := m.kind(run.Outcome); run.Ending == station.Pass && width(kind)+width(v.head[0])+width(v.head[1])+2 <= r.w {
		v.head[0] = strings.TrimSpace(kind + " " + v.head[0])
	}
	if b.facts.Label != "" {
		v.next = m.t("next.label", short(b.facts.Label))
	}
	if run.Outcome == station.Confirmed {
		v.second = faultText // the operator may have put in a board that was done before
	}
	v.facts = m.identity(b, r.w)
	m.drawVerdict(c, r, v)
}

// identity gives the whole BoardID and the serial number of the certificate, each in one row or in two. A number that needs more is
// left out: the beginning of a BoardID is in the title, and a part of a serial number helps nobody.
func (m Model) identity(b *bay, columns int) (all [][]string) {
	var numbers []string
	if b.boardID() != "" {
		numbers = append(numbers, b.boardID())
	}
	if b.run.Certificate != nil {
		numbers = append(numbers, m.t("tile.serial", fmt.Sprintf("%x", b.run.Certificate.Serial)))
	}
	for _, number := range numbers {
		half := (len(number) + 1) / 2
		switch {
		case width(number) <= columns:
			all = append(all, []string{number})
		case half+1 <= columns:
			all = append(all, []string{number[:half+1], number[half+1:]})
		}
	}
	return all
}

// firstOf gives the rows of the first numbers that fit as a whole.
func firstOf(numbers [][]string, rows int) (lines []string) {
	for _, number := range numbers {
		if len(lines)+len(number) > rows {
			break
		}
		lines = append(lines, number...)
	}
	return lines
}

// kind says in one word what a Pass did for its board.
func (m Model) kind(o station.Outcome) string {
	if key := "kind." + string(o); m.o.Texts.Has(key) {
		return m.t(key)
	}
	return ""
}

// drawStopped shows a stopped bay. It is the loudest tile, because somebody has to come.
func (m Model) drawStopped(c *canvas, r rect, b *bay) {
	m.drawVerdict(c, r, verdict{word: m.t("tile.stop"), shape: m.theme.shapes.full, size: largest(m.t("tile.stop"), r.w, planEnded(r.w, r.h).word, m.theme.shapes),
		area: rejected, body: rejected, second: rejected, loud: true, why: m.stoppedText(b), facts: m.identity(b, r.w), next: m.t("next.engineering")})
}

// sizeOf is how large the word of an ending may be in a tile. A Pass is never larger than what somebody has to act on.
func (m Model) sizeOf(e station.Ending, r rect) wordSize {
	rows := planEnded(r.w, r.h).word
	size := largest(m.ending(e), r.w, rows, m.theme.shapes)
	if e == station.Pass {
		for _, word := range []string{m.ending(station.Reject), m.ending(station.Fault), m.t("tile.stop")} {
			size = min(size, largest(word, r.w, rows, m.theme.shapes))
		}
	}
	return size
}

func (m Model) drawVerdict(c *canvas, r rect, v verdict) {
	if v.loud {
		c.fill(r.x, r.y, r.w, r.h, v.area, ' ')
		v.body, v.second = v.area, v.area
	}
	rows := planEnded(r.w, r.h)
	next := wrap(m.theme.shapes.next+v.next, r.w, rows.next, m.theme.shapes.ellipsis)
	why := wrap(v.why, r.w, rows.why, m.theme.shapes.ellipsis)
	facts := firstOf(v.facts, r.h-rows.head-rows.word-len(why)-len(next))
	y, bottom := r.y, r.y+r.h-len(next)
	if rows.head > 0 {
		s := v.area // so that the word does not touch the background above it
		c.fill(r.x, y, r.w, 1, s, ' ')
		c.right(r.x+r.w, y, r.w/2, s, v.head[1])
		c.put(r.x, y, r.w-width(v.head[1])-1, s, v.head[0])
		y++
	}
	band := min(rows.word+2, bottom-y-len(why)-len(facts))
	m.drawBand(c, rect{r.x, y, r.w, band}, v)
	y += band
	for n, line := range why {
		c.put(r.x, y+n, r.w, v.second, line)
	}
	for n, fact := range facts {
		c.put(r.x, bottom-len(facts)+n, r.w, v.body, fact)
	}
	s := strong
	if v.loud {
		s = v.area
	}
	for n, line := range next {
		c.put(r.x, bottom+n, r.w, s, line)
	}
}

// drawBand fills a band with the colour and the shape of the verdict and writes its word into the band.
func (m Model) drawBand(c *canvas, r rect, v verdict) {
	c.fill(r.x, r.y, r.w, r.h, v.area, ' ')
	large := largeWord(v.word, v.size, m.theme.shapes)
	if large == nil {
		m.drawSmallWord(c, r, v.area, v.word, v.shape)
		return
	}
	top := r.y + (r.h-len(large))/2
	for n, line := range large {
		c.centre(r.x, top+n, r.w, v.area, line)
	}
	upper, lower := v.shape, v.shape
	if v.shape == m.theme.shapes.full && r.h < len(large)+4 { // half of the row stays free, so that the bars do not touch the letters
		upper, lower = m.theme.shapes.half[1], m.theme.shapes.half[2]
	}
	if r.h >= len(large)+2 && upper != 0 {
		c.fill(r.x, r.y, r.w, 1, v.area, upper)
		c.fill(r.x, r.y+r.h-1, r.w, 1, v.area, lower)
	}
	side, least := (r.w-width(large[0]))/2, 2
	if v.shape == m.theme.shapes.ending[station.Aborted] {
		least = 3 // a block close to a letter looks like a part of the letter
	}
	if side >= least {
		c.fill(r.x, r.y, 1, r.h, v.area, v.shape)
		c.fill(r.x+r.w-1, r.y, 1, r.h, v.area, v.shape)
	}
}

// drawSmallWord draws the word in one row, with its shape around it.
func (m Model) drawSmallWord(c *canvas, r rect, s style, word string, shape rune) {
	if spread := strings.Join(strings.Split(word, ""), " "); width(spread)+6 <= r.w {
		word = spread
	}
	middle := r.y + r.h/2
	if r.h >= 3 {
		c.fill(r.x, r.y, r.w, 1, s, shape)
		c.fill(r.x, r.y+r.h-1, r.w, 1, s, shape)
	}
	side := max(0, (r.w-width(word)-2)/2)
	c.fill(r.x, middle, side, 1, s, shape)
	c.fill(r.x+r.w-side, middle, side, 1, s, shape)
	c.centre(r.x, middle, r.w, s, word)
}
