package operate

import (
	"fmt"
	"sync"
	"time"

	"hallmark/station"
	"hallmark/station/reason"
)

// diskBound is how long a start waits for the answer of the file system.
const diskBound = 5 * time.Second

var errDiskHangs = reason.New("disk-hangs", "disk of the station directory does not answer")

// unfit returns why no Run may begin in any bay because it could not be recorded: the disk is
// full or does not answer, or the clock is wrong. It returns nil if Runs may begin. The caller
// does not hold mu, because the disk may hang.
func (c *Controller) unfit() error {
	if err := c.disk.check(); err != nil {
		return err
	}
	if err := c.record.CheckClock(c.record.Now()); err != nil {
		return fmt.Errorf("%w: %w", station.ErrClock, err)
	}
	return nil
}

// A disk asks the file system for its free space. Callers that come while a question is
// open share its answer, so at most one goroutine waits for a disk that hangs.
type disk struct {
	hasSpace func() error
	bound    time.Duration // how long a caller waits for the answer

	mu   sync.Mutex // covers open
	open *question  // nil while no question is open
}

// A question is one call of hasSpace. err is set before answered is closed.
type question struct {
	answered chan struct{}
	err      error
}

// check returns the answer of the file system, or errDiskHangs after the bound.
func (d *disk) check() error {
	q := d.ask()
	late := time.NewTimer(d.bound)
	defer late.Stop()
	select {
	case <-q.answered:
		return q.err
	case <-late.C:
		return fmt.Errorf("waiting %v for the free space: %w", d.bound, errDiskHangs)
	}
}

func (d *disk) ask() *question {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open != nil {
		return d.open
	}
	q := &question{answered: make(chan struct{})}
	d.open = q
	go func() {
		q.err = d.hasSpace()
		d.mu.Lock()
		d.open = nil
		d.mu.Unlock()
		close(q.answered)
	}()
	return q
}
