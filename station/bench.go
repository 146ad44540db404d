package station

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
)

// A Bay is one place on the bench. It serves one board after the other and
// remembers why it must not go on. Its methods are safe for concurrent use.
type Bay struct {
	Name string
	// Next gives the board that sits in the bay now, or waits for one, and
	// what closes it when its Run has ended. Its ctx lives until then.
	Next func(ctx context.Context) (Board, io.Closer, error)

	mu   sync.Mutex
	stop error // why the bay is stopped, nil while it is not
}

// Stop keeps the bay from starting Runs until Acknowledge (I4).
func (b *Bay) Stop(why error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stop = errors.Join(ErrBayStopped, why)
}

// Acknowledge lets the bay go on. The caller has put on record who said so.
func (b *Bay) Acknowledge() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stop = nil
}

// Stopped gives nil, or an ErrBayStopped that says why.
func (b *Bay) Stopped() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.stop
}

// A Bench runs many bays at once. A board's visit in a bay is one Run for each
// of the station's purposes, in their order, until one does not pass.
type Bench struct {
	Station  *Station
	Bays     []*Bay
	Count    int    // boards in total; 0 means one for each bay
	Jobs     int    // boards at the same time; 0 means all bays
	Operator string // on each Run
	Order    string // work order of each Run, may be empty
	Rework   string // reason of a rework, for each Run, empty for first enrolments
	// Ended is told of each Run when it has ended, one call at a time. May be nil.
	Ended func(*Run)
}

// Run takes boards until Count is reached and returns when all Runs have ended: the
// Runs, in the order of their ends, and an error if some of Count were not begun
// (a drain, a cancelled ctx, or no bay that is not stopped). Each bay gets one
// board before any gets a second one. What ctx and Drain do is said at Enrol.
func (b *Bench) Run(ctx context.Context) ([]*Run, error) {
	shift, err := b.begin(ctx)
	if err != nil {
		return nil, fmt.Errorf("starting the bench: %w", err)
	}
	var bays sync.WaitGroup
	for i, bay := range b.Bays {
		bays.Go(func() { shift.work(ctx, bay, i < shift.count) })
	}
	bays.Wait()
	return shift.ended, shift.missing(ctx)
}

func (b *Bench) begin(ctx context.Context) (*shift, error) {
	if b.Station == nil || len(b.Bays) == 0 || b.Count < 0 || b.Jobs < 0 {
		return nil, errors.New("want a station, at least one bay, and no negative count or jobs")
	}
	s := &shift{Bench: b, count: b.Count}
	if s.count == 0 {
		s.count = len(b.Bays)
	}
	s.spare = max(0, s.count-len(b.Bays))
	jobs := b.Jobs
	if jobs == 0 {
		jobs = len(b.Bays)
	}
	s.jobs = make(chan struct{}, jobs)
	return s, nil
}

// A shift is one call of Bench.Run.
type shift struct {
	*Bench
	count int
	jobs  chan struct{} // holds one element for each board in work

	mu     sync.Mutex // covers what follows
	spare  int        // boards that no bay has claimed yet
	visits int        // that ended
	ended  []*Run
}

// work serves one bay: its own board, if it has one, then spare ones.
func (s *shift) work(ctx context.Context, bay *Bay, own bool) {
	for own || s.claim() {
		own = false
		if !s.acquire(ctx) {
			return
		}
		runs := s.visit(ctx, bay)
		<-s.jobs
		s.end(runs)
		if bay.Stopped() != nil {
			return
		}
	}
}

// claim takes one of the spare boards.
func (s *shift) claim() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.spare == 0 {
		return false
	}
	s.spare--
	return true
}

// acquire waits for a job, unless the bench stops.
func (s *shift) acquire(ctx context.Context) bool {
	select {
	case <-ctx.Done():
	case <-s.Station.Draining():
	default:
		select {
		case s.jobs <- struct{}{}:
			return true
		case <-ctx.Done():
		case <-s.Station.Draining():
		}
	}
	return false
}

