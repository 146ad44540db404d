package ui

import (
	"strings"
	"testing"

	"hallmark/station"
)

// A key of the footer never moves while a bay goes through its states, so that the eye finds it without reading.
func TestTheKeysOfTheFooterHaveFixedPlaces(t *testing.T) {
	for _, language := range []string{"en", "de", "es"} {
		for _, w := range []int{60, 80, 120, 200} {
			d := drive(t, 4, w, 24, language)
			places := map[string]int{}
			look := func(state string) {
				t.Helper()
				lines := strings.Split(d.canvas(nil).String(), "\n")
				footer := lines[len(lines)-1]
				for _, a := range d.actions() {
					text := " " + a.key.show + " " + a.key.does
					if before, _, found := strings.Cut(footer, text); found {
						at := width(before)
						if was, seen := places[text]; seen && was != at {
							t.Errorf("%s, %d columns, %s: %q moved from %d to %d: %s", language, w, state, text, was, at, footer)
						}
						places[text] = at
					}
				}
			}
			d.theme = newTheme(SchemeNone, unicodeCharacters)
			look("idle")
			d.send(EventMsg{running1(1, "1", 3)})
			look("running")
			d.send(EventMsg{ended(1, "1", station.Pass, "")})
			look("passed")
			d.facts.Bays = []BayFacts{{Name: "1", Stopped: "clone"}}
			d.send(factsMsg{facts: d.facts})
			look("stopped")
			d.operator = Operator{}
			look("signed out")
		}
	}
}

// The board in the title of a coloured tile has the colour of the tile.
func TestTheTitleOfALoudTileHasItsColour(t *testing.T) {
	for _, e := range []station.Ending{station.Reject, station.Fault} {
		d := drive(t, 4, 120, 40, "en")
		d.send(EventMsg{ended(1, "2", e, "")})
		area, _ := endingStyles(e)
		a, r := d.arrange(d.body()), d.body()
		at, c := a.bayRect(r, 1), d.canvas(nil)
		for x, cell := range c.row(at.y)[at.x : at.x+at.w] {
			if cell.s != area {
				t.Errorf("%s: column %d of the title is %q in another style", e, x, cell.r)
			}
		}
	}
}

// The BoardID of the chosen Run is in one row from the width on at which it stands beside the list.
func TestTheDetailBesideTheListHasTheBoardIDInOneRow(t *testing.T) {
	for w := splitWidth; w <= 200; w++ {
		d := drive(t, 4, w, 40, "en")
		d.station.rows = []Row{{Run: runOf(1), BoardID: boardOf(1).String(), Ending: station.Pass}}
		d.key("h")
		if !strings.Contains(d.View(), "BoardID") || !strings.Contains(d.View(), boardOf(1).String()) {
			t.Fatalf("%d columns:\n%s", w, d.View())
		}
	}
}
