package ui

import (
	"hallmark/station"
	"hallmark/station/reason"
)

// nextAction returns the next action of the operator after a Run.
func (m Model) nextAction(bay int, ending station.Ending, word string) string {
	return m.t(reason.ScreenKey(ending, word), m.startKeys(bay))
}
