package ui

import (
	"fmt"
	"testing"

	"hallmark/station"
)

// The history has no end that is not said: the list names how many of the newest Runs it has, and its end asks for older ones.
func TestTheEndOfTheHistoryAsksForOlderRuns(t *testing.T) {
	d := drive(t, 8, 100, 30, "en")
	for i := range 2*historyRows + 7 {
		e := ended(i, "1", station.Pass, "")
		d.station.rows = append(d.station.rows, Row{Run: e.Run, At: at(float64(-i)), Bay: "1", BoardID: fmt.Sprintf("%08d", i), Ending: station.Pass})
	}
	d.key("h")
	d.shows("the newest 500, down: older")
	for n := range 2 {
		d.history.cursor = len(d.history.rows) - 2
		d.key("down")
		d.shows([]string{"the newest 1000, down", "1007 Runs"}[n])
		d.shows(fmt.Sprintf("%08d", (n+1)*historyRows-1)) // the chosen row stays
	}
	d.history.cursor = len(d.history.rows) - 2
	d.key("down")
	d.shows("00001006")
	d.key("f") // another search begins with the newest Runs again
	d.shows("the newest 500, down")
	if q := d.station.queries[len(d.station.queries)-1]; q.Limit != historyRows+1 || q.Ending != station.Pass {
		t.Errorf("asked for %+v", q)
	}
}

// A person types the day as the list shows it.
func TestADayOfTheListIsSearchedWithItsYear(t *testing.T) {
	d := drive(t, 4, 120, 40, "en") // the clock says 2026-11-22
	for text, want := range map[string]string{"11-22": "2026-11-22", "11-21": "2026-11-21", "12-31": "2025-12-31", "2026-11-21": "2026-11-21", "13-01": "13-01", "WO-7": "WO-7", "11-2": "11-2", "": "",
		"22.11.": "2026-11-22", "1.2": "2026-02-01", "31.12.": "2025-12-31", "21.11.2026": "2026-11-21", "21.11.2024": "2024-11-21", "31.02.": "31.02.", "1.4.2": "1.4.2"} {
		if got := d.wholeDay(text); got != want {
			t.Errorf("%q is searched as %q, want %q", text, got, want)
		}
	}
	d.key("h")
	d.key("/")
	d.enters("11-21")
	d.key("enter")
	d.shows("2026-11-21")
}
