package ui

import (
	"fmt"
	"strings"

	"hallmark/station"
	"hallmark/station/operate"
)

// The dashboard: every bay has a fixed place. On a small terminal some bays have a tile and the others
// one row; the chosen bay always has a tile.

const (
	tileWidth  = 20 // of the smallest tile, frame included
	tileHeight = 7

	widestTile, highestTile = 100, 25 // a larger tile has nothing more to show

	rowWidth = 20
)

// An arrangement says which bays are tiles and where.
type arrangement struct {
	columns, rows int // of tiles
	w, h          int // of a tile
	first, tiles  int // bays with tiles: first to first+tiles
	rowColumns    int // of the bays with rows
}

// arrange finds the largest tiles for all bays; if they do not fit, as many
// tiles as leave a row for each other bay.
func (m Model) arrange(r rect) arrangement {
	n := len(m.bays)
	best := arrangement{}
	for columns := 1; columns <= n; columns++ {
		rows := (n + columns - 1) / columns
		a := arrangement{columns: columns, rows: rows, w: min(r.w/columns, widestTile), h: min(r.h/rows, highestTile), tiles: n}
		if a.w >= tileWidth && a.h >= tileHeight && a.size() > best.size() {
			best = a
		}
	}
	if best.columns > 0 {
		return best
	}
	return m.arrangeRows(r)
}

// size is larger for better tiles. The shorter side of a tile counts most, until it is long enough for everything; a cell is twice
// as high as wide.
func (a arrangement) size() int { return min(a.w, a.h*2, 46)*10000 + a.w*a.h }

func (m Model) arrangeRows(r rect) arrangement {
	n := len(m.bays)
	columns := min(n, r.w/tileWidth)
	rowColumns := r.w / rowWidth
	a := arrangement{columns: columns, w: r.w / columns, h: tileHeight, rowColumns: rowColumns}
	for rows := 1; rows*tileHeight+(n-rows*columns+rowColumns-1)/rowColumns <= r.h; rows++ {
		a.rows, a.tiles = rows, rows*columns
	}
	if a.rows > 0 { // no row of the screen stays empty below the bays
		a.h = min(highestTile, (r.h-(n-a.tiles+rowColumns-1)/rowColumns)/a.rows)
	}
	if a.tiles == 0 {
		a.columns = rowColumns
		return a
	}
	a.first = min(m.selected/a.tiles*a.tiles, n-a.tiles) // the last page is as full as the others
	return a
}

func (m Model) drawDashboard(c *canvas, r rect) {
	a := m.arrange(r)
	for i := range m.bays {
		if at := a.bayRect(r, i); at.h > 1 {
			m.drawTile(c, at, i)
		} else {
			m.drawBayRow(c, at, i)
		}
	}
}

// bayRect is where a bay is drawn: a tile, or a row of height 1.
func (a arrangement) bayRect(r rect, i int) rect {
	n := i - a.first
	if n >= 0 && n < a.tiles {
		return rect{r.x + n%a.columns*a.w, r.y + n/a.columns*a.h, a.w, a.h}
	}
	if n >= a.tiles {
		i -= a.tiles
	}
	return rect{r.x + i%a.rowColumns*rowWidth, r.y + a.rows*a.h + i/a.rowColumns, rowWidth - 1, 1}
}

// drawBayRow draws a bay in one line: its number, and its ending or the running step.
func (m Model) drawBayRow(c *canvas, r rect, i int) {
	b := &m.bays[i]
	number := plain
	if i == m.selected {
		number = chosen
	}
	x := c.put(r.x, r.y, r.w, number, fmt.Sprintf("%3s", m.bayKey(i))) + 1
	left := r.x + r.w - x
	switch {
	case b.facts.Stopped != "":
		c.put(x, r.y, left, rejected, m.t("tile.stopped"))
	case b.facts.Skipped != "":
		c.put(x, r.y, left, dim, m.t("tile.skipped"))
	case b.facts.WrongLabel != "" && !b.busy():
		c.put(x, r.y, left, rejected, m.t("tile.label"))
	case b.busy():
		c.put(x, r.y, left, running, string(m.theme.shapes.now)+" "+m.nowText(b))
	case b.ended():
		c.put(x, r.y, left, frameStyle(b.run.Ending), m.shaped(b.run.Ending))
	default:
		c.put(x, r.y, left, dim, m.idleText(b))
	}
}

