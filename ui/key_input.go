package ui

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"hallmark/station/label"
)

// repeats is the longest time between two signals of a key that is held down, or that a glove presses twice. The first go would
// answer a question or begin the shift, and the second would start a bay.
const repeats = 800 * time.Millisecond

// keyPressed gives a key to the PIN, to a scan, to the open field, or to an action.
func (m Model) keyPressed(msg tea.KeyPressMsg) (Model, tea.Cmd) {
	at := m.readAt(msg)
	before := m.went
	if m.went = (time.Time{}); m.keys.Go.matches(msg) {
		if m.went = at; at.Sub(before) <= repeats {
			return m.behindGo(at), nil
		}
		if m.mayBeOctets(msg) && at.Sub(m.typed) <= within { // the stop of a scan whose label was made to press keys
			m.held = m.held.over(at)
			return m.refuse(m.t("key.behind")), nil
		}
		if m.mayBeOctets(msg) {
			return m.holdGo(msg, at)
		}
	} else {
		m = m.behindGo(at)
		m.typed = at
	}
	return m.takeKey(msg, at)
}

// behindGo drops a go key that waits, because another key came behind it: so begins a label that holds the octets of the go key.
func (m Model) behindGo(at time.Time) Model {
	if m.goHeld == nil {
		return m
	}
	m.goHeld, m.held = nil, m.held.over(at)
	return m.refuse(m.t("key.behind"))
}

// mayBeOctets reports whether the octets of a label may have made this go key. Ctrl-G is an octet that a label can hold (BEL), and a slow
// scanner sends it like any other. The five octets of F12 come together from a keyboard, and one by one from a scanner.
func (m Model) mayBeOctets(msg tea.KeyPressMsg) bool {
	_, control := octet(msg)
	return control || m.keyboard.inPieces()
}

// A goPress is a go key that waits whether the rest of a label comes behind it.
type goPress struct {
	key  tea.KeyPressMsg
	at   time.Time
	turn int
}

// goMsg says that nothing came behind the go key.
type goMsg struct{ turn int }

// holdGo waits for as long as a slow scanner needs for a character.
func (m Model) holdGo(msg tea.KeyPressMsg, at time.Time) (Model, tea.Cmd) {
	m.goTurn++
	m.goHeld = &goPress{msg, at, m.goTurn}
	turn := m.goTurn
	return m, tea.Tick(slow, func(time.Time) tea.Msg { return goMsg{turn} })
}

// goes does the go key that waited.
func (m Model) goes(msg goMsg) (Model, tea.Cmd) {
	if m.goHeld == nil || m.goHeld.turn != msg.turn {
		return m, nil
	}
	held := *m.goHeld
	m.goHeld = nil
	return m.takeKey(held.key, held.at)
}

// takeKey gives a key to where it belongs.
func (m Model) takeKey(msg tea.KeyPressMsg, at time.Time) (Model, tea.Cmd) {
	if m.keys.Redraw.matches(msg) {
		if m, _ = m.redraw(); len(m.held.chars) == 0 { // in the middle of a scan it is an octet of the label
			return m, nil
		}
	}
	if m.keys.Go.matches(msg) && m.tooSmall() {
		if _, asks := m.smallLines(); !asks { // nobody sees what it would do
			m.held = m.held.drop()
			return m.refuse(m.t("small.go", m.keys.Go.show)), nil
		}
	}
	if m.dialog == nil && m.field != nil && m.field.purpose == fieldPIN {
		return m.pinKey(msg)
	}
	if msg.Text != "" {
		return m.characters(msg.Text, at)
	}
	if scanEnds(msg.String()) {
		if next, cmd, ended := m.scanEnded(at); ended {
			return next, cmd
		}
	} else if r, control := octet(msg); control && !m.keys.Go.matches(msg) {
		var rest bool
		if m.held, rest = m.held.drops(at); rest {
			return m, nil
		}
		m, cmd, _ := m.control(r, at).suffixCame()
		return m, cmd
	}
	return m.pressed(msg, at)
}

