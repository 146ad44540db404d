package ui

import (
	"hallmark/station"
	"hallmark/station/reason"
)

// nextOf returns the next action after a Run on a board. After a Pass a bay may wait for the label of the board.
func (m Model) nextOf(run *station.Run, board string) string {
	i := m.find(run.Bay)
	if run.Ending == station.Pass && i >= 0 && board != "" && m.bays[i].facts.Label == board {
		return m.t("next.label", short(board))
	}
	return m.nextAction(max(0, i), run.Ending, run.Reason)
}

// orderDone reports whether the work order takes no further board.
func (m Model) orderDone() bool {
	o := m.facts.Order
	return o.Closed != "" || o.Quota > 0 && o.Count >= o.Quota
}

// nextAction returns the next action of the operator after a Run.
func (m Model) nextAction(bay int, ending station.Ending, word string) string {
	if ending == station.Pass && m.orderDone() {
		return m.t("next.last")
	}
	return m.t(reason.ScreenKey(ending, word), m.startKeys(bay))
}
