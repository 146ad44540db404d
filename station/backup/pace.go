package backup

import (
	"context"
	"time"
)

// A pace rests after each piece of work. Rests add up until they are long enough to sleep, and
// a piece that waited for a slow disk costs no longer rest than longestRest.
type pace struct {
	rest int // as a multiple of the work
	owed time.Duration
}

const (
	shortestRest = 2 * time.Millisecond
	longestRest  = 100 * time.Millisecond
)

// do does one piece, and rests. It is a registry.Pace.
func (p *pace) do(ctx context.Context, piece func() error) error {
	began := time.Now()
	if err := piece(); err != nil {
		return err
	}
	p.owed += min(time.Duration(p.rest)*time.Since(began), longestRest)
	if p.owed < shortestRest {
		return context.Cause(ctx)
	}
	timer := time.NewTimer(p.owed)
	defer timer.Stop()
	p.owed = 0
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