// readAt gives the time of a key: when it was read, if the keyboard knows.
func (m *Model) readAt(msg tea.KeyPressMsg) time.Time {
	m.taken += int64(len(msg.Text))
	if at := m.keyboard.readAt(m.taken); msg.Text != "" && !at.IsZero() {
		return at
	}
	return m.clock()
}

// pressed does a key that no label holds. In the middle of a scan it does nothing: such a scan was cut off, or its label was
// made to press keys.
func (m Model) pressed(msg tea.KeyPressMsg, at time.Time) (Model, tea.Cmd) {
	scanning := m.field == nil && m.held.byScanner(at, m.o.Labels.Before)
	m.held = m.held.drop()
	if m.keys.Go.matches(msg) { // no scanner sends this key, so the keys after it are those of a person
		m.held.ended = time.Time{}
	}
	switch {
	case scanning:
		return m.refuse(m.t("scan.cut")), nil
	case m.entering():
		return m.fieldKey(msg)
	}
	return m.act(msg)
}

// entering reports whether characters belong to the open field.
func (m Model) entering() bool {
	return m.dialog == nil && m.field != nil && (!m.locked || m.field.purpose == fieldBadge)
}

// characters takes characters. A character that comes alone shows what it shows, and a character that comes
// together with another one is a part of a scan.
func (m Model) characters(text string, at time.Time) (Model, tea.Cmd) {
	var all []tea.Cmd
	for _, r := range text {
		var cmd tea.Cmd
		var rest bool
		if m.held, rest = m.held.drops(at); rest {
			continue
		}
		if m.held.joins(at, m.o.Labels.Before) {
			m, cmd = m.joined(r, at)
		} else {
			m.held = m.held.add(scanChar{r, at, m.shown()})
			m, cmd = m.alone(r)
		}
		if next, answer, ended := m.suffixCame(); ended {
			m, cmd = next, answer // what the character itself did is over
		}
		all = append(all, cmd)
	}
	return m, tea.Batch(all...)
}

// suffixCame ends a scan behind which the configured suffix came. It reports false if it did not, or if a person typed the suffix.
func (m Model) suffixCame() (Model, tea.Cmd, bool) {
	suffix := []rune(m.o.Labels.After)
	first := len(m.held.chars) - len(suffix)
	if len(suffix) == 0 || first < 1 || textOf(m.held.chars[first:]) != m.o.Labels.After || m.entering() && !m.field.takesLabels() {
		return m, nil, false
	}
	scan := m
	scan.held.chars = m.held.chars[:first:first]
	if scan.field != nil { // the suffix was typed into the field, too
		text := scan.field.text
		scan.field = &field{purpose: scan.field.purpose, text: text[:max(0, len(text)-printable(suffix))]}
	}
	next, cmd, ended := scan.scanEnded(m.held.chars[first].at)
	if !ended {
		return m, nil, false
	}
	next.held.rest, next.held.ended = true, m.held.chars[len(m.held.chars)-1].at // the suffix may stand inside a label of somebody else
	return next, cmd, true
}

// printable gives the number of characters that a field takes.
func printable(text []rune) (n int) {
	for _, r := range text {
		if r >= ' ' {
			n++
		}
	}
	return n
}

func (m Model) alone(r rune) (Model, tea.Cmd) {
	if m.entering() {
		return m.insert(r), nil
	}
	return m.act(tea.KeyPressMsg{Text: string(r)})
}

// joined takes a character of a scan. What the first character of the scan showed goes away.
func (m Model) joined(r rune, at time.Time) (Model, tea.Cmd) {
	before := m.held.shown()
	m.held = m.held.add(scanChar{r: r, at: at})
	if before.field != nil && m.entering() {
		return m.insert(r), nil
	}
	turn := m.held.turn
	m, cmd := m.showAgain(before)
	return m, tea.Batch(cmd, tea.Tick(cutAfter, func(time.Time) tea.Msg { return heldMsg{turn} }))
}

// control takes a control octet that may be a part of a label. It never does anything.
func (m Model) control(r rune, at time.Time) Model {
	c := scanChar{r: r, at: at}
	if m.held.recent(at) == len(m.held.chars) {
		c.before = m.shown()
	}
	m.held = m.held.add(c)
	return m
}

