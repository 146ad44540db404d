package ui

import (
	"context"
	"errors"

	tea "charm.land/bubbletea/v2"

	"hallmark/station/operate"
)

// With require_scan_back a bay waits after a Pass until the label of its board was scanned.

// labelBay gives the bay for which a scanned BoardID is the answer: the bay that waits for this board, or otherwise the chosen bay, if
// it waits. board is "" for a label that names no known board. It gives "" if the scan is about something else.
func (m Model) labelBay(board string) string {
	for i := range m.bays {
		if board != "" && m.bays[i].facts.Label == board {
			return m.bays[i].name
		}
	}
	if b := m.bay(); b.facts.Label != "" {
		return b.name
	}
	return ""
}

// labelMsg says whether the label was that of the board.
type labelMsg struct {
	bay, text, board string
	err              error
}

// readLabel gives a scanned label to the station.
func (m Model) readLabel(bay, text string) (Model, tea.Cmd) {
	m.selected = m.find(bay)
	operator, board := m.operator.ID, m.bay().facts.Label
	return m, m.ask(answerSoon, func(ctx context.Context) tea.Msg {
		return labelMsg{bay, text, board, m.o.Bays.ReadLabel(ctx, bay, text, operator)}
	})
}

// labelRead answers. A wrong label also rings, with and without --bell: a board may leave with the label of another one.
func (m Model) labelRead(msg labelMsg) (Model, tea.Cmd) {
	switch {
	case errors.Is(msg.err, operate.ErrWrongLabel):
		m.rings++
		return m.refuse(m.t("label.wrong", m.clean(msg.bay), short(msg.board), m.clean(msg.text))), m.askFacts()
	case msg.err != nil:
		return m.refuse(m.errorText(msg.err)), m.askFacts()
	}
	return m.say(m.t("said.label", m.clean(msg.bay), short(msg.board))), m.askFacts()
}

// drawWrongLabel shows that the label of another board was scanned. It is as loud as a Reject.
func (m Model) drawWrongLabel(c *canvas, r rect, b *bay) {
	m.drawVerdict(c, r, verdict{word: m.t("tile.label"), shape: m.theme.shapes.full, size: largest(m.t("tile.label"), r.w, planEnded(r.w, r.h).word, m.theme.shapes),
		area: rejected, body: rejected, second: rejected, loud: true, why: m.t("label.scanned", m.clean(short(b.facts.WrongLabel)), short(b.facts.Label)), next: m.t("next.label", short(b.facts.Label))})
}
