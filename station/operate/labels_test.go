package operate

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
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
	var answers told
	console := Console{Controller: s.Controller, Operators: s.Operators, Who: Operator{ID: "anna"}, Labels: reader, Tells: &answers}
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
	if len(answers) != 2 || answers[1] != "label posix-1 "+board {
		t.Errorf("the right labels were answered with %q", answers)
	}
	s.must(console.Do(t.Context(), "1"))
}

// At a terminal a scanner may have typed a line, so only the go key does what a line asks. Labels act by themselves.
func TestAtATerminalALineOnlyAsks(t *testing.T) {
	s := ready(t, "posix:3")
	var asked []string
	ctx := t.Context()
	console := Console{Controller: s.Controller, Operators: s.Operators, Labels: label.NewReader(), Ask: func(word, number string) { asked = append(asked, word+number) }}
	s.refuses(console.Do(ctx, "3"), ErrSignInFirst)
	s.must(console.Do(ctx, "OP-1"))
	s.refuses(console.Go(ctx), ErrNothingAsked)
	for _, line := range []string{"3", "stop 2", "acknowledge 1", "q", "quit", "BAY-2"} {
		s.must(console.Do(ctx, line))
	}
	if got, want := strings.Join(asked, " "), "start3 stop2 acknowledge1 quit quit start2"; got != want {
		t.Errorf("asked %q, want %q", got, want)
	}
	s.refuses(console.Do(ctx, "some other label"), errCommand) // forgets what was asked
	s.refuses(console.Go(ctx), ErrNothingAsked)
	if rows := s.rows(); len(rows) != 0 {
		t.Errorf("a line without the go key started %+v", rows)
	}
	s.must(console.Do(ctx, "3"))
	s.must(console.Go(ctx))
	s.waits()
	s.last(3, station.Pass)
	s.refuses(console.Go(ctx), ErrNothingAsked)
	s.must(console.Do(ctx, "quit"))
	s.refuses(console.Go(ctx), ErrQuit)
}

// The label of a board starts the bay that was chosen before, and a Run with another board ends.
func TestALabelOfABoardStartsTheChosenBayInLinesOfText(t *testing.T) {
	s := ready(t, "posix:2")
	ended := make(chan string, 10)
	s.events = func(e station.Event) {
		if e.Kind == station.RunEnded {
			ended <- e.Bay + " " + e.Snap.Reason
		}
	}
	for _, ask := range []func(word, number string){nil, func(string, string) {}} {
		console := Console{Controller: s.Controller, Operators: s.Operators, Who: Operator{ID: "anna"}, Labels: label.NewReader(), Ask: ask}
		const other = "7d444840-9dc0-41d1-b245-5ffdce74fad2"
		s.refuses(console.Do(t.Context(), other), ErrChooseBay)
		s.must(console.Do(t.Context(), "BAY-2"))
		s.must(console.Do(t.Context(), other))
		s.waits()
		if got := <-ended; got != "posix-2 swapped" {
			t.Errorf("a label of another board: %q", got)
		}
		s.refuses(console.Do(t.Context(), other), ErrChooseBay)
	}
}

// With scanner.prefix, a text without it is no scan.
func TestALineWithoutThePrefixIsNoLabel(t *testing.T) {
	s := ready(t, "posix:1")
	reader := label.NewReader()
	reader.Before = "~"
	console := Console{Controller: s.Controller, Operators: s.Operators, Labels: reader}
	s.refuses(console.Do(t.Context(), "OP-1"), ErrNoPrefix)
	s.must(console.Do(t.Context(), "~OP-1"))
	s.refuses(console.Do(t.Context(), "~1"), errCommand)
	s.refuses(console.Do(t.Context(), "WO-7"), ErrNoPrefix)
}

// told notes what a Console tells.
type told []string

func (l *told) SignedIn(name string)        { *l = append(*l, "signed in "+name) }
func (l *told) Ordered(id string)           { *l = append(*l, "order "+id) }
func (l *told) Stopping(bay string)         { *l = append(*l, "stopping "+bay) }
func (l *told) Released(bay string)         { *l = append(*l, "released "+bay) }
func (l *told) LabelRead(bay, board string) { *l = append(*l, "label "+bay+" "+board) }

// A line that acts has an answer, as on the screen. What is refused has none.
func TestALineSaysWhatItDid(t *testing.T) {
	s := ready(t, "posix:1")
	s.must(OpenOrder(t.Context(), s.record, "WO-7", 5, "anna", nil))
	var answers told
	console := Console{Controller: s.Controller, Operators: s.Operators, Labels: label.NewReader(), Tells: &answers}
	s.refuses(console.Do(t.Context(), "OP-9"), ErrUnknownBadge)
	s.must(console.Do(t.Context(), "OP-1"))
	s.refuses(console.Do(t.Context(), "WO-404"), station.ErrUnknownOrder)
	s.must(console.Do(t.Context(), "WO-7"))
	s.must(console.Do(t.Context(), "stop 1"))
	if want := (told{"signed in Anna", "order WO-7", "stopping posix-1"}); !slices.Equal(answers, want) {
		t.Errorf("got %q, want %q", answers, want)
	}
}

// Who leads the facts to the screen says there that JSON lines are lost.
func TestLostJSONLinesAreInTheFacts(t *testing.T) {
	s := ready(t, "posix:1")
	if bad := s.facts().ReportBad; bad != "" {
		t.Error(bad)
	}
	s.options.Report = func() error { return errors.New("no space\nleft on device") }
	if bad := s.facts().ReportBad; bad != "no space; left on device" {
		t.Errorf("%q", bad)
	}
}
