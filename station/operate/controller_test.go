package operate

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"hallmark/devices"
	"hallmark/fixtures"
	"hallmark/station"
	"hallmark/station/registry"
)

func TestASkippedBayStartsNothingUntilItIsBack(t *testing.T) {
	s := ready(t, "posix:1")
	s.must(s.Skip(t.Context(), "posix-1", "jig is defective", "anna"))
	s.refuses(s.Start(t.Context(), Start{Bay: "posix-1"}), errBaySkipped)
	facts := s.facts()
	if facts.Bays[0].Skipped != "jig is defective" {
		t.Errorf("the tile says %q", facts.Bays[0].Skipped)
	}
	s.must(s.Automatic(t.Context(), true, "anna", ""))
	s.startAutomatic(time.Now())
	s.waits()
	s.last(1, "")
	s.recorded("bay.skipped", "anna", map[string]string{"bay": "posix-1", "reason": "jig is defective"})
	s.must(s.Skip(t.Context(), "posix-1", "", "anna"))
	s.recorded("bay.returned", "anna", map[string]string{"bay": "posix-1"})
	s.starts(1, Start{})
	s.refuses(s.Skip(t.Context(), "posix-1", "other", "anna"), ErrBusy)
	s.refuses(s.Start(t.Context(), Start{Bay: "posix-1"}), ErrBusy)
	s.refuses(s.Start(t.Context(), Start{Bay: "posix-9"}), errNoBay)
	s.waits()
	s.last(1, station.Pass)
}

func TestStoppingOneBayLeavesTheOthers(t *testing.T) {
	s := ready(t, "posix:2")
	waiting := make(chan struct{})
	s.bays[0].place.Next = func(ctx context.Context) (station.Board, io.Closer, error) {
		close(waiting)
		<-ctx.Done() // no board ever comes
		return nil, nil, ctx.Err()
	}
	s.starts(1, Start{})
	<-waiting
	s.starts(2, Start{})
	s.must(s.Stop(t.Context(), "posix-1", "anna"))
	s.waits()
	s.last(1, station.Aborted)
	s.last(2, station.Pass)
	s.recorded("bay.stop", "anna", map[string]string{"bay": "posix-1"})
}

func TestAStopAfterSignDoesNotCutTheRun(t *testing.T) {
	s := closedStation(t, fixtures.NewDirectory(t), "posix:1")
	s.events = func(e station.Event) {
		if e.Kind == station.StepEnded && e.Step == "sign" {
			s.must(s.Stop(t.Context(), e.Bay, "anna"))
		}
	}
	s.opens()
	s.starts(1, Start{})
	s.waits()
	s.last(1, station.Pass)
}

func TestAControllerThatWasDrainedStartsAgain(t *testing.T) {
	s := ready(t, "posix:2")
	s.must(s.Automatic(t.Context(), true, "anna", ""))
	s.starts(1, Start{})
	s.must(s.Drain(t.Context(), "anna"))
	s.startAutomatic(time.Now().Add(time.Hour))
	s.waits()
	s.last(2, "") // Drain switched automatic start off
	facts := s.facts()
	if facts.Draining || facts.Automatic {
		t.Errorf("after the last Run: draining %t, automatic %t", facts.Draining, facts.Automatic)
	}
	s.starts(1, Start{})
	s.waits()
	s.last(1, station.Pass)
	s.must(s.Drain(t.Context(), "anna")) // while no Run is under way
	s.starts(2, Start{})
	s.waits()
	s.last(2, station.Pass)
	s.recorded("line.drain", "anna", nil)
}

func TestADrainRecordsWhatWasSigned(t *testing.T) {
	s := closedStation(t, fixtures.NewDirectory(t), "posix:2")
	draining := make(chan struct{})
	s.events = func(e station.Event) {
		if e.Bay == "posix-1" && e.Kind == station.StepStarted && e.Step == "write" {
			s.Close()
			close(draining)
		}
	}
	s.opens()
	s.starts(1, Start{})
	<-draining
	s.refuses(s.Start(t.Context(), Start{Bay: "posix-2"}), station.ErrDraining)
	s.must(s.Drain(t.Context(), "anna"))
	s.last(1, station.Pass)
}

