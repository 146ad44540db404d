package ui

import (
	"hallmark/station"
	"hallmark/station/reason"
)

// nextAction says what the operator does now that a Run has ended.
func (m Model) nextAction(bay int, ending station.Ending, word string) string {
	return m.t(reason.ScreenKey(ending, word), m.bayKey(bay))
}
