package witness

import (
	"context"
	"errors"
	"fmt"
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
	// Away says why it did not answer when the station started; nil: it did, or nobody asked.
	Away error
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
	stops []context.CancelFunc
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
	s := &Submitter{destinations: destinations, changed: changed, end: make(chan struct{})}
	for _, to := range destinations {
		s.wake = append(s.wake, make(chan struct{}, 1))
		s.state = append(s.state, State{Name: to.Name, Err: to.Away})
	}
	s.Wake()
	for i := range destinations {
		ctx, stop := context.WithCancel(context.Background())
		s.stops = append(s.stops, stop)
		s.work.Go(func() { s.follow(ctx, i) })
	}
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

// End waits for the exchanges under way, and for those that wait, but no longer than grace for all
// together. It does not wait for a destination that has not answered so far.
func (s *Submitter) End(grace time.Duration) {
	close(s.end)
	for i, state := range s.States() {
		if errors.Is(state.Err, ErrSlow) || errors.Is(state.Err, ErrGone) {
			s.stops[i]()
		}
	}
	timer := time.AfterFunc(grace, s.stop)
	defer timer.Stop()
	s.work.Wait()
	s.stop()
	for _, to := range s.destinations {
		to.Close()
	}
}

func (s *Submitter) stop() {
	for _, stop := range s.stops {
		stop()
	}
}

// follow serves one destination.
func (s *Submitter) follow(ctx context.Context, i int) {
	if away := s.destinations[i].Away; away != nil && s.changed != nil {
		s.changed(State{s.destinations[i].Name, away})
	}
	pause, retry := firstPause, time.NewTimer(firstPause)
	retry.Stop()
	defer retry.Stop()
	for s.waits(ctx, s.wake[i], retry) {
		err := s.destinations[i].Send(ctx)
		if ctx.Err() != nil && err != nil {
			s.cutOff(i)
			return
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

// errCutOff: the station ended before the answer came. The next start catches up.
var errCutOff = fmt.Errorf("%w, before the station ended", ErrSlow)

// cutOff notes an exchange that the end of the station cut off. It is no entry of the log, which ends, too.
func (s *Submitter) cutOff(i int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state[i].Err == nil {
		s.state[i].Err = errCutOff
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
	return []error{ErrGone, ErrSlow, ErrUnknownLog, ErrForbidden, ErrFork, ErrLost, ErrLies, ErrTrouble}
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
