package operate

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"hallmark/fixtures"
	"hallmark/station"
	"hallmark/station/instance"
	"hallmark/station/label"
	"hallmark/station/workdir"
)

func TestABayGoesOnWhenTheLabelOfThePassedBoardWasScanned(t *testing.T) {
	dir := fixtures.NewDirectory(t)
	fixtures.Configure(t, dir, "station: demo", "station: demo\nrequire_scan_back: true")
	var board string
	starts := func(name string, do func(s *environment)) {
		t.Run(name, func(t *testing.T) { do(closedStation(t, dir, "posix:2")) })
	}
	starts("a Pass holds its bay, and no other", func(s *environment) {
		s.opens()
		s.starts(1, Start{})
		s.waits()
		s.last(1, station.Pass)
		board = s.facts().Bays[0].Label
		if board == "" || board != s.rows()[0].BoardID {
			t.Fatalf("the bay waits for %q", board)
		}
		s.recorded("label.wanted", "anna", map[string]string{"bay": "posix-1", "board": board})
		s.refuses(s.Start(t.Context(), Start{Bay: "posix-1", Operator: "anna"}), ErrLabelWanted)
		s.starts(2, Start{})
		s.waits()
	})
	starts("it waits after a restart, and refuses another label by name", func(s *environment) {
		s.opens()
		s.refuses(s.Start(t.Context(), Start{Bay: "posix-1", Operator: "anna"}), ErrLabelWanted)
		other := s.facts().Bays[1].Label
		s.refuses(s.ReadLabel(t.Context(), "posix-1", other, "anna"), ErrWrongLabel)
		s.recorded("label.read", "anna", map[string]string{"bay": "posix-1", "board": board, "read": other})
		if facts := s.facts().Bays[0]; facts.WrongLabel != other || facts.Label != board {
			t.Errorf("the tile says %+v", facts)
		}
		s.refuses(s.Start(t.Context(), Start{Bay: "posix-1", Operator: "anna"}), ErrLabelWanted)
	})
	starts("a batch has no scanner and does not wait", func(s *environment) {
		s.opens()
		if result := s.Enrol(t.Context(), Batch{Operator: "anna", Count: 1}); result.Short != nil || result.Runs[0].Ending != station.Pass {
			t.Errorf("%v", result.Short)
		}
	})
	starts("the label of the board frees the bay", func(s *environment) {
		s.opens()
		s.must(s.ReadLabel(t.Context(), "posix-1", board, "anna"))
		s.starts(1, Start{})
	})
}

// A kill directly after the end of the Run is on record takes nothing: the next start asks for the label.
func TestABayWaitsForItsLabelAfterAKillAtTheEndOfTheRun(t *testing.T) {
	dir, killed := fixtures.NewDirectory(t), t.TempDir()
	fixtures.Configure(t, dir, "station: demo", "station: demo\nrequire_scan_back: true")
	kill := func() {
		if err := copyFiles(string(dir), killed); err != nil {
			t.Error(err)
		}
	}
	t.Run("killed", func(t *testing.T) {
		hooks := instance.Hooks{Engine: func(c *station.Config) { c.Registry = killedAfterClose{c.Registry, kill} }}
		s := closedStationWith(t, dir, "posix:1", instance.Options{TestingOnly: hooks})
		s.opens()
		s.starts(1, Start{})
		s.waits()
		s.last(1, station.Pass)
	})
	s := closedStation(t, workdir.Dir(killed), "posix:1")
	s.opens()
	s.refuses(s.Start(t.Context(), Start{Bay: "posix-1", Operator: "anna"}), ErrLabelWanted)
	row := s.rows()[0]
	if facts := s.facts().Bays[0]; facts.Label == "" || facts.Label != row.BoardID {
		t.Errorf("the bay waits for the label %q, want %q", facts.Label, row.BoardID)
	}
	s.must(s.ReadLabel(t.Context(), "posix-1", row.Serial, "anna"))
	s.starts(1, Start{})
}

// copyFiles copies the directory of a station at work, without its sockets.
func copyFiles(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rest, err := filepath.Rel(from, path)
		if entry.IsDir() {
			return errors.Join(err, os.MkdirAll(filepath.Join(to, rest), 0o700))
		}
		if !entry.Type().IsRegular() {
			return err
		}
		content, bad := os.ReadFile(path)
		return errors.Join(err, bad, os.WriteFile(filepath.Join(to, rest), content, 0o600))
	})
}

// killedAfterClose calls kill when the end of a Run is on record, before the station learns of it.
type killedAfterClose struct {
	station.Registry
	kill func()
}

func (r killedAfterClose) Close(ctx context.Context, run *station.Run) (station.Outcome, error) {
	outcome, err := r.Registry.Close(ctx, run)
	r.kill()
	return outcome, err
}

// The label may have the serial number of the certificate, and lines of text take it, too.
func TestALabelIsReadInLinesOfText(t *testing.T) {
	dir := fixtures.NewDirectory(t)
	fixtures.Configure(t, dir, "station: demo", "station: demo\nrequire_scan_back: true")
	s := closedStation(t, dir, "posix:2")
	s.opens()
	pattern := fixtures.Must(label.ParsePattern(`SN(?P<serial>[0-9a-f]+)`))(t)
	reader := label.NewReader()
	reader.Patterns = []label.Pattern{pattern}
	var answers []string
	console := Console{Controller: s.Controller, Operators: s.Operators, Who: Operator{ID: "anna"}, Labels: reader, LabelRead: func(bay, board string) { answers = append(answers, bay+" "+board) }}
	s.must(console.Do(t.Context(), "1"))
	s.must(console.Do(t.Context(), "2"))
	s.waits()
	serials := map[string]string{}
	for _, row := range s.rows() {
		serials[row.Bay] = row.Serial
	}
	s.refuses(console.Do(t.Context(), "1"), ErrLabelWanted)
	s.refuses(console.Do(t.Context(), "SN4711"), ErrWrongLabel)
	s.must(console.Do(t.Context(), "SN"+serials["posix-2"])) // finds its bay
	if facts := s.facts(); facts.Bays[0].Label == "" || facts.Bays[1].Label != "" {
		t.Errorf("%+v", facts.Bays)
	}
	board := s.facts().Bays[0].Label
	s.must(console.Do(t.Context(), board))
	if len(answers) != 2 || answers[1] != "posix-1 "+board {
		t.Errorf("the right labels were answered with %q", answers)
	}
	s.must(console.Do(t.Context(), "1"))
}
