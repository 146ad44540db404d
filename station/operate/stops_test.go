package operate

import (
	"strings"
	"testing"

	"hallmark/fixtures"
	"hallmark/station"
	"hallmark/station/registry"
)

func TestAStoppedBayStaysStoppedOverARestartUntilSomebodyAcknowledges(t *testing.T) {
	dir := fixtures.NewDirectory(t)
	starts := func(name string, do func(s *environment)) {
		t.Run(name, func(t *testing.T) { do(closedStation(t, dir, "posix:2")) })
	}
	starts("a clone stops its bay", func(s *environment) {
		s.opens()
		s.starts(1, Start{})
		s.waits()
		s.copyHUK()
		s.starts(2, Start{})
		s.waits()
		s.last(2, station.Reject)
	})
	starts("the bay is stopped after a restart", func(s *environment) {
		if facts := s.facts(); facts.Bays[0].Stopped != "" || facts.Bays[1].Stopped != "clone" {
			t.Errorf("before the HSM is open, the tiles say %+v", facts.Bays)
		}
		s.opens()
		s.refuses(s.Start(t.Context(), Start{Bay: "posix-2", Operator: "anna"}), station.ErrBayStopped)
		result := s.Enrol(t.Context(), Batch{Operator: "anna"})
		if len(result.Runs) != 1 || result.Runs[0].Bay != "posix-1" || !strings.Contains(result.Short.Error(), "posix-2: bay is stopped until an operator acknowledges (clone): look at the board") {
			t.Errorf("a batch did %d Runs: %v", len(result.Runs), result.Short)
		}
		s.refuses(s.Acknowledge(t.Context(), "posix-2", ""), errNoOperator)
		s.refuses(s.Acknowledge(t.Context(), "posix-1", "anna"), registry.ErrBayFree)
		if facts := s.facts(); facts.Bays[1].Stopped != "clone" {
			t.Error("the bay is free without an acknowledgement")
		}
	})
	starts("an operator acknowledges", func(s *environment) {
		s.opens()
		s.must(s.Acknowledge(t.Context(), "posix-2", "anna"))
		s.recorded("bay.acknowledged", "anna", map[string]string{"bay": "posix-2"})
		s.starts(2, Start{NextBoard: true})
		s.waits()
		s.last(2, station.Reject) // the clone is still there
		s.must(s.Acknowledge(t.Context(), "posix-2", "anna"))
		s.starts(2, Start{NextBoard: true})
		s.waits()
		s.last(2, station.Pass)
	})
	starts("the bay is free after a restart", func(s *environment) {
		if facts := s.facts(); facts.Bays[1].Stopped != "" {
			t.Errorf("the tile says %q", facts.Bays[1].Stopped)
		}
	})
}

func TestAStopThatCouldNotBeRecordedIsAcknowledged(t *testing.T) {
	s := ready(t, "posix:1")
	s.bays[0].place.Stop("clone")
	s.must(s.Acknowledge(t.Context(), "posix-1", "anna"))
	s.recorded("line.acknowledged", "anna", map[string]string{"bay": "posix-1", "reason": "clone"})
	s.starts(1, Start{})
	s.waits()
	s.last(1, station.Pass)
}
