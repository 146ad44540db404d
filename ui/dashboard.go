package ui

import (
	"fmt"

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

// idleNext is the next action for a bay that has had no board. A badge, the HSM and a work order come before the first board.
func (m Model) idleNext(i int) string {
	switch o := m.facts.Order; {
	case m.operator.ID == "":
		return m.t("next.badge")
	case m.hsmAway():
		return m.t("next.wait")
	case m.orderDone():
		return m.t("next.order")
	case o.ID == "" && operate.MissingRole(operate.ActWithoutOrder, m.operator.Role) != "":
		return m.t("next.firstorder")
	case m.bays[i].facts.Present == BoardPresent:
		return m.t("next.start", m.startKeys(i))
	}
	return m.t("next.insert", m.startKeys(i))
}
