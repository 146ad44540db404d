package ui

import (
	"context"
	"strings"

	tea "charm.land/bubbletea/v2"

	"hallmark/station"
	"hallmark/station/label"
)

// An answer is what is known of the notices to come, which answer a scan.
type answer struct{ capsLock bool }

// scanned decides what a label does. A scan never closes or confirms a dialog,
// and on a locked screen only a badge counts.
func (m Model) scanned(l label.Label) (Model, tea.Cmd) {
	m.digits, m.answer = "", answer{l.CapsLock}
	if m.dialog != nil {
		return m.refuse(m.t("scan.dialog")), nil
	}
	opening := m.field != nil && m.field.purpose == fieldOpenOrder
	m.field, m.helpShown = nil, false // so that nothing covers the answer
	if why := m.whyNoLabel(l); why != "" {
		return m.refuse(why), nil
	}
	switch l.Kind {
	case label.Badge:
		return m.signIn(l.Text)
	case label.Order:
		return m.switchOrder(l.Text, opening)
	case label.Bay:
		return m.scannedBay(l.Text)
	case label.Serial:
		return m, m.askBoard(l.Text)
	}
	return m.scannedBoard(l.Text)
}

// keyboards are the texts for the countries of label.Layout.
var keyboards = map[string]string{"us": "keyboard.us", "gb": "keyboard.gb", "de": "keyboard.de", "fr": "keyboard.fr", "es": "keyboard.es"}

// whyNoLabel says why a label does nothing at present.
func (m Model) whyNoLabel(l label.Label) string {
	switch {
	case l.Layout != nil:
		return m.t("scan.layout", m.t(keyboards[l.Layout.Scanner]), m.t(keyboards[l.Layout.Computer]), l.Layout.Came, l.Layout.For)
	case l.NoPrefix:
		return m.t("scan.noprefix")
	case l.Kind == label.Unknown:
		return m.t("scan.unknown", m.clean(l.Text))
	case l.Kind == label.Badge:
		return ""
	case m.screen == screenStart:
		return m.t("scan.start")
	}
	return m.whyNotOperate()
}

// boardMsg says which board has the certificate with a serial number.
type boardMsg struct {
	serial, board string
	err           error
}

// askBoard looks for the board whose certificate has a serial number.
func (m Model) askBoard(serial string) tea.Cmd {
	if m.o.History == nil {
		return func() tea.Msg { return boardMsg{serial: serial} }
	}
	return m.ask(answerSoon, func(ctx context.Context) tea.Msg {
		rows, err := m.o.History.Search(ctx, Query{Text: serial, Limit: historyRows})
		for _, row := range rows {
			if sameSerial(row.Serial, serial) && row.BoardID != "" {
				return boardMsg{serial: serial, board: row.BoardID}
			}
		}
		return boardMsg{serial: serial, err: err}
	})
}

// sameSerial compares serial numbers in hex. Some programs print zeros in front.
func sameSerial(a, b string) bool {
	return strings.EqualFold(strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0"))
}

// foundBoard goes on with a scanned serial number.
func (m Model) foundBoard(msg boardMsg) (Model, tea.Cmd) {
	if msg.err != nil {
		return m.refuse(m.errorText(msg.err)), nil
	}
	l := label.Label{Kind: label.Board, Text: msg.board, CapsLock: m.answer.capsLock}
	if bay := m.labelBay(msg.board); bay != "" && m.dialog == nil && m.whyNoLabel(l) == "" {
		m.screen = screenDashboard
		return m.readLabel(bay, msg.serial) // the station compares the number: a label from before a rework has the former one
	}
	if msg.board == "" {
		return m.refuse(m.t("scan.noserial", m.clean(msg.serial))), nil
	}
	return m.scanned(l)
}

func (m Model) scannedBay(name string) (Model, tea.Cmd) {
	i := m.find(name)
	for j := range m.bays {
		if i < 0 && m.bayKey(j) == name {
			i = j
		}
	}
	if i < 0 {
		return m.refuse(m.t("scan.nobay", m.clean(name))), nil
	}
	m.selected, m.screen = i, screenDashboard
	return m.say(m.t("scan.bay", m.clean(m.bays[i].name))), nil
}

// scannedBoard goes to the bay that holds this board, or starts the board in the chosen bay.
func (m Model) scannedBoard(id string) (Model, tea.Cmd) {
	m.screen = screenDashboard
	if bay := m.labelBay(id); bay != "" {
		return m.readLabel(bay, id)
	}
	if i := m.holds(id); i >= 0 {
		return m.scannedKnown(i, id)
	}
	b := m.bay()
	if b.busy() {
		return m.refuse(m.t("scan.other", m.clean(b.name), short(b.boardID()), short(id))), nil
	}
	return m.scannedStart(id)
}

// scannedStart starts the chosen bay with the board of a label.
func (m Model) scannedStart(id string) (Model, tea.Cmd) {
	if why := m.whyNotStart(); why != "" {
		return m.refuse(why), nil
	}
	return m.say(m.t("scan.started", m.clean(m.bay().name), short(id))).startExpecting(id)
}

// holds finds the bay whose last Run was on this board.
func (m Model) holds(id string) int {
	for i := range m.bays {
		if m.bays[i].begun && m.bays[i].boardID() == id {
			return i
		}
	}
	return -1
}

func (m Model) scannedKnown(i int, id string) (Model, tea.Cmd) {
	chosen := m.bay().name
	b := &m.bays[i]
	if i != m.selected && m.bay().busy() {
		return m.refuse(m.t("scan.elsewhere", short(id), m.clean(b.name), m.clean(chosen))), nil
	}
	m.selected = i
	switch {
	case b.busy():
		return m.say(m.t("scan.running", m.clean(b.name), short(id))), nil
	case b.run.Ending == station.Pass:
		return m.say(m.t("scan.passed", m.clean(b.name), short(id), clockTime(b.run.Finished))), nil
	}
	return m.scannedStart(id)
}

// short returns the beginning of a BoardID, because people compare only the beginning.
func short(id string) string {
	if id == "" {
		return "?"
	}
	return id[:min(8, len(id))]
}
