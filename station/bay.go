package station

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"hallmark/devices"
)

// A Bay is one place on the bench. It holds one board after the other and remembers
// why no further Run may begin there. Its methods are safe for concurrent use.
type Bay struct {
	Name string
	// Next returns the board that sits in the bay now, or waits for a board. The
	// io.Closer closes the board after its last Run; ctx ends then, too.
	Next func(ctx context.Context) (Board, io.Closer, error)

	// Debug is the debug port of the boards in this bay; nil: the bay has none.
	Debug DebugPort

	mu   sync.Mutex
	stop string // reason word of the Run that stopped the bay, empty while the bay is not stopped
}

// Stop keeps the bay from starting Runs until Acknowledge (I4). word is the reason word of the
// Run that stopped the bay.
func (b *Bay) Stop(word string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stop = word
}

// Acknowledge lets the bay start Runs again. The caller records the operator first.
func (b *Bay) Acknowledge() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stop = ""
}

// Stopped returns nil, or a StoppedError.
func (b *Bay) Stopped() error {
	if word := b.StoppedFor(); word != "" {
		return &StoppedError{Word: word}
	}
	return nil
}

// StoppedFor returns the reason word of the Run that stopped the bay, or the empty string.
func (b *Bay) StoppedFor() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.stop
}

// A Request says who has the board of a bay enrolled, and why.
type Request struct {
	Operator string
	Order    string // work order, may be empty
	Rework   string // reason of a rework, empty for a first enrolment
	// From is the purpose to go on from, when the Runs for the purposes before have passed;
	// empty: begin with the first purpose.
	From devices.Purpose
	// ScanBack lets the bay wait, after a Pass of the board's last Run, until an operator has scanned the board's label.
	ScanBack bool
}

// EnrolIn enrols the board that sits in a bay: one Run for each of the station's
// purposes, in their order, until a Run does not pass. EnrolIn returns at least one Run, also
// when no board could be reached. Enrol says what ctx and Drain do.
func (s *Station) EnrolIn(ctx context.Context, bay *Bay, request Request) []*Run {
	run, err := s.newRun(bay, request, s.keysFrom(request.From)[0])
	if err == nil {
		err = bay.Stopped()
	}
	if err != nil {
		return []*Run{s.notBegun(ctx, run, err)}
	}
	life, cancel := context.WithCancelCause(ctx) // of the board: an emulated board is a process that ends with life
	defer cancel(nil)
	board, closer, err := bay.take(life, cancel, s)
	if err != nil {
		return []*Run{s.notBegun(ctx, run, err)}
	}
	runs := s.enrolEach(ctx, board, bay, request, run)
	last := runs[len(runs)-1]
	if err := closer.Close(); err != nil && last.Err == nil {
		// The verdict on the board is on record, so the ending stays. If the bay does
		// not work any more, the Run of its next board reports that.
		last.Err = fmt.Errorf("closing the board: %w", err)
	}
	if last.StopBay {
		bay.Stop(last.Reason)
	}
	return runs
}

// enrolEach does the first Run, and after each Run that passes the Run for the next purpose.
func (s *Station) enrolEach(ctx context.Context, board Board, bay *Bay, request Request, run *Run) []*Run {
	runs := []*Run{s.enrolled(ctx, board, bay.Debug, run)}
	for _, key := range s.keysFrom(request.From)[1:] {
		if runs[len(runs)-1].Ending != Pass {
			break
		}
		next, err := s.newRun(bay, request, key)
		if err != nil {
			return append(runs, s.notBegun(ctx, next, err))
		}
		runs = append(runs, s.enrolled(ctx, board, bay.Debug, next))
	}
	return runs
}

func (s *Station) enrolled(ctx context.Context, board Board, port DebugPort, run *Run) *Run {
	if err := s.EnrolWith(ctx, board, port, run); err != nil {
		return s.notBegun(ctx, run, err)
	}
	return run
}

// keysFrom gives the keys from a purpose on. It gives all of them when no key has the purpose.
func (s *Station) keysFrom(purpose devices.Purpose) []Key {
	for i, key := range s.config.Keys {
		if key.Purpose == purpose {
			return s.config.Keys[i:]
		}
	}
	return s.config.Keys
}

// newRun returns a Run in any case. When there is no randomness for the id of the Run,
// newRun also returns an error.
func (s *Station) newRun(bay *Bay, request Request, key Key) (*Run, error) {
	run, err := s.NewRun(bay.Name, request.Operator)
	if err != nil {
		run = &Run{Bay: bay.Name, Operator: request.Operator}
	}
	run.Order, run.Rework, run.Purpose = request.Order, request.Rework, key.Purpose
	run.ScanBack = request.ScanBack && s.isLast(key.Purpose)
	return run, err
}

// take calls Next. A drain ends the wait for a board, and a panic of Next becomes an error.
func (b *Bay) take(ctx context.Context, cancel context.CancelCauseFunc, s *Station) (board Board, closer io.Closer, err error) {
	stop := context.AfterFunc(s.draining, func() { cancel(ErrDraining) })
	defer stop()
	err = caught(func() (err error) { board, closer, err = b.Next(ctx); return err })
	if err != nil && ctx.Err() != nil {
		err = &stopped{cause: context.Cause(ctx), err: err}
	}
	return board, closer, withComponent(ErrNoBoard, err)
}

// notBegun ends a Run for which no board could be reached.
func (s *Station) notBegun(ctx context.Context, run *Run, err error) *Run {
	row := endingOf(ctx, err)
	run.Started = s.config.Now()
	run.Finished, run.Err = run.Started, err
	run.Ending, run.Reason = row.Ending, row.Word
	run.Err = errors.Join(run.Err, s.notify(Event{Kind: RunStarted}, run), s.notify(Event{Kind: RunEnded}, run))
	return run
}
