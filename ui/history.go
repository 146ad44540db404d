package ui

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"hallmark/station"
)

type historyView struct {
	query  Query
	turn   int
	rows   []Row
	err    error
	loaded bool
	cursor int
	most   int  // how many rows the search gave at most
	older  bool // there are older Runs than the rows
}

// A historyMsg has the Runs of a search, and one more if there are older ones.
type historyMsg struct {
	turn int
	rows []Row
	err  error
}

// historyRows is how many Runs a search gives, and how many older ones the end of the list adds.
const historyRows = 500

func (v historyView) filled(msg historyMsg) historyView {
	if msg.turn != v.turn {
		return v
	}
	v.older = len(msg.rows) > v.most
	v.rows, v.err, v.loaded = msg.rows[:min(len(msg.rows), v.most)], msg.err, true
	v.cursor = min(v.cursor, max(0, len(v.rows)-1))
	return v
}

func (m Model) openHistory() (Model, tea.Cmd) {
	m.screen, m.scroll = screenHistory, 0
	return m.search()
}

func (m Model) searchField() (Model, tea.Cmd) {
	m.field = &field{purpose: fieldSearch, text: []rune(m.history.query.Text)}
	return m, nil
}

func (m Model) search() (Model, tea.Cmd) {
	m.history.loaded, m.history.cursor, m.history.most = false, 0, 0
	return m.searchOlder()
}

// searchOlder asks for the same Runs and for older ones. The list stays until they come.
func (m Model) searchOlder() (Model, tea.Cmd) {
	m.history.turn++
	m.history.most, m.history.older = m.history.most+historyRows, false
	turn, query := m.history.turn, m.history.query
	query.Limit = m.history.most + 1
	return m, m.ask(answerSoon, func(ctx context.Context) tea.Msg {
		rows, err := m.o.History.Search(ctx, query)
		return historyMsg{turn, rows, err}
	})
}

// wholeDay reads a day as the list shows it, such as 11-29, or as people in Germany write it, such as 29.11. or 29.11.2026. Without a
// year it is the newest such day. Other texts stay as they are.
func (m Model) wholeDay(text string) string {
	german := strings.TrimSuffix(text, ".")
	year := m.now.Year()
	for layout, days := range map[string][]string{time.DateOnly: {fmt.Sprintf("%04d-%s", year, text), fmt.Sprintf("%04d-%s", year-1, text)},
		"2.1.2006": {german, fmt.Sprintf("%s.%04d", german, year), fmt.Sprintf("%s.%04d", german, year-1)}} {
		for _, written := range days {
			if day, err := time.ParseInLocation(layout, written, m.now.Location()); err == nil && !day.After(m.now) {
				return day.Format(time.DateOnly)
			}
		}
	}
	return text
}

// nextFilter goes through the endings: all, pass, reject, fault, aborted.
func (m Model) nextFilter() (Model, tea.Cmd) {
	order := []station.Ending{"", station.Pass, station.Reject, station.Fault, station.Aborted}
	m.history.query.Ending = order[(slices.Index(order, m.history.query.Ending)+1)%len(order)]
	return m.search()
}

func (m Model) whyNoRow() string {
	switch {
	case m.o.Detail == nil:
		return m.t("why.nodetail")
	case m.history.cursor >= len(m.history.rows):
		return m.t("why.norow")
	}
	return ""
}

func (m Model) openRow() (Model, tea.Cmd) {
	m = m.choose(m.history.rows[m.history.cursor])
	m.screen, m.scroll = screenDetail, 0
	return m, m.askDetail()
}

// choose makes a row of the history the Run of the detail.
func (m Model) choose(row Row) Model {
	run := station.Run{ID: row.Run, Bay: row.Bay, Operator: row.Operator, Order: row.Order, Purpose: row.Purpose, Ending: row.Ending, Outcome: row.Outcome, Reason: row.Reason, Finished: row.At}
	m.detail = detailView{run: run, board: row.BoardID, fromHistory: true, turn: m.detail.turn + 1}
	return m
}

func (m Model) drawHistory(c *canvas, r rect) {
	h := m.history
	y := r.y
	c.put(r.x+1, y, r.w, strong, m.t("history.title"))
	c.right(r.x+r.w-1, y, r.w-20, plain, m.filterText())
	y++
	if m.field != nil && m.field.purpose == fieldSearch {
		m.drawField(c, r.x+1, y, r.w-2, m.t("history.field"))
	}
	y++
	switch {
	case h.err != nil:
		c.put(r.x+1, y+1, r.w-2, rejectText, m.errorText(h.err))
		return
	case !h.loaded:
		c.put(r.x+1, y+1, r.w-2, dim, m.t("history.loading"))
		return
	case len(h.rows) == 0:
		c.put(r.x+1, y+1, r.w-2, strong, m.t("history.none"))
		return
	}
	list, side := m.historyParts(historyBody(r))
	m.drawRows(c, list, side.w > 0)
	if side.w > 0 {
		m.drawSide(c, side)
	}
}

// historyBody is the place of list and detail, below title and search.
func historyBody(r rect) rect { return rect{r.x, r.y + 2, r.w, r.h - 2} }

// splitWidth is the narrowest screen on which the history shows the chosen Run beside the list, listWidth the widest list.
const splitWidth, listWidth = 110, 81

// detailWidth is the width of a detail whose BoardID has a row of its own.
const detailWidth = 56

