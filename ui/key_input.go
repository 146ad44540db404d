package ui

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"
)

// keyPressed gives a key to the open field, to a scan that may have begun, or to an action.
func (m Model) keyPressed(msg tea.KeyPressMsg) (Model, tea.Cmd) {
	if m.field != nil && (!m.locked || m.field.purpose == fieldBadge) {
		return m.fieldKey(msg)
	}
	if msg.Text != "" {
		return m.character(msg)
	}
	if held := m.held.held; held != "" {
		if slices.Contains([]string{"enter", "tab", "ctrl+j"}, msg.String()) {
			m = m.undoHeld()
			m.held = m.held.drop()
			return m.scanned(held)
		}
		m.held = m.held.drop()
	}
	return m.act(msg)
}

// character takes a character. A character that was read long after the held one ends the hold: the held one was a key,
// although the model was too busy to notice the end of its hold time.
func (m Model) character(msg tea.KeyPressMsg) (Model, tea.Cmd) {
	at := m.keyboard.readAt(m.taken)
	var before tea.Cmd
	if m.held.held != "" && !m.held.burst && !at.IsZero() && !m.held.at.IsZero() && at.Sub(m.held.at) > keyHold {
		m, before = m.heldIsKey()
	}
	next, cmd := m.holdCharacter(msg)
	next.held.at = at
	return next, tea.Batch(before, cmd)
}

// heldIsKey does the action of the held character, unless it was done at once.
func (m Model) heldIsKey() (Model, tea.Cmd) {
	held, done := m.held.held, m.held.before != nil
	if m.held = m.held.drop(); done {
		return m, nil
	}
	return m.act(tea.KeyPressMsg{Text: held})
}

// holdCharacter holds a character, because a scan may begin with it. An action that only changes what is shown is done at
// once; undoHeld undoes the action when another character follows.
func (m Model) holdCharacter(msg tea.KeyPressMsg) (Model, tea.Cmd) {
	first := m.held.held == "" && utf8.RuneCountInString(msg.Text) == 1
	m = m.undoHeld()
	var hold tea.Cmd
	m.held, hold = m.held.take(msg.Text)
	if !first {
		return m, hold
	}
	next, does := m.act(msg)
	if does != nil || next.field != m.field {
		return m, hold
	}
	next.held.before = &m
	return next, hold
}

// undoHeld restores the state before a held character that was no key.
func (m Model) undoHeld() Model {
	if was := m.held.before; was != nil {
		m.screen, m.selected, m.scroll, m.helpShown = was.screen, was.selected, was.scroll, was.helpShown
		m.dialog, m.notice, m.digits, m.history.cursor = was.dialog, was.notice, was.digits, was.history.cursor
		m.held.before = nil
	}
	return m
}

// holdEnded decides about the held characters if no other character follows: one character is a key, several are a scan
// without its end.
func (m Model) holdEnded(msg heldMsg) (Model, tea.Cmd) {
	if msg.turn != m.held.turn || m.held.held == "" {
		return m, nil
	}
	given, more := m.keyboard.ahead(m.taken)
	if more && !msg.waited {
		return m, m.held.wait(scanPause, true)
	}
	m.taken = given
	if m.held.burst {
		m.held = m.held.drop()
		return m.refuse(m.t("scan.cut")), nil
	}
	return m.heldIsKey()
}

// pasted refuses pasted text, because nobody typed or scanned it. Only a search accepts pasted text.
func (m Model) pasted(text string) (Model, tea.Cmd) {
	m.held = m.held.drop()
	if m.field != nil && m.field.purpose == fieldSearch && !m.locked {
		for _, r := range m.clean(text) {
			m.field = m.field.insert(r)
		}
		return m, nil
	}
	return m.refuse(m.t("scan.pasted")), nil
}

