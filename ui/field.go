package ui

import (
	"strings"

	tea "charm.land/bubbletea/v2"

	"hallmark/station/label"
)

// A field is a line of text that is being typed.
type field struct {
	purpose fieldPurpose
	text    []rune
	secret  bool // a PIN: each older copy of the text is overwritten
	cursor  int  // of the palette
}

type fieldPurpose uint8

const (
	fieldPIN fieldPurpose = iota
	fieldBadge
	fieldOrder
	fieldSearch
	fieldPalette
	fieldOpenOrder
	fieldRaiseOrder
)

// panel reports whether the field is drawn over the middle of the screen. PIN and search have a place on their screens.
func (f *field) panel() bool {
	return f.purpose == fieldBadge || f.purpose == fieldOrder || f.purpose == fieldOpenOrder || f.purpose == fieldRaiseOrder
}

// takesLabels reports whether the field is one for a label, which the suffix of the scanner ends.
func (f *field) takesLabels() bool {
	return f.purpose == fieldBadge || f.purpose == fieldOrder || f.purpose == fieldSearch
}

const longestField = 128

func (f *field) insert(r rune) *field {
	if len(f.text) >= longestField {
		return f
	}
	next := *f
	next.text, next.cursor = append(f.text[:len(f.text):len(f.text)], r), 0
	if f.secret && len(f.text) > 0 {
		wipe(f.text) // overwrites the older copy
	}
	return &next
}

func (f *field) remove() *field {
	next := *f
	if len(f.text) > 0 {
		next.text = append([]rune(nil), f.text[:len(f.text)-1]...)
	}
	if f.secret {
		wipe(f.text)
	}
	return &next
}

func wipe(text []rune) {
	for i := range text {
		text[i] = 0
	}
}

// fieldKey does a key while a badge, a work order or a search is typed. A search only shows something, so enter
// begins it. Everything else waits for the go key, because a scanner ends with enter.
func (m Model) fieldKey(msg tea.KeyPressMsg) (Model, tea.Cmd) {
	m.notice, m.answer = notice{}, answer{}
	switch name := msg.String(); {
	case name == "backspace":
		m.field = m.field.remove()
	case m.keys.Go.matches(msg), name == "enter" && m.field.purpose == fieldSearch:
		return m.submit()
	case name == "esc", name == keyETX:
		m.field = nil
	case name == "up" && m.field.purpose == fieldPalette:
		return m.chooseCommand(-1), nil
	case name == "down" && m.field.purpose == fieldPalette:
		return m.chooseCommand(1), nil
	case name == "enter":
		return m.refuse(m.t("field.go", m.keys.Go.show)), nil
	}
	return m, nil
}

// insert adds a printable character to the open field.
func (m Model) insert(r rune) Model {
	m.notice, m.answer = notice{}, answer{}
	if clean(string(r)) == string(r) {
		m.field = m.field.insert(r)
	}
	return m
}

// submit passes the text of the field to the action that opened the field.
func (m Model) submit() (Model, tea.Cmd) {
	if m.field.purpose == fieldPalette {
		return m.command()
	}
	purpose, text := m.field.purpose, strings.TrimSpace(string(m.field.text))
	m.field = nil
	found := m.o.Labels.Read(text)
	switch {
	case purpose == fieldSearch:
		m.history.query.Text = m.wholeDay(text)
		return m.search()
	case text == "":
		return m, nil
	case purpose == fieldBadge && found.Kind == label.Badge, purpose == fieldOrder && found.Kind == label.Order:
		text = found.Text
	}
	switch purpose {
	case fieldBadge:
		return m.signIn(text)
	case fieldOpenOrder:
		return m.openOrder(text)
	case fieldRaiseOrder:
		return m.raiseOrder(text)
	}
	return m.switchOrder(text, false)
}

// pinKey does a key while the PIN is typed. A key that ends a scan forgets the text: only so is no part of a scan ever tried
// as a PIN, whatever was typed before it. A try is lost for good, and the last one locks the token.
func (m Model) pinKey(msg tea.KeyPressMsg) (Model, tea.Cmd) {
	m.notice = notice{}
	for _, r := range msg.Text {
		m = m.insert(r)
	}
	switch name := msg.String(); {
	case msg.Text != "":
	case name == "backspace":
		m.field = m.field.remove()
	case m.keys.Go.matches(msg):
		return m.unlock()
	case name == "esc", name == keyETX && len(m.field.text) == 0:
		m = m.forgetPIN()
		return m.quit()
	case scanEnds(name):
		return m.noPIN(), nil
	}
	return m, nil
}

func (m Model) forgetPIN() Model {
	wipe(m.field.text)
	m.field = &field{purpose: fieldPIN, secret: true}
	return m
}

// noPIN says that the text counts for nothing.
func (m Model) noPIN() Model {
	isLabel, empty := m.o.Labels.IsLabel(m.field.text), len(m.field.text) == 0
	m = m.forgetPIN()
	switch {
	case empty:
		return m.refuse(m.t("pin.empty", m.keys.Go.show))
	case isLabel:
		return m.refuse(m.t("pin.label"))
	}
	return m.refuse(m.t("pin.enter", m.keys.Go.show))
}
