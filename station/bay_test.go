package station_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"hallmark/station"
)

// bays makes n bays that get their boards from next.
func bays(n int, next func(bay string) (station.Board, error)) []*station.Bay {
	var all []*station.Bay
	for i := range n {
		name := fmt.Sprintf("bay %d", i+1)
		all = append(all, &station.Bay{Name: name, Next: func(context.Context) (station.Board, io.Closer, error) {
			board, err := next(name)
			return board, io.NopCloser(nil), err
		}})
	}
	return all
}

// shared makes one station for many boards, and a function that makes the next board.
func shared(t *testing.T) (*station.Station, func(string) (station.Board, error)) {
	t.Helper()
	w := newFakes(t)
	s := w.station(func(c *station.Config) { c.Registry = acceptAll{} })
	return s, func(string) (station.Board, error) {
		board := newFakes(t)
		board.identity = w.identity
		return &struct{ station.Board }{board}, nil
	}
}

// acceptAll is a registry that accepts every call.
type acceptAll struct{}

func (acceptAll) Admit(context.Context, *station.Run) error                  { return nil }
func (acceptAll) Delivered(context.Context, *station.Run) error              { return nil }
func (acceptAll) Activate(context.Context, *station.Run) error               { return nil }
func (acceptAll) SealIntended(context.Context, *station.Run) error           { return nil }
func (acceptAll) LockIntended(context.Context, *station.Run) error           { return nil }
func (acceptAll) ImageAllowed(context.Context, *station.Run, [32]byte) error { return nil }
func (acceptAll) LockRead(context.Context, *station.Run) error               { return nil }
func (acceptAll) Close(_ context.Context, run *station.Run) (station.Outcome, error) {
	if run.Ending != station.Pass {
		return "", nil
	}
	return station.Issued, nil
}

func TestAPanicInABayIsAFaultOfThatBay(t *testing.T) {
	s, next := shared(t)
	all := bays(2, func(bay string) (station.Board, error) {
		if bay == "bay 2" {
			panic("no such tty")
		}
		return next(bay)
	})
	for i, want := range []station.Ending{station.Pass, station.Fault} {
		if runs := s.EnrolIn(t.Context(), all[i], station.Request{}); len(runs) != 1 || runs[0].Ending != want {
			t.Errorf("%s: %s (%v)", runs[0].Bay, runs[0].Ending, runs[0].Err)
		}
	}
}

func TestAnObserverThatPanicsEndsNoRun(t *testing.T) {
	w := newFakes(t)
	s := w.station(func(c *station.Config) {
		c.Events = func(e station.Event) { panic("no such column: " + e.Step) }
	})
	run, err := s.NewRun("1", "eva")
	if err != nil {
		t.Fatal(err)
	}
	var panicked *station.PanicError
	if err := s.Enrol(t.Context(), w, run); err != nil || run.Ending != station.Pass || !errors.As(run.Err, &panicked) {
		t.Errorf("%s (%v), error %v", run.Ending, run.Err, err)
	}
	empty := bays(1, func(string) (station.Board, error) { return nil, errors.New("no board") })[0]
	if runs := s.EnrolIn(t.Context(), empty, station.Request{}); len(runs) != 1 || !errors.As(runs[0].Err, &panicked) {
		t.Errorf("%d Runs, error %v", len(runs), runs[0].Err)
	}
}

func TestABayThatSawACloneIsStoppedUntilSomebodyAcknowledges(t *testing.T) {
	w := newFakes(t)
	w.fails("Admit", station.ErrClone)
	s := w.station()
	bay := bays(1, func(string) (station.Board, error) { return w, nil })[0]
	runs := s.EnrolIn(t.Context(), bay, station.Request{})
	if len(runs) != 1 || runs[0].Ending != station.Reject || !errors.Is(bay.Stopped(), station.ErrBayStopped) || bay.StoppedFor() != station.ErrClone.Word() {
		t.Errorf("%d Runs, %s, bay %v", len(runs), runs[0].Ending, bay.Stopped())
	}
	runs = s.EnrolIn(t.Context(), bay, station.Request{})
	if len(runs) != 1 || runs[0].Ending != station.Aborted || runs[0].Reason != "bay-stopped" {
		t.Errorf("a stopped bay runs: %+v", runs)
	}
	w.hook = nil
	bay.Acknowledge()
	if runs = s.EnrolIn(t.Context(), bay, station.Request{}); len(runs) != 1 || runs[0].Ending != station.Pass {
		t.Errorf("after the acknowledgement: %+v", runs)
	}
}

func TestADrainBeginsNoNewRun(t *testing.T) {
	s, next := shared(t)
	s.Drain()
	runs := s.EnrolIn(t.Context(), bays(1, next)[0], station.Request{})
	if len(runs) != 1 || runs[0].Ending != station.Aborted || !errors.Is(runs[0].Err, station.ErrDraining) {
		t.Errorf("%d Runs, %s, error %v", len(runs), runs[0].Ending, runs[0].Err)
	}
}

func TestEachRunIsForWhomTheRequestSays(t *testing.T) {
	s, next := shared(t)
	run := s.EnrolIn(t.Context(), bays(1, next)[0], station.Request{Operator: "eva", Order: "L17", Rework: "flash replaced"})[0]
	if run.Operator != "eva" || run.Order != "L17" || run.Rework != "flash replaced" || run.Bay != "bay 1" {
		t.Errorf("%+v", run)
	}
}

func TestABayWithoutABoardIsAFault(t *testing.T) {
	s, _ := shared(t)
	gone := errors.New("open /dev/ttyUSB0: no such file or directory")
	bay := bays(1, func(string) (station.Board, error) { return nil, gone })[0]
	runs := s.EnrolIn(t.Context(), bay, station.Request{})
	if len(runs) != 1 || runs[0].Ending != station.Fault || runs[0].Reason != "no-board" || !errors.Is(runs[0].Err, gone) {
		t.Errorf("%+v", runs)
	}
}
