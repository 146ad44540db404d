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

// nextAction returns the next action of the operator after a Run.
func (m Model) nextAction(bay int, ending station.Ending, word string) string {
	return m.t(reason.ScreenKey(ending, word), m.startKeys(bay))
}
