package backup

import (
	"context"
	"time"
)

// A pace rests after pieces of work. Short rests add up to one of 50 ms, because each sleep costs processor time itself, and
// a piece that waited for a slow disk costs no longer rest than longestRest.
type pace struct {
	rest int // as a multiple of the work
	owed time.Duration
}

const (
	shortestRest = 50 * time.Millisecond
	longestRest  = 250 * time.Millisecond
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
