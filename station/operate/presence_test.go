package operate

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"hallmark/devices/emulated"
	"hallmark/fixtures"
	"hallmark/station"
)

func TestABoardThatAppearsOnAPortIsStartedByItself(t *testing.T) {
	port := filepath.Join(t.TempDir(), "ttyACM0")
	s := ready(t, port)
	s.must(s.Automatic(t.Context(), true, "anna", ""))
	checks := func(want Presence) {
		t.Helper()
		s.checkPorts()
		s.startAutomatic(time.Now())
		facts := s.facts()
		if facts.Bays[0].Present != want {
			t.Errorf("presence %d, want %d", facts.Bays[0].Present, want)
		}
		s.waits()
	}
	checks(BoardAbsent)
	s.last(1, "")
	s.must(os.Symlink(fixtures.BoardOnPort(t, fixtures.Firmware(t, "../..", emulated.Posix, "")), port))
	checks(BoardPresent)
	s.last(1, station.Pass)
	checks(BoardPresent)
	if rows := s.rows(); len(rows) != 1 {
		t.Errorf("%d Runs: a board that stays is not tried twice", len(rows))
	}
	s.must(os.Remove(port))
	checks(BoardAbsent)
}

func TestARemovalIsSeenOnlyOutsideOfARun(t *testing.T) {
	type sighting struct{ there, running bool }
	idle, gone, runs, restarts := sighting{true, false}, sighting{false, false}, sighting{true, true}, sighting{false, true}
	for _, test := range []struct {
		name               string
		sightings          []sighting
		appeared, doubtful bool
	}{
		{"a port that always exists", []sighting{idle, runs, idle}, false, false},
		{"a board that is put in", []sighting{gone, idle}, true, false},
		{"a board that restarts in its Run", []sighting{gone, idle, runs, restarts, runs, idle}, false, false},
		{"a board that is taken out after its Run", []sighting{idle, runs, idle, gone, idle}, true, false},
		{"a board that restarts at the end of its Run", []sighting{idle, runs, restarts, idle}, true, true},
		{"a board that restarts for long", []sighting{idle, runs, restarts, gone, gone, idle}, true, true},
		{"a board that restarts at the end and is taken out", []sighting{idle, runs, restarts, idle, gone, idle}, true, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := presence{}
			for _, seen := range test.sightings {
				if seen.running {
					p.appeared, p.doubtful = false, p.doubtful && p.now == BoardAbsent // as begin does
				}
				p = p.seen(seen.there, seen.running)
			}
			if p.appeared != test.appeared || p.doubtful != test.doubtful {
				t.Errorf("%+v, want appeared %t, doubtful %t", p, test.appeared, test.doubtful)
			}
		})
	}
}

func TestABoardThatRestartedAtTheEndOfItsRunIsNotStartedAgain(t *testing.T) {
	port := filepath.Join(t.TempDir(), "ttyACM0")
	s := ready(t, port)
	s.must(s.Automatic(t.Context(), true, "anna", ""))
	tty := fixtures.BoardOnPort(t, fixtures.Firmware(t, "../..", emulated.Posix, ""))
	ticks := func(there bool) {
		t.Helper()
		if s.must(os.RemoveAll(port)); there {
			s.must(os.Symlink(tty, port))
		}
		s.checkPorts()
		s.startAutomatic(time.Now())
		s.runs.Wait()
	}
	runs := func(want int, last station.Outcome) {
		t.Helper()
		if rows := s.rows(); len(rows) != want || rows[0].Outcome != last {
			t.Errorf("%d Runs, the last %s; want %d, %s", len(rows), rows[0].Outcome, want, last)
		}
	}
	s.events = func(e station.Event) {
		if e.Kind == station.StepStarted && e.Step == "record" { // the port is gone until the Run has ended
			s.must(os.Remove(port))
			s.checkPorts()
		}
	}
	ticks(false)
	ticks(true)
	runs(1, station.Issued)
	ticks(true)
	ticks(true)
	runs(1, station.Issued)
	s.events = func(station.Event) {}

	ticks(false) // the removal is seen
	ticks(true)
	runs(2, station.Confirmed)

	s.bays[0].presence = presence{now: BoardPresent, appeared: true, doubtful: true}
	s.bays[0].lastBoard = "another board"
	ticks(true) // asks the board
	ticks(true)
	runs(3, station.Confirmed)
}
