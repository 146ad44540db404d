package ui

import (
	tea "charm.land/bubbletea/v2"
)

// The mouse chooses and scrolls. It is never needed, and it never acts: a click that was not meant changes nothing, and a label that
// holds the octets of a click chooses a bay at most.

// wheelRows is how many lines of a text one notch of the wheel moves.
const wheelRows = 3

// holds reports whether a cell lies in the rectangle.
func (r rect) holds(x, y int) bool { return x >= r.x && x < r.x+r.w && y >= r.y && y < r.y+r.h }

// covered reports whether something lies over the screen, so that a click would choose what nobody sees.
func (m Model) covered() bool {
	return m.dialog != nil || m.field != nil || m.helpShown || m.locked || m.tooSmall()
}

// clicked chooses the bay or the row at a place.
func (m Model) clicked(msg tea.MouseClickMsg) (Model, tea.Cmd) {
	if msg.Button != tea.MouseLeft || m.covered() {
		return m, nil
	}
	switch m.screen {
	case screenDashboard:
		a, r := m.arrange(m.body()), m.body()
		for i := range m.bays {
			if a.bayRect(r, i).holds(msg.X, msg.Y) {
				m.selected, m.digits = i, ""
			}
		}
	case screenHistory:
		list, _ := m.historyParts(historyBody(m.body()))
		row := msg.Y - list.y - 1 // below the titles of the columns
		if i := m.history.top(list) + row; row >= 0 && list.holds(msg.X, msg.Y) && i < len(m.history.rows) {
			m.history.cursor = i
			return m.beside()
		}
	}
	return m, nil
}

// wheeled scrolls. On the dashboard there is nothing to scroll, and a bay is not chosen by chance.
func (m Model) wheeled(msg tea.MouseWheelMsg) (Model, tea.Cmd) {
	by := map[tea.MouseButton]int{tea.MouseWheelUp: -1, tea.MouseWheelDown: 1}[msg.Button]
	switch {
	case by == 0 || m.covered() || m.screen == screenDashboard:
		return m, nil
	case m.screen != screenHistory:
		by *= wheelRows
	}
	return m.move(by)
}