// historyParts gives the places of the list and of the chosen Run. A narrow screen has the list alone.
func (m Model) historyParts(r rect) (list, side rect) {
	if r.w < splitWidth || m.o.Detail == nil {
		return r, rect{}
	}
	w := min(listWidth, r.w*11/20, r.w-detailWidth)
	return rect{r.x, r.y, w - 1, r.h}, rect{r.x + w, r.y, r.w - w, r.h}
}

// drawSide draws the chosen Run beside the list: as much of it as there is room for. Enter shows all.
func (m Model) drawSide(c *canvas, r rect) {
	c.fill(r.x, r.y, 1, r.h, dim, m.theme.shapes.frame.vertical)
	lines := m.detailLines(r.w - 3)
	shown := visible(len(lines), r.h)
	for i, line := range lines[:min(len(lines), shown)] {
		c.put(r.x+2, r.y+i, r.w-3, line.s, line.text)
	}
	if below := len(lines) - shown; below > 0 {
		c.right(r.x+r.w-1, r.y+r.h-1, r.w-2, dim, m.t("history.more", below, m.keys.Detail.show))
	}
}

// beside asks for the record of the chosen Run if the screen shows it beside the list.
func (m Model) beside() (Model, tea.Cmd) {
	if _, side := m.historyParts(m.body()); m.screen != screenHistory || side.w == 0 || m.history.cursor >= len(m.history.rows) {
		return m, nil
	}
	m = m.choose(m.history.rows[m.history.cursor])
	return m, m.askDetail()
}

// filterText says which Runs the table shows.
func (m Model) filterText() string {
	q, parts := m.history.query, []string{m.t("history.all")}
	if q.Ending != "" {
		parts[0] = m.shaped(q.Ending)
	}
	if q.Text != "" {
		parts = append(parts, `"`+m.clean(q.Text)+`"`)
	}
	count := m.t("history.count", len(m.history.rows))
	if m.history.older {
		count = m.t("history.newest", len(m.history.rows))
	}
	return strings.Join(append(parts, count), m.theme.shapes.dot)
}

// drawRows draws the table. A wider terminal shows more columns. With the chosen Run beside it, the reason has the room of the seconds.
func (m Model) drawRows(c *canvas, r rect, beside bool) {
	at := "01-02 15:04:05"
	if beside {
		at = "01-02 15:04"
	}
	columns := []column{{"history.at", len(at) + 1, func(w Row) string { return m.local(w.At).Format(at) }},
		{"history.bay", m.bayColumn(), func(w Row) string { return tail(w.Bay, 8, m.theme.shapes.ellipsis) }},
		{"history.ending", m.endingColumn(), nil}, {"history.board", 9, func(w Row) string { return short(w.BoardID) }},
		{"history.reason", 31, m.rowReason}, {"history.order", 14, func(w Row) string { return w.Order }},
		{"history.operator", 14, func(w Row) string { return w.Operator }}, {"history.serial", 34, func(w Row) string { return w.Serial }},
		{"history.id", 38, func(w Row) string { return w.BoardID }}}
	x := r.x + 2
	for i, col := range columns {
		if left := r.x + r.w + 1 - x; col.w > left {
			if col.w = left; left < leastColumn {
				columns = columns[:i]
				break
			}
			columns[i] = col
			columns = columns[:i+1]
			c.put(x, r.y, col.w-1, dim, m.t(col.title))
			break
		}
		c.put(x, r.y, col.w-1, dim, m.t(col.title))
		x += col.w
	}
	top := m.history.top(r)
	for i := top; i < len(m.history.rows) && i-top < r.h-1; i++ {
		m.drawRow(c, rect{r.x, r.y + 1 + i - top, r.w, 1}, columns, m.history.rows[i], i == m.history.cursor)
	}
}

// The columns of bay and ending are as wide as their words, so that the reason has the room.

func (m Model) bayColumn() int {
	w := width(m.t("history.bay"))
	for _, row := range m.history.rows {
		w = max(w, min(8, width(m.clean(row.Bay))))
	}
	return w + 1
}

func (m Model) endingColumn() int {
	w := width(m.t("history.ending"))
	for _, e := range []station.Ending{station.Pass, station.Reject, station.Fault, station.Aborted} {
		w = max(w, width(m.shaped(e)))
	}
	return w + 1
}

// top is the first row that a list of this size shows.
func (v historyView) top(r rect) int { return max(0, v.cursor-(r.h-2)) }

// leastColumn is the narrowest that the last column is shown.
const leastColumn = 13

type column struct {
	title string
	w     int
	text  func(Row) string
}

func (m Model) rowReason(row Row) string {
	key, why := m.secondKey(row.Purpose), m.whyText(row.Ending, row.Outcome, row.Reason)
	switch {
	case key == "":
		return why
	case why == "":
		return m.t("purpose.key", key)
	}
	return key + ": " + why
}

func (m Model) drawRow(c *canvas, r rect, columns []column, row Row, chosenRow bool) {
	s := plain
	if chosenRow {
		s = chosen
		c.fill(r.x, r.y, r.w, 1, s, ' ')
		c.put(r.x, r.y, 1, s, string(m.theme.shapes.cursor))
	}
	x := r.x + 2
	for _, col := range columns {
		if col.text == nil {
			_, style := endingStyles(row.Ending)
			if chosenRow {
				style = chosen
			}
			c.put(x, r.y, col.w-1, style, m.shaped(row.Ending))
		} else {
			c.put(x, r.y, min(col.w-1, r.x+r.w-x), s, m.clean(col.text(row)))
		}
		x += col.w
	}
}