func (m Model) idleText(b *bay) string {
	switch b.facts.Present {
	case BoardPresent:
		return m.t("tile.ready")
	case BoardAbsent:
		return m.t("tile.empty")
	}
	return m.t("tile.idle")
}

// idleNext is the next action for a bay that has had no board. A badge and a work order come before the first board.
func (m Model) idleNext(i int) string {
	o := m.facts.Order
	switch {
	case m.operator.ID == "":
		return m.t("next.badge")
	case o.Closed != "" || o.Quota > 0 && o.Count >= o.Quota:
		return m.t("next.order")
	case o.ID == "" && operate.MissingRole(operate.ActWithoutOrder, m.operator.Role) != "":
		return m.t("next.firstorder")
	case m.bays[i].facts.Present == BoardPresent:
		return m.t("next.start", m.startKeys(i))
	}
	return m.t("next.insert", m.startKeys(i))
}

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
		m.drawHeld(c, inner, aborted, m.t("tile.skipped"), m.clean(b.facts.Skipped), m.t("next.unskip", m.keys.Skip.show))
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

// drawHeld draws a skipped or stopped bay, and the reason.
func (m Model) drawHeld(c *canvas, r rect, s style, word, why, next string) {
	c.fill(r.x, r.y, r.w, 1, s, ' ')
	c.centre(r.x, r.y, r.w, s, word)
	lines := wrap(why, r.w, 2, m.theme.shapes.ellipsis)
	for n, line := range lines {
		c.put(r.x, r.y+1+n, r.w, plain, line)
	}
	m.drawNext(c, rect{r.x, r.y + 1 + len(lines), r.w, r.h - 1 - len(lines)}, strong, next)
}

// drawNext draws the next action, at the bottom of the rectangle.
func (m Model) drawNext(c *canvas, r rect, s style, text string) {
	mark := m.theme.shapes.next
	lines := wrap(mark+text, r.w, r.h, m.theme.shapes.ellipsis)
	for n, line := range lines {
		c.put(r.x, r.y+r.h-len(lines)+n, r.w, s, line)
	}
}

// drawRunning shows the progress of a Run: the step in words, a bar of steps, the time.
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
	if retries := retriesOf(&b.run); retries > 0 {
		c.put(r.x, y+2, r.w, faultText, m.t("tile.retries", retries))
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
		if took, ok := tookOf(&b.run, m.o.Steps[i]); ok && i < b.step {
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

// A verdict is what a tile shows of a board that has ended, or of a bay that is stopped.
type verdict struct {
	word   string
	shape  rune
	size   wordSize
	area   style // of the band behind the word
	body   style // of the texts
	loud   bool  // the whole tile has the style of the area
	head   [2]string
	facts  []string
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
func (m Model) identity(b *bay, columns int) (rows []string) {
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
			rows = append(rows, number)
		case half+1 <= columns:
			rows = append(rows, number[:half+1], number[half+1:])
		}
	}
	return rows
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
		area: rejected, body: rejected, second: rejected, loud: true, why: m.stoppedText(b), next: m.t("next.engineering")})
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
	v.facts = v.facts[:max(0, min(len(v.facts), r.h-rows.head-rows.word-len(why)-len(next)))]
	y, bottom := r.y, r.y+r.h-len(next)
	if rows.head > 0 {
		s := v.body
		if s == plain {
			s = dim
		}
		c.right(r.x+r.w, y, r.w/2, s, v.head[1])
		c.put(r.x, y, r.w-width(v.head[1])-1, s, v.head[0])
		y++
	}
	band := min(rows.word+2, bottom-y-len(why)-len(v.facts))
	m.drawBand(c, rect{r.x, y, r.w, band}, v)
	y += band
	for n, line := range why {
		c.put(r.x, y+n, r.w, v.second, line)
	}
	for n, fact := range v.facts {
		c.put(r.x, bottom-len(v.facts)+n, r.w, v.body, fact)
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
	if r.h >= len(large)+2 {
		c.fill(r.x, r.y, r.w, 1, v.area, v.shape)
		c.fill(r.x, r.y+r.h-1, r.w, 1, v.area, v.shape)
	}
	if side := (r.w - width(large[0])) / 2; side >= 2 {
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
