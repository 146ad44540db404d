package witness

import (
	"context"
	"errors"
	"sync"
	"time"
)

// A Destination is where the newest checkpoint goes: a witness, or a time stamping authority.
type Destination struct {
	Name string
	// Send has the newest checkpoint confirmed, if that is not done yet.
	Send func(ctx context.Context) error
	// Close closes the connections.
	Close func()
}

// A State says how the newest exchange with one destination ended.
type State struct {
	Name string
	Err  error // nil: it has confirmed the newest checkpoint
}

// A Submitter sends the newest checkpoint of a log. It never blocks its caller: each destination
// has one goroutine, and what waits is only the newest checkpoint.
type Submitter struct {
	destinations []Destination
	changed      func(State) // called when the kind of the result changes; may be nil

	wake  []chan struct{} // one place each
	end   chan struct{}
	stop  context.CancelFunc
	work  sync.WaitGroup
	mu    sync.Mutex
	state []State
}

// Pauses before a destination that failed is asked again.
const (
	firstPause = time.Minute
	lastPause  = 15 * time.Minute
)

// Start begins to send.
func Start(destinations []Destination, changed func(State)) *Submitter {
	ctx, stop := context.WithCancel(context.Background())
	s := &Submitter{destinations: destinations, changed: changed, end: make(chan struct{}), stop: stop}
	for i, to := range destinations {
		s.wake = append(s.wake, make(chan struct{}, 1))
		s.state = append(s.state, State{Name: to.Name})
		s.work.Go(func() { s.follow(ctx, i) })
	}
	s.Wake()
	return s
}

// Wake says that there is a new checkpoint. It returns at once.
func (s *Submitter) Wake() {
	for _, wake := range s.wake {
		select {
		case wake <- struct{}{}:
		default: // the goroutine has not begun with the last one, and will take the newest
		}
	}
}

// States gives the state of each destination, in the order of the configuration.
func (s *Submitter) States() []State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]State{}, s.state...)
}

// End waits for the exchanges under way, and for those that wait, but no longer than grace.
func (s *Submitter) End(grace time.Duration) {
	close(s.end)
	timer := time.AfterFunc(grace, s.stop)
	defer timer.Stop()
	s.work.Wait()
	s.stop()
	for _, to := range s.destinations {
		to.Close()
	}
}

// follow serves one destination.
func (s *Submitter) follow(ctx context.Context, i int) {
	pause, retry := firstPause, time.NewTimer(firstPause)
	retry.Stop()
	defer retry.Stop()
	for s.waits(ctx, s.wake[i], retry) {
		err := s.destinations[i].Send(ctx)
		if ctx.Err() != nil && err != nil {
			return // the end of the station cut the exchange off; the next start catches up
		}
		s.note(i, err)
		if retry.Stop(); err == nil {
			pause = firstPause
			continue
		}
		retry.Reset(pause)
		pause = min(2*pause, lastPause)
	}
}

// waits waits for work. It returns false when there is no more.
func (s *Submitter) waits(ctx context.Context, wake chan struct{}, retry *time.Timer) bool {
	select {
	case <-wake:
		return true
	case <-retry.C:
		return true
	case <-ctx.Done():
		return false
	case <-s.end:
	}
	select {
	case <-wake: // the last checkpoint
		return true
	default:
		return false
	}
}

func (s *Submitter) note(i int, err error) {
	s.mu.Lock()
	before := s.state[i].Err
	s.state[i].Err = err
	now := s.state[i]
	s.mu.Unlock()
	if s.changed != nil && kindOf(before) != kindOf(err) {
		s.changed(now)
	}
}

// kinds gives the results that differ for the audit log and for people.
func kinds() []error {
	return []error{ErrGone, ErrSlow, ErrUnknownLog, ErrForbidden, ErrFork, ErrLies, ErrTrouble}
}

// kindOf gives the kind of an error; all that are no answer of a witness are one kind.
func kindOf(err error) error {
	for _, kind := range kinds() {
		if errors.Is(err, kind) {
			return kind
		}
	}
	if err != nil {
		return errOther
	}
	return nil
}

var errOther = errors.New("another error")