func TestALabelOfABoardInAnotherBayStartsNothingThere(t *testing.T) {
	s := ready(t, "posix:2")
	s.starts(1, Start{})
	s.waits()
	elsewhere := s.rows()[0].BoardID
	s.starts(2, Start{Expect: elsewhere})
	s.waits()
	s.last(2, station.Fault)
	if rows := s.rows(); len(rows) != 1 {
		t.Errorf("%d Runs on record: the other board was asked for more than its name", len(rows))
	}
	s.starts(2, Start{Expect: "no BoardID"})
	s.waits()
	s.last(2, station.Fault)
	s.starts(2, Start{})
	s.waits()
	s.last(2, station.Pass)
	own := s.rows()[0].BoardID
	s.bays[1].last = "" // the same board again, with its own label
	s.starts(2, Start{Expect: own})
	s.waits()
	s.last(2, station.Pass)
}

func TestAWorkOrderOverItsQuotaIsRefused(t *testing.T) {
	s := ready(t, "posix:2")
	s.must(s.record.Registry.OpenOrder(t.Context(), registry.NewOrder{ID: "WO-1", Product: s.record.Profile.Name(), Quota: 1}, "planning"))
	s.must(s.record.Registry.OpenOrder(t.Context(), registry.NewOrder{ID: "WO-2", Product: "another product", Quota: 9}, "planning"))
	_, err := s.Switch(t.Context(), "WO-2", "anna")
	s.refuses(err, ErrOtherProduct)
	if _, err := s.Switch(t.Context(), "WO-1", "anna"); err != nil {
		t.Fatal(err)
	}
	s.starts(1, Start{Order: "WO-1"})
	s.starts(2, Start{Order: "WO-1"})
	s.waits()
	endings := []string{string(s.rows()[0].Ending) + s.rows()[0].Reason, string(s.rows()[1].Ending) + s.rows()[1].Reason}
	slices.Sort(endings)
	if !slices.Equal(endings, []string{"faultquota", "pass"}) {
		t.Errorf("two boards for one place ended as %q", endings)
	}
	s.refuses(s.Start(t.Context(), Start{Bay: "posix-1", Order: "WO-1"}), station.ErrQuota)
	_, err = s.Switch(t.Context(), "WO-1", "anna")
	s.refuses(err, station.ErrQuota)
	_, err = s.Switch(t.Context(), "WO-404", "anna")
	s.refuses(err, station.ErrUnknownOrder)
	if facts, err := s.Facts(t.Context()); err != nil || facts.Order.Count != 1 {
		t.Errorf("the header counts %d, %v", facts.Order.Count, err)
	}
}

func TestAutomaticStartCanBeSwitched(t *testing.T) {
	s := ready(t, "posix:2")
	s.startAutomatic(time.Now())
	s.waits()
	s.last(1, "")
	s.must(s.Automatic(t.Context(), true, "anna", ""))
	s.startAutomatic(time.Now())
	s.waits()
	s.last(1, station.Pass)
	s.last(2, station.Pass)
	s.startAutomatic(s.bays[0].passed.Add(reloading - time.Second)) // the result still stays on the screen
	s.waits()
	if rows := s.rows(); len(rows) != 2 {
		t.Errorf("%d Runs, want 2", len(rows))
	}
	s.startAutomatic(time.Now().Add(reloading))
	s.waits()
	if rows := s.rows(); len(rows) != 4 || rows[0].Operator != "anna" {
		t.Errorf("%d Runs by %q, want 4 by anna", len(rows), rows[0].Operator)
	}
	s.must(s.SignOut(t.Context(), "anna", "signed out"))
	s.startAutomatic(time.Now().Add(time.Hour))
	s.waits()
	if rows := s.rows(); len(rows) != 4 {
		t.Errorf("%d Runs: one was started with nobody there", len(rows))
	}
	s.recorded("line.automatic", "anna", map[string]string{"on": "true"})
}

func TestTheSupervisorWorksByItselfAndEnds(t *testing.T) {
	s := ready(t, "posix:2")
	s.must(s.Automatic(t.Context(), true, "anna", ""))
	supervisor := s.Supervise(t.Context())
	for deadline := time.Now().Add(30 * time.Second); len(s.rows()) < 2; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no board was started")
		}
	}
	supervisor.End()
	s.waits()
	s.last(1, station.Pass)
	s.last(2, station.Pass)
}

