package line_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"hallmark/devices/emulated"
	"hallmark/station"
	"hallmark/station/audit"
)

func TestAClockThatGoesBackIsANamedFaultUntilItIsRight(t *testing.T) {
	var moved atomic.Int64 // nanoseconds
	l := newLine(t, func(l *line) {
		l.now = func() time.Time { return time.Now().Add(time.Duration(moved.Load())) }
	})
	bay := l.bay("bay")
	bay.passes(t)
	back := func() { moved.Store(int64(-30 * time.Minute)) }
	for _, test := range []struct {
		name   string
		before bool // the Run, or when a CSR was asked for
	}{{"before a Run", true}, {"in the middle of a Run", false}} {
		t.Run(test.name, func(t *testing.T) {
			dir, asked := t.TempDir(), l.asked.Load()
			board := l.plug(t, emulated.Config{Dir: dir}, patience, nil)
			seen := station.Board(board)
			if test.before {
				back()
			} else {
				seen = liar{board.Client, changed(func(der []byte) []byte { back(); return der })}
			}
			run := bay.enrol(t, seen, board)
			ends(t, run, station.Fault, "clock")
			var step *audit.ClockError
			if !errors.As(run.Err, &step) || l.asked.Load() != asked {
				t.Errorf("%v, and %d signatures", run.Err, l.asked.Load()-asked)
			}
			moved.Store(0)
			l.inPeace(t, bay, dir, run)
			bay.passes(t)
			l.legal(t)
		})
	}
}