// act does the action of one key.
func (m Model) act(msg tea.KeyPressMsg) (Model, tea.Cmd) {
	m.notice = notice{}
	switch {
	case m.dialog != nil:
		return m.dialogKey(msg)
	case m.helpShown:
		m.helpShown = false
		return m, nil
	case m.locked && !m.keys.SignIn.matches(msg):
		return m.refuse(m.t("locked.key", m.clean(m.operator.Name))), nil
	}
	if m.screen == screenDashboard && isDigit(msg.Text) {
		return m.digit(msg.Text)
	}
	m.digits = ""
	for _, a := range m.actions() {
		if !a.key.matches(msg) {
			continue
		}
		if why := a.refusal(m); why != "" {
			return m.refuse(m.t("key.refused", a.key.show, why)), nil
		}
		return a.do(m)
	}
	return m.refuse(m.unknownKey(msg)), nil
}

// unknownKey says that this screen does not have the key, and names the screen that has it.
func (m Model) unknownKey(msg tea.KeyPressMsg) string {
	name := m.clean(cmp.Or(msg.Text, msg.String()))
	if m.screen != screenDashboard && (isDigit(msg.Text) || slices.ContainsFunc(m.dashboardActions(), func(a action) bool { return a.key.matches(msg) })) {
		if m.screen == screenStart {
			return m.t("key.start.first", name)
		}
		return m.t("key.bench", name, m.keys.Back.show)
	}
	return m.t("key.none", name, m.keys.Help.show)
}

func isDigit(text string) bool { return len(text) == 1 && text >= "0" && text <= "9" }

// bayKey is the number of a bay, which starts it. With more than nine bays each number has two digits.
func (m Model) bayKey(i int) string {
	if len(m.bays) > 9 {
		return fmt.Sprintf("%02d", i+1)
	}
	return fmt.Sprint(i + 1)
}

// digit chooses a bay by its number, and starts it unless it is running.
func (m Model) digit(d string) (Model, tea.Cmd) {
	if len(m.bays) > 9 && m.digits == "" {
		m.digits = d
		return m.say(m.t("bay.digits", d)), tea.Tick(2*time.Second, func(time.Time) tea.Msg { return digitMsg{d} })
	}
	number := m.digits + d
	m.digits = ""
	for i := range m.bays {
		if m.bayKey(i) != number {
			continue
		}
		m.selected = i
		if m.bays[i].busy() {
			return m, nil
		}
		if why := m.whyNotStart(); why != "" {
			return m.refuse(m.t("key.refused", number, why)), nil
		}
		return m.start()
	}
	return m.refuse(m.t("bay.none", number, len(m.bays))), nil
}

// A field is a line of text that is being typed.
type field struct {
	purpose fieldPurpose
	text    []rune
	secret  bool // a PIN: each older copy of the text is overwritten
}

type fieldPurpose uint8

const (
	fieldPIN fieldPurpose = iota
	fieldBadge
	fieldOrder
	fieldSearch
)

const longestField = 128

func (f *field) insert(r rune) *field {
	if len(f.text) >= longestField {
		return f
	}
	next := *f
	next.text = append(f.text[:len(f.text):len(f.text)], r)
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

func (m Model) fieldKey(msg tea.KeyPressMsg) (Model, tea.Cmd) {
	if msg.Text != "" {
		return m.insert(msg.Text), nil
	}
	switch msg.String() {
	case "backspace":
		m.field = m.field.remove()
	case "enter":
		return m.submit()
	case "esc", "ctrl+c":
		if m.field.purpose == fieldPIN {
			wipe(m.field.text)
			m.field = &field{purpose: fieldPIN, secret: true}
			return m.quit()
		}
		m.field = nil
	}
	return m, nil
}

// insert adds the printable characters of a key to the open field.
func (m Model) insert(text string) Model {
	m.notice = notice{}
	for _, r := range text {
		if clean(string(r)) == string(r) {
			m.field = m.field.insert(r)
		}
	}
	return m
}

// submit passes the text of the field to the action that opened the field.
func (m Model) submit() (Model, tea.Cmd) {
	purpose := m.field.purpose
	if purpose == fieldPIN {
		return m.unlock()
	}
	text := strings.TrimSpace(string(m.field.text))
	m.field = nil
	switch {
	case purpose == fieldSearch:
		m.history.query.Text = text
		return m.search()
	case text == "":
		return m, nil
	case purpose == fieldBadge:
		return m.signIn(text)
	}
	return m.switchOrder(text)
}
