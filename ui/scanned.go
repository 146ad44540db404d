package ui

import (
	tea "charm.land/bubbletea/v2"

	"hallmark/station"
)

// scanned decides what a label does. A scan never closes or confirms a dialog,
// and on a locked screen only a badge counts.
func (m Model) scanned(text string) (Model, tea.Cmd) {
	kind, value := m.o.Prefixes.readScan(text)
	m.digits = ""
	switch {
	case m.dialog != nil:
		return m.refuse(m.t("scan.dialog")), nil
	case kind == scanUnknown:
		return m.refuse(m.t("scan.unknown", m.clean(value))), nil
	case kind == scanBadge:
		return m.signIn(value)
	case m.screen == screenStart:
		return m.refuse(m.t("scan.start")), nil
	case m.whyNotOperate() != "":
		return m.refuse(m.whyNotOperate()), nil
	case kind == scanOrder:
		return m.switchOrder(value)
	case kind == scanBay:
		return m.scannedBay(value)
	}
	return m.scannedBoard(value)
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
	if i := m.holds(id); i >= 0 {
		return m.scannedKnown(i, id)
	}
	b := m.bay()
	if b.busy() {
		return m.refuse(m.t("scan.other", m.clean(b.name), short(b.boardID()), short(id))), nil
	}
	if why := m.whyNotStart(); why != "" {
		return m.refuse(why), nil
	}
	return m.startExpecting(id)
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
	if why := m.whyNotStart(); why != "" {
		return m.refuse(why), nil
	}
	return m.startExpecting(id)
}

// short returns the beginning of a BoardID, because people compare only the beginning.
func short(id string) string {
	if id == "" {
		return "?"
	}
	return id[:min(8, len(id))]
}