func (s *shift) end(runs []*Run) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.visits++
	for _, run := range runs {
		s.ended = append(s.ended, run)
		if s.Ended != nil {
			s.Ended(run)
		}
	}
}

// missing says why fewer boards came than were asked for.
func (s *shift) missing(ctx context.Context) error {
	if s.visits == s.count {
		return nil
	}
	why := []error{fmt.Errorf("%d of %d boards were not begun", s.count-s.visits, s.count), context.Cause(ctx)}
	if s.Station.draining.Err() != nil {
		why = append(why, ErrDraining)
	}
	for _, bay := range s.Bays {
		if stopped := bay.Stopped(); stopped != nil {
			why = append(why, fmt.Errorf("bay %s: %w", bay.Name, stopped))
		}
	}
	return errors.Join(why...)
}

// visit does the Runs of one board. Whatever happens, there is a Run that tells it.
func (s *shift) visit(ctx context.Context, bay *Bay) []*Run {
	run, err := s.newRun(bay, s.Station.config.Keys[0])
	if err == nil {
		err = bay.Stopped()
	}
	if err != nil {
		return []*Run{s.Station.notBegun(ctx, run, err)}
	}
	life, cancel := context.WithCancelCause(ctx) // of the board, which may be a process
	defer cancel(nil)
	board, closer, err := bay.take(life, cancel, s.Station)
	if err != nil {
		return []*Run{s.Station.notBegun(ctx, run, err)}
	}
	runs := s.enrol(ctx, board, bay, run)
	last := runs[len(runs)-1]
	if err := closer.Close(); err != nil && last.Err == nil {
		// The verdict on the board is on record; a bay that does not close says so at its next board.
		last.Err = fmt.Errorf("closing the board: %w", err)
	}
	if last.StopBay {
		bay.Stop(last.Err)
	}
	return runs
}

// enrol does the first Run, and after each that passes the one for the next purpose.
func (s *shift) enrol(ctx context.Context, board Board, bay *Bay, run *Run) []*Run {
	runs := []*Run{s.one(ctx, board, run)}
	for _, key := range s.Station.config.Keys[1:] {
		if runs[len(runs)-1].Ending != Pass {
			break
		}
		next, err := s.newRun(bay, key)
		if err != nil {
			return append(runs, s.Station.notBegun(ctx, next, err))
		}
		runs = append(runs, s.one(ctx, board, next))
	}
	return runs
}

func (s *shift) one(ctx context.Context, board Board, run *Run) *Run {
	if err := s.Station.Enrol(ctx, board, run); err != nil {
		return s.Station.notBegun(ctx, run, err)
	}
	return run
}

// newRun gives a Run even when there is no randomness for its id.
func (s *shift) newRun(bay *Bay, key Key) (*Run, error) {
	run, err := s.Station.NewRun(bay.Name, s.Operator)
	if err != nil {
		run = &Run{Bay: bay.Name, Operator: s.Operator}
	}
	run.Order, run.Rework, run.Purpose = s.Order, s.Rework, key.Purpose
	return run, err
}

// take gets the bay's board; a drain ends the wait for it, and a panic is an error.
func (b *Bay) take(ctx context.Context, cancel context.CancelCauseFunc, s *Station) (board Board, closer io.Closer, err error) {
	stop := context.AfterFunc(s.draining, func() { cancel(ErrDraining) })
	defer stop()
	err = caught(func() (err error) { board, closer, err = b.Next(ctx); return err })
	if err != nil && ctx.Err() != nil {
		err = &stopped{cause: context.Cause(ctx), err: err}
	}
	return board, closer, blame(ErrNoBoard, err)
}

// notBegun ends a Run that never reached a board.
func (s *Station) notBegun(ctx context.Context, run *Run, err error) *Run {
	verdict := endingOf(ctx, err)
	run.Started = s.config.Now()
	run.Finished, run.Err = run.Started, err
	run.Ending, run.Reason = verdict.Ending, verdict.Reason
	run.Err = errors.Join(run.Err, s.tell(RunStarted, "", run), s.tell(RunEnded, "", run))
	return run
}