func TestReworkGivesTheSameBoardAnotherCertificate(t *testing.T) {
	s := ready(t, "posix:1")
	s.starts(1, Start{})
	s.waits()
	board := s.rows()[0].BoardID
	s.starts(1, Start{Expect: board, Rework: "board was repaired"})
	s.waits()
	s.last(1, station.Pass)
	rows, err := s.record.Registry.Certificates(t.Context(), registry.Filter{BoardID: devices.BoardID(uuid.MustParse(board))})
	if s.must(err); len(rows) != 2 || rows[0].Status != "superseded" || rows[1].Status != "active" {
		t.Fatalf("certificates of the board: %+v", rows)
	}
	detail, err := s.Detail(t.Context(), s.rows()[0].Run)
	if s.must(err); detail.Run.Rework != "board was repaired" || detail.Run.Operator != "anna" {
		t.Errorf("the detail says %q by %q", detail.Run.Rework, detail.Run.Operator)
	}
}

func TestTheNumbersOfAShiftAreReadFromTheRegistry(t *testing.T) {
	s := ready(t, "posix:3")
	began := time.Now()
	for bay := range 3 {
		s.starts(bay+1, Start{})
	}
	s.waits()
	runs, err := s.Earlier(t.Context(), began)
	s.must(err)
	rows := s.rows()
	if len(runs) != 3 || len(rows) != 3 {
		t.Fatalf("%d Runs for the numbers, %d on record", len(runs), len(rows))
	}
	boards := map[string]bool{}
	for _, run := range runs {
		boards[run.Identity.ID.String()] = true
		if run.Ending != station.Pass || len(run.Steps) != len(s.record.Steps()) || run.Finished.Before(began) {
			t.Errorf("read back as %+v", run)
		}
	}
	for _, row := range rows {
		if !boards[row.BoardID] {
			t.Errorf("board %s is not counted", row.BoardID)
		}
	}
	if later, err := s.Earlier(t.Context(), time.Now()); err != nil || len(later) != 0 {
		t.Errorf("%d Runs of a shift that begins now, %v", len(later), err)
	}
}

func TestARunThatCouldNotBeRecordedIsInTheHeaderUntilOneCan(t *testing.T) {
	s := ready(t, "posix:1")
	full := &station.Run{Ending: station.Fault, Reason: "registry", Err: fmt.Errorf("closing the Run's record: %w", registry.ErrNotDurable)}
	s.busy, s.quiet = 1, make(chan struct{})
	s.finish(s.bays[0], []*station.Run{full}, Start{})
	s.refresh(t.Context())
	facts := s.facts()
	if !strings.Contains(facts.AuditBad, "nothing was recorded") {
		t.Errorf("the header says %q", facts.AuditBad)
	}
	s.starts(1, Start{})
	s.waits()
	if facts = s.facts(); facts.AuditBad != "" {
		t.Errorf("after a Pass the header says %q", facts.AuditBad)
	}
}

// copyHUK makes the first board of the second bay with the HUK of the first board of the first bay.
func (l *environment) copyHUK() {
	l.t.Helper()
	fuses := func(bay int) string { return l.record.Dir.In("bays", l.bays[bay-1].spec.Name, "1", "fuses.bin") }
	both := fixtures.Must(os.ReadFile(fuses(1)))(l.t)
	copy(both[32:], "another hardware")
	l.must(os.MkdirAll(filepath.Dir(fuses(2)), 0o700))
	l.must(os.WriteFile(fuses(2), both, 0o600))
}

func TestACloneStopsItsBayAndIsNoFailureOfTheRegistry(t *testing.T) {
	s := ready(t, "posix:2")
	s.starts(1, Start{})
	s.waits()
	s.copyHUK()
	s.starts(2, Start{})
	s.waits()
	s.last(2, station.Reject)
	facts := s.facts()
	if facts.AuditBad != "" {
		t.Errorf("the registry refused a clone, and the header says %q", facts.AuditBad)
	}
	if facts.Bays[1].Stopped != "clone" {
		t.Errorf("the tile says %q", facts.Bays[1].Stopped)
	}
}

func TestAClockThatWasNotSetIsInTheHeader(t *testing.T) {
	s := ready(t, "posix:1")
	facts := s.facts()
	if facts.ClockBad != "" {
		t.Errorf("the header says %q of a good clock", facts.ClockBad)
	}
	early := *s.record.Issuing
	early.NotBefore = time.Now().Add(time.Hour)
	s.record.Issuing = &early
	facts = s.facts()
	if !strings.Contains(facts.ClockBad, "issuing CA certificate is not valid") {
		t.Errorf("the header says %q", facts.ClockBad)
	}
}
