package registry

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"hallmark/devices"
	"hallmark/station"
	"hallmark/station/audit"
)

// Calls share a commit. A refused call leaves its entry and nothing else, and the other
// calls of the batch are committed.
func TestARefusedCallIsUndoneAlone(t *testing.T) {
	for _, test := range []struct {
		name    string
		refused []bool // for each call of the batch
	}{
		{"no call is refused", []bool{false, false, false}},
		{"the first call is refused", []bool{true, false, false}},
		{"a call in the middle is refused", []bool{false, true, false}},
		{"the last call is refused", []bool{false, false, true}},
		{"two of three calls are refused", []bool{true, false, true}},
		{"all calls are refused", []bool{true, true}},
		{"the only call is refused", []bool{true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newTestRegistry(t)
			known := b.run()
			var batch []*call
			for _, refused := range test.refused {
				run := newRun(devices.BoardID(uuid.New()), "hardware")
				if refused {
					run = newRun(known.Identity.ID, "other hardware")
				}
				batch = append(batch, admission(run))
			}
			b.writer.serve(batch) // no call is under way, so the goroutine of the writer waits
			good := 1
			for n, refused := range test.refused {
				if err := <-batch[n].answer; errors.Is(err, station.ErrClone) != refused || err != nil != refused {
					t.Errorf("call %d: %v", n, err)
				}
				if !refused {
					good++
				}
			}
			b.verify()
			if refusals := b.count("board.refused"); refusals != len(test.refused)+1-good {
				t.Errorf("%d entries about refusals", refusals)
			}
			runs, err := b.SearchRuns(t.Context(), Search{})
			if b.must(err); len(runs) != good || b.count("board.admitted") != good {
				t.Errorf("%d Runs, want %d", len(runs), good)
			}
		})
	}
}

// admission is the call that Admit makes.
func admission(run *station.Run) *call {
	return &call{answer: make(chan error, 1), do: func(w *work) error {
		if err := w.admit(run, loggedOrder{}, &Config{Now: time.Now}); err != nil {
			return &refusal{err, runEntry(run, "board.refused", audit.Denied)}
		}
		return nil
	}}
}

func TestACallWhoseCallerGaveUpIsLeftOutOfItsBatch(t *testing.T) {
	b := newTestRegistry(t)
	kept, dropped := admission(newRun(devices.BoardID(uuid.New()), "a")), admission(newRun(devices.BoardID(uuid.New()), "b"))
	dropped.claimed.Store(true)
	b.writer.serve([]*call{dropped, kept})
	b.must(<-kept.answer)
	if n := b.count("board.admitted"); n != 1 {
		t.Errorf("%d boards admitted, want 1", n)
	}
	b.verify()
}
