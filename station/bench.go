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

// A Bench runs many bays at once.
type Bench struct {
	Station  *Station
	Bays     []*Bay
	Count    int    // Runs in total; 0 means one for each bay
	Jobs     int    // Runs at the same time; 0 means all bays
	Operator string // on each Run
	Order    string // work order of each Run, may be empty
	Rework   string // reason of a rework, for each Run, empty for first enrolments
	// Ended is told of each Run when it has ended, one call at a time. May be nil.
	Ended func(*Run)
}

// Run starts Runs until Count is reached and returns when all have ended: the
// Runs, in the order of their ends, and an error if some of Count were not begun
// (a drain, a cancelled ctx, or no bay that is not stopped). Each bay gets one
// Run before any gets a second one. What ctx and Drain do is said at Enrol.
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
	jobs  chan struct{} // holds one element for each Run under way

	mu    sync.Mutex // covers what follows
	spare int        // Runs that no bay has claimed yet
	ended []*Run
}

// work serves one bay: its own Run, if it has one, then spare ones.
func (s *shift) work(ctx context.Context, bay *Bay, own bool) {
	for own || s.claim() {
		own = false
		if !s.acquire(ctx) {
			return
		}
		run := s.one(ctx, bay)
		<-s.jobs
		s.end(run)
		if bay.Stopped() != nil {
			return
		}
	}
}

// claim takes one of the spare Runs.
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

func (s *shift) end(run *Run) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = append(s.ended, run)
	if s.Ended != nil {
		s.Ended(run)
	}
}

// missing says why fewer Runs ended than were asked for.
func (s *shift) missing(ctx context.Context) error {
	if len(s.ended) == s.count {
		return nil
	}
	why := []error{fmt.Errorf("%d of %d Runs were not begun", s.count-len(s.ended), s.count), context.Cause(ctx)}
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

// one does one Run in a bay. Whatever happens, there is a Run that tells it.
func (s *shift) one(ctx context.Context, bay *Bay) *Run {
	run, err := s.Station.NewRun(bay.Name, s.Operator)
	if err != nil {
		return s.Station.notBegun(ctx, &Run{Bay: bay.Name, Operator: s.Operator}, err)
	}
	run.Order, run.Rework = s.Order, s.Rework
	if stopped := bay.Stopped(); stopped != nil {
		return s.Station.notBegun(ctx, run, stopped)
	}
	life, cancel := context.WithCancelCause(ctx) // of the board, which may be a process
	defer cancel(nil)
	board, closer, err := bay.take(life, cancel, s.Station)
	if err != nil {
		return s.Station.notBegun(ctx, run, err)
	}
	if err := s.Station.Enrol(ctx, board, run); err != nil {
		run = s.Station.notBegun(ctx, run, err)
	}
	if err := closer.Close(); err != nil && run.Err == nil {
		// The verdict on the board is on record; a bay that does not close says so at its next board.
		run.Err = fmt.Errorf("closing the board: %w", err)
	}
	if run.StopBay {
		bay.Stop(run.Err)
	}
	return run
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
