package station_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"testing"

	"hallmark/station"
)

// bays makes n bays whose boards are always new worlds' boards.
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

func perBay(runs []*station.Run) map[string]int {
	count := map[string]int{}
	for _, run := range runs {
		count[run.Bay]++
	}
	return count
}

// shared gives one station for many boards: everything but the board is shared.
func shared(t *testing.T) (*station.Station, func(string) (station.Board, error)) {
	t.Helper()
	w := newWorld(t)
	s := w.station(func(c *station.Config) { c.Registry = quiet{} })
	return s, func(string) (station.Board, error) {
		board := newWorld(t)
		board.identity = w.identity
		return &struct{ station.Board }{board}, nil
	}
}

// quiet is a registry that agrees with everything.
type quiet struct{}

func (quiet) Admit(context.Context, *station.Run) error     { return nil }
func (quiet) Delivered(context.Context, *station.Run) error { return nil }
func (quiet) Activate(context.Context, *station.Run) error  { return nil }
func (quiet) Close(context.Context, *station.Run) error     { return nil }

func TestABenchGivesEachBayItsRunAndSharesTheRest(t *testing.T) {
	for _, test := range []struct{ bays, count, jobs, want int }{
		{1, 0, 0, 1}, {3, 0, 0, 3}, {3, 3, 1, 3}, {3, 2, 0, 2}, {3, 10, 2, 10}, {1, 5, 4, 5},
	} {
		t.Run(fmt.Sprintf("%d bays, count %d, %d jobs", test.bays, test.count, test.jobs), func(t *testing.T) {
			s, next := shared(t)
			var told atomic.Int32
			bench := station.Bench{Station: s, Bays: bays(test.bays, next), Count: test.count, Jobs: test.jobs,
				Operator: "operator", Ended: func(*station.Run) { told.Add(1) }}
			runs, err := bench.Run(t.Context())
			if err != nil || len(runs) != test.want || int(told.Load()) != test.want {
				t.Fatalf("%d Runs, told of %d, error %v", len(runs), told.Load(), err)
			}
			for bay, n := range perBay(runs) {
				if test.count <= test.bays && n != 1 {
					t.Errorf("%s had %d Runs", bay, n)
				}
			}
			if test.count > test.bays && len(perBay(runs)) != test.bays {
				t.Errorf("Runs per bay: %v", perBay(runs))
			}
		})
	}
}

func TestJobsBoundTheRunsAtTheSameTime(t *testing.T) {
	w := newWorld(t)
	s := w.station(func(c *station.Config) { c.Registry = quiet{} })
	var now, most atomic.Int32
	next := func(string) (station.Board, error) {
		board := newWorld(t)
		board.hook = func(call string) error {
			switch call {
			case "Identify":
				atMost(&most, now.Add(1))
			case "Handshake":
				now.Add(-1)
			}
			return nil
		}
		return &struct{ station.Board }{board}, nil
	}
	bench := station.Bench{Station: s, Bays: bays(6, next), Count: 12, Jobs: 2}
	if runs, err := bench.Run(t.Context()); err != nil || len(runs) != 12 || most.Load() > 2 {
		t.Errorf("%d Runs, %d at the same time, error %v", len(runs), most.Load(), err)
	}
}

func TestAPanicInOneBayLeavesTheOthersAlone(t *testing.T) {
	s, next := shared(t)
	bench := station.Bench{Station: s, Bays: bays(3, func(bay string) (station.Board, error) {
		if bay == "bay 2" {
			panic("no such tty")
		}
		return next(bay)
	})}
	runs, err := bench.Run(t.Context())
	if err != nil || len(runs) != 3 {
		t.Fatalf("%d Runs, error %v", len(runs), err)
	}
	for _, run := range runs {
		if want := map[bool]station.Ending{true: station.Fault, false: station.Pass}[run.Bay == "bay 2"]; run.Ending != want {
			t.Errorf("%s: %s (%v)", run.Bay, run.Ending, run.Err)
		}
	}
}

func TestAnObserverThatPanicsEndsNoRun(t *testing.T) {
	w := newWorld(t)
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
	bench := station.Bench{Station: s, Bays: bays(2, func(string) (station.Board, error) { return nil, errors.New("no board") })}
	runs, err := bench.Run(t.Context())
	if len(runs) != 2 || err != nil || !errors.As(runs[0].Err, &panicked) {
		t.Errorf("%d Runs, error %v", len(runs), err)
	}
}

func TestABayThatSawACloneIsStoppedUntilSomebodyAcknowledges(t *testing.T) {
	w := newWorld(t)
	w.fails("Admit", station.ErrClone)
	s := w.station()
	all := bays(1, func(string) (station.Board, error) { return w, nil })
	bench := station.Bench{Station: s, Bays: all, Count: 3}
	runs, err := bench.Run(t.Context())
	if len(runs) != 1 || !errors.Is(err, station.ErrBayStopped) || !errors.Is(err, station.ErrClone) || !errors.Is(all[0].Stopped(), station.ErrClone) {
		t.Errorf("%d Runs, error %v, bay %v", len(runs), err, all[0].Stopped())
	}
	runs, _ = bench.Run(t.Context())
	if len(runs) != 1 || runs[0].Ending != station.Aborted || runs[0].Reason != "bay-stopped" {
		t.Errorf("a stopped bay runs: %+v", runs)
	}
	w.hook = nil
	all[0].Acknowledge()
	if runs, err = bench.Run(t.Context()); len(runs) != 3 || err != nil || runs[0].Ending != station.Pass {
		t.Errorf("%d Runs after the acknowledgement, error %v", len(runs), err)
	}
}

func TestADrainBeginsNoNewRun(t *testing.T) {
	s, next := shared(t)
	bench := station.Bench{Station: s, Bays: bays(1, next), Count: 5, Ended: func(*station.Run) { s.Drain() }}
	runs, err := bench.Run(t.Context())
	if len(runs) != 1 || runs[0].Ending != station.Pass || !errors.Is(err, station.ErrDraining) {
		t.Errorf("%d Runs, error %v", len(runs), err)
	}
}

func TestABayWithoutABoardIsAFault(t *testing.T) {
	s, _ := shared(t)
	gone := errors.New("open /dev/ttyUSB0: no such file or directory")
	bench := station.Bench{Station: s, Bays: bays(1, func(string) (station.Board, error) { return nil, gone })}
	runs, err := bench.Run(t.Context())
	if err != nil || len(runs) != 1 || runs[0].Ending != station.Fault || runs[0].Reason != "no-board" || !errors.Is(runs[0].Err, gone) {
		t.Errorf("%+v, error %v", runs, err)
	}
}

func TestAWrongBenchIsAnError(t *testing.T) {
	s, next := shared(t)
	for name, bench := range map[string]station.Bench{
		"no station": {Bays: bays(1, next)}, "no bays": {Station: s}, "negative jobs": {Station: s, Bays: bays(1, next), Jobs: -1},
	} {
		if _, err := bench.Run(t.Context()); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

// atMost raises a maximum.
func atMost(most *atomic.Int32, n int32) {
	for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
	}
}
