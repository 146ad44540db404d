package ui

import (
	"strings"
	"testing"
)

// A bay that automatic start took out of work says why in the language of the screen.
func TestABayWithFaultsIsNamedInTheLanguageOfTheScreen(t *testing.T) {
	for language, want := range map[string]string{"en": "3 Faults in a row", "de": "3 Fehler in Folge", "es": "3 fallos seguidos"} {
		d := drive(t, 2, 120, 40, language)
		d.station.facts.Bays = []BayFacts{{Name: "1", Skipped: "3 Faults in a row at automatic start, the last: no-answer", Faults: 3, Fault: "no-answer"}}
		d.send(factsMsg{facts: d.station.facts})
		d.shows(want)
		if strings.Contains(d.View(), "the last:") || strings.Contains(d.View(), "no-answer") {
			t.Errorf("%s: %s", language, d.View())
		}
	}
}