// scanEnded takes a key that ends a scan. It reports false if the key is the key of a person. Several such keys may follow
// one scan: CR LF, or ETX CR.
func (m Model) scanEnded(at time.Time) (Model, tea.Cmd, bool) {
	if len(m.held.chars) == 0 {
		if at.Sub(m.held.ended) > within {
			return m, nil, false
		}
		m.held.ended, m.held.rest = at, false
		return m, nil, true
	}
	searching := m.entering() && m.field.purpose == fieldSearch
	if searching {
		m.held = m.held.inSearch()
	}
	found := m.held.read(m.o.Labels, at)
	if !found.scan {
		m.held = m.held.drop()
		return m, nil, false
	}
	m.held = m.held.over(at)
	if searching && found.before.field != nil {
		m, cmd := m.searchFor(found.label)
		return m, cmd, true
	}
	m, again := m.showAgain(found.before)
	if found.again {
		m.selected = found.chosen // the next scan of a board starts the bay that the person has chosen
		return m.refuse(m.t("scan.again")), again, true
	}
	m, cmd := m.scanned(found.label)
	return m, tea.Batch(again, cmd), true
}

// searchFor searches for a label that was scanned into the search: for the board, the serial number or the work order that
// the label names, otherwise for its text.
func (m Model) searchFor(l label.Label) (Model, tea.Cmd) {
	if l.Readable() && (l.Kind == label.Board || l.Kind == label.Serial || l.Kind == label.Order) {
		m.field = &field{purpose: fieldSearch, text: []rune(l.Text)}
	}
	return m.submit()
}

// heldEnded says that a scan has come without its end.
func (m Model) heldEnded(msg heldMsg) Model {
	if msg.turn != m.held.turn || m.entering() {
		return m
	}
	m.held = m.held.over(m.clock())
	return m.refuse(m.t("scan.cut"))
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
	m.notice, m.answer = notice{}, answer{}
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
		return a.perform(m)
	}
	return m.refuse(m.unknownKey(msg)), nil
}

// unknownKey says that this screen does not have the key, and names the key or the screen that does it.
func (m Model) unknownKey(msg tea.KeyPressMsg) string {
	name := m.clean(cmp.Or(msg.Text, msg.String()))
	matches := func(a action) bool { return a.key.matches(msg) }
	switch {
	case slices.Contains(formerKeys, msg.Text) && slices.ContainsFunc(m.actions(), func(a action) bool { return a.key.isGo() }):
		return m.t("key.former", name, m.keys.Go.show)
	case m.screen == screenDashboard || !isDigit(msg.Text) && !slices.ContainsFunc(m.dashboardActions(), matches):
		return m.t("key.none", name, m.keys.Help.show)
	case m.screen == screenStart:
		return m.t("key.start.first", name)
	}
	return m.t("key.bench", name, m.keys.Back.show)
}

func isDigit(text string) bool { return len(text) == 1 && text >= "0" && text <= "9" }

// bayKey is the number of a bay, which chooses it. With more than nine bays each number has two digits.
func (m Model) bayKey(i int) string {
	if len(m.bays) > 9 {
		return fmt.Sprintf("%02d", i+1)
	}
	return fmt.Sprint(i + 1)
}

// startKeys are the keys that start a bay. In lines of text the number alone starts the bay.
func (m Model) startKeys(i int) string {
	switch {
	case m.lines:
		return m.bayKey(i)
	case i == m.selected:
		return m.keys.Go.show
	}
	return m.bayKey(i) + ", " + m.keys.Go.show
}

// digit chooses a bay by its number.
func (m Model) digit(d string) (Model, tea.Cmd) {
	if len(m.bays) > 9 && m.digits == "" {
		m.digits = d
		return m.say(m.t("bay.digits", d)), tea.Tick(2*time.Second, func(time.Time) tea.Msg { return digitMsg{d} })
	}
	number := m.digits + d
	m.digits = ""
	for i := range m.bays {
		if m.bayKey(i) == number {
			m.selected = i
			return m, nil
		}
	}
	return m.refuse(m.t("bay.none", number, len(m.bays))), nil
}
