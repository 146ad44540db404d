// Package sender sends what waits in an outbox beside a station, again and again, until the station ends. No Run waits for a receiver.
package sender

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// An Outbox has what is sent. Only the Sender calls it.
type Outbox interface {
	// LogSize gives the number of entries of the audit log: new ones may have to be sent.
	LogSize(ctx context.Context) (int64, error)
	// Send sends all that waits. An error says that the receiver does not take it.
	Send(ctx context.Context) error
	// Close closes the outbox. What waits stays.
	Close() error
}

// Options of a Sender.
type Options struct {
	Log       *slog.Logger
	Waits     string        // line of the log when the receiver takes nothing any more
	Again     string        // line of the log when it takes all again
	Hello     time.Duration // from one Send to the next while nothing is new; 0: such a Send is not needed
	LastPause time.Duration // longest pause after a refusal
}

const (
	poll       = 200 * time.Millisecond // between two looks at the audit log, each a few microseconds
	firstPause = time.Second            // after a refusal; each further pause is twice as long
)

// A Sender sends until End.
type Sender struct {
	options Options
	outbox  Outbox
	stop    context.CancelFunc
	end     chan struct{}
	work    sync.WaitGroup

	mu  sync.Mutex
	err error // why the newest try ended early; nil: the receiver took all
}

// Start begins to send. The Sender closes the outbox.
func Start(outbox Outbox, o Options) *Sender {
	ctx, stop := context.WithCancel(context.Background())
	s := &Sender{options: o, outbox: outbox, stop: stop, end: make(chan struct{})}
	s.work.Go(func() { s.follow(ctx) })
	return s
}

// follow sends until End, and once more what is there then. A receiver that refused is not waited for at the end.
func (s *Sender) follow(ctx context.Context) {
	pause, seen, said := firstPause, int64(-1), time.Time{}
	for last := false; ; {
		wait := poll
		size, err := s.outbox.LogSize(ctx)
		if err == nil && (size != seen || s.Err() != nil || s.options.Hello > 0 && time.Since(said) > s.options.Hello) {
			err = s.outbox.Send(ctx)
			seen, said = size, time.Now()
		}
		if ctx.Err() == nil {
			s.note(err)
		}
		if last || ctx.Err() != nil {
			return
		}
		if err != nil {
			wait, pause = pause, min(2*pause, s.options.LastPause)
		} else {
			pause = firstPause
		}
		select {
		case <-time.After(wait):
		case <-s.end:
			if err != nil {
				return
			}
			last = true
		}
	}
}

// note logs each change, and not each try.
func (s *Sender) note(err error) {
	s.mu.Lock()
	before := s.err
	s.err = err
	s.mu.Unlock()
	switch {
	case err != nil && before == nil:
		s.options.Log.Warn(s.options.Waits, "error", err)
	case err == nil && before != nil:
		s.options.Log.Info(s.options.Again)
	}
}

// Err says why something waits; nil: the receiver took all.
func (s *Sender) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// End sends what waits, for at most grace, and closes the outbox. What the receiver refused waits for the next start.
func (s *Sender) End(grace time.Duration) error {
	close(s.end)
	timer := time.AfterFunc(grace, s.stop)
	defer timer.Stop()
	s.work.Wait()
	s.stop()
	return s.outbox.Close()
}
