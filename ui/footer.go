package ui

import "slices"

// drawFooter shows help and quit at the right, and at the left as many keys as there is room for. A key that does nothing now is dim.
func (m Model) drawFooter(c *canvas) {
	y := c.h - 1
	if m.dialog != nil || m.field != nil {
		c.put(1, y, c.w-2, dim, m.footerHint())
		return
	}
	end := c.w - 1
	for _, a := range slices.Backward(m.actions()) {
		if a.place == footRight {
			end -= a.key.width()
			m.drawKey(c, end, y, a.key)
			end -= 2
		}
	}
	x := 1
	for _, slot := range m.slots() {
		w, shown := 0, slot[0]
		for _, a := range slices.Backward(slot) {
			if w = max(w, a.key.width()); a.refusal(m) == "" {
				shown = a
			}
		}
		if x+w > end {
			return
		}
		if shown.refusal(m) == "" {
			m.drawKey(c, x, y, shown.key)
		} else {
			c.put(x, y, w, dim, shown.key.show+" "+shown.key.does)
		}
		x += w + 2
	}
}

// slots are the actions at the left of the footer. Actions that share a slot never work at the same time, so each key has its place,
// whatever the chosen bay does.
func (m Model) slots() (slots [][]action) {
	at := map[string]int{}
	for _, a := range m.actions() {
		i, shared := at[a.slot]
		switch {
		case a.place != footLeft:
		case a.slot != "" && shared:
			slots[i] = append(slots[i], a)
		default:
			at[a.slot] = len(slots)
			slots = append(slots, []action{a})
		}
	}
	return slots
}

func (m Model) drawKey(c *canvas, x, y int, b binding) int {
	x = c.put(x, y, c.w, keycap, b.show)
	return c.put(x+1, y, c.w, plain, b.does)
}

// width is the number of columns of a key in the footer.
func (b binding) width() int { return width(b.show) + 1 + width(b.does) }

func (m Model) footerHint() string {
	switch {
	case m.dialog != nil:
		return m.t("dialog.keys", m.keys.Go.show)
	case m.field.purpose == fieldPIN:
		return m.t("pin.keys", m.keys.Go.show)
	case m.field.purpose == fieldSearch:
		return m.t("search.keys")
	}
	return m.t("field.keys", m.keys.Go.show)
}
