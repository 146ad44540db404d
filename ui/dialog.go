package ui

import (
	tea "charm.land/bubbletea/v2"
)

// A dialog asks for confirmation before an action. If the dialog has choices, the operator must choose first. Only the go
// key confirms. Escape closes the dialog. Enter, scans and all other keys do nothing.
type dialog struct {
	title, text string
	choices     []string
	choice      int // 1 is the first, 0 none yet
	// valid reports whether the subject of the dialog still exists. nil: always.
	valid func(Model) bool
	do    func(m Model, choice string) (Model, tea.Cmd)
}

func (m Model) dialogKey(msg tea.KeyPressMsg) (Model, tea.Cmd) {
	d := *m.dialog
	switch {
	case m.keys.Cancel.matches(msg):
		m.dialog = nil
		return m, nil
	case isDigit(msg.Text) && msg.Text != "0" && int(msg.Text[0]-'0') <= len(d.choices):
		d.choice = int(msg.Text[0] - '0')
		m.dialog = &d
		return m, nil
	case !m.keys.Go.matches(msg):
		return m.refuse(m.t("dialog.keys", m.keys.Go.show)), nil
	case len(d.choices) > 0 && d.choice == 0:
		return m.refuse(m.t("dialog.choose")), nil
	}
	m.dialog = nil
	if d.valid != nil && !d.valid(m) {
		return m.say(m.t("dialog.gone")), nil
	}
	choice := ""
	if d.choice > 0 {
		choice = d.choices[d.choice-1]
	}
	return d.do(m, choice)
}

// drawDialog draws the dialog over the middle of the screen.
func (m Model) drawDialog(c *canvas) {
	d := m.dialog
	w := min(64, c.w-4)
	lines := wrap(d.text, w-6, 8, m.theme.shapes.ellipsis)
	h := len(lines) + len(d.choices) + 6
	x, y := (c.w-w)/2, max(0, (c.h-h)/2)
	c.fill(x-1, y, w+2, h, plain, ' ')
	c.box(x, y, w, h, faultText, m.theme.shapes.chosenFrame)
	c.centre(x+1, y, w-2, faulted, " "+clip(d.title, w-6, m.theme.shapes.ellipsis)+" ")
	row := y + 2
	for _, line := range lines {
		c.put(x+3, row, w-6, strong, line)
		row++
	}
	for i, choice := range d.choices {
		mark, s := "  ", plain
		if d.choice == i+1 {
			mark, s = string(m.theme.shapes.cursor)+" ", strong
		}
		c.put(x+3, row, w-6, s, mark+string(rune('1'+i))+"  "+choice)
		row++
	}
	end := c.put(x+3, row+1, w-6, keycap, m.keys.Go.show)
	end = c.put(end+1, row+1, w-6, plain, m.keys.Go.does)
	end = c.put(end+4, row+1, w-6, keycap, m.keys.Cancel.show)
	c.put(end+1, row+1, x+w-3-end, plain, m.keys.Cancel.does)
}
