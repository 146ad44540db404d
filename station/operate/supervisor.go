package operate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"hallmark/hsm"
	"hallmark/station"
	"hallmark/station/audit"
	"hallmark/station/health"
)

const (
	tickEvery  = time.Second      // between two looks of the Supervisor
	probeEvery = 20 * time.Second // a lost HSM is noticed before the next board needs the HSM
	reloading  = 3 * time.Second  // how long a passed board stays on the screen before the next board starts by itself
	maxResumed = 3                // how often in a row a Run of one bay is started again by itself
)

// A checkpoint is due after so many Runs, or when this long has passed since the last
// checkpoint and anything is new. A checkpoint that did not come about is tried again after a pause.
const (
	checkpointEvery    = 50
	checkpointInterval = 15 * time.Minute
	checkpointPause    = time.Minute
)

// A Supervisor does what nobody asks for. Its goroutine owns its fields.
type Supervisor struct {
	c          *Controller
	stop       context.CancelFunc
	done       chan struct{}
	probed     time.Time // when the HSM signed a probe last
	retryAfter time.Time // no checkpoint before this time, because the last one failed
	idleUntil  time.Time // no checkpoint for its age before this time, because nothing was new
}

// Supervise starts the Supervisor, which works until ctx ends or End is called. Its waits
// are those of HSM and registry, which have bounds.
func (c *Controller) Supervise(ctx context.Context) *Supervisor {
	ctx, stop := context.WithCancel(ctx)
	s := &Supervisor{c: c, stop: stop, done: make(chan struct{})}
	go s.work(ctx)
	return s
}

// End stops the Supervisor and waits for it.
func (s *Supervisor) End() {
	s.stop()
	<-s.done
}

func (s *Supervisor) work(ctx context.Context) {
	defer close(s.done)
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.c.wake:
		case <-tick.C:
		}
		s.tick(s.c.record.Now())
	}
}

// tick does what is due.
func (s *Supervisor) tick(now time.Time) {
	c := s.c
	c.checkPorts()
	open, ready := c.open()
	if !ready {
		return
	}
	if c.probeWanted(now.Sub(s.probed) >= probeEvery) {
		c.probe(open)
		s.probed = now
	}
	c.resume()
	c.startAutomatic(now)
	s.checkpoint(now)
}

// probeWanted reports whether the HSM is to be probed: something waits for the HSM, or it
// is time and no Run asks the HSM anyway.
func (c *Controller) probeWanted(due bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.suspected {
		c.suspected = false
		return true
	}
	for _, b := range c.bays {
		if b.lost != nil {
			return true
		}
	}
	return c.away != nil || due && c.busy == 0
}

// probe has the token sign, and puts on record when the token went and came back. The
// token bounds its own calls.
func (c *Controller) probe(open opened) {
	_, err := health.Prove(open.instance.Audit)
	if errors.Is(err, hsm.ErrBusy) && !errors.Is(err, hsm.ErrHung) {
		return // the token works, for others
	}
	c.mu.Lock()
	before := c.away
	c.away = err
	c.tellChange()
	c.mu.Unlock()
	var noted error
	switch {
	case err != nil && before == nil:
		c.record.Log.Warn("HSM is away: the line pauses", "error", err)
		noted = c.record.Note("hsm.away", audit.Failure, map[string]string{"error": err.Error()})
	case err == nil && before != nil:
		c.record.Log.Info("HSM is back: the line goes on")
		noted = c.record.Note("hsm.back", audit.Success, nil)
	}
	if noted != nil {
		c.record.Log.Error("recording the state of the HSM", "error", noted)
	}
}

// resume starts again what a lost HSM ended, with the board that sat there. It
// comes after a probe.
func (c *Controller) resume() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, b := range c.bays {
		if b.lost == nil || c.away != nil || b.running {
			continue
		}
		lost := b.lost
		b.lost = nil
		c.tellChange()
		if b.resumed >= maxResumed {
			continue
		}
		b.resumed++
		if c.try(b, lost.ask, "starting again after the HSM was lost") {
			c.repeated[lost.run.ID] = true
		}
	}
}

// try needs mu. It reports whether a Run was begun.
func (c *Controller) try(b *bayState, ask Start, why string) bool {
	if err := c.begin(b, ask); err != nil {
		c.record.Log.Warn(why, "bay", ask.Bay, "error", err)
		return false
	}
	c.record.Log.Info(why, "bay", ask.Bay)
	return true
}

// startAutomatic starts what is ready: an emulated bay that has had no board, or
// whose board passed a moment ago; a port on which a board has appeared.
func (c *Controller) startAutomatic(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.automatic || c.order.Quota > 0 && c.order.Count >= c.order.Quota {
		return
	}
	for _, b := range c.bays {
		if b.hasNewBoard(now) && c.whyNot(b) == nil {
			c.try(b, Start{Bay: b.spec.Name, Operator: c.operator, Order: c.order.ID}, "automatic start")
		}
	}
}

// hasNewBoard reports whether a board waits in the bay that was not tried yet.
func (b *bayState) hasNewBoard(now time.Time) bool {
	if b.spec.Kind == nil {
		return b.presence.appeared
	}
	return b.last == "" || b.last == station.Pass && now.Sub(b.passed) >= reloading
}

// checkpoint signs over the log if that is due.
func (s *Supervisor) checkpoint(now time.Time) {
	c := s.c
	runs, age := c.checkpointDue(now)
	if now.Before(s.retryAfter) || !runs && (!age || now.Before(s.idleUntil)) {
		return
	}
	s.idleUntil = now.Add(checkpointPause)
	if err := c.cover(); err != nil {
		s.retryAfter = now.Add(checkpointPause)
		c.record.Log.Error("checkpoint during the shift", "error", err)
	}
}

// checkpointDue reports whether a checkpoint is due for the number of Runs, and for its age.
func (c *Controller) checkpointDue(now time.Time) (runs, age bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	here := c.away == nil
	return here && c.uncovered >= checkpointEvery, here && now.Sub(c.checkpointed) >= checkpointInterval
}

// cover signs the log as it stands.
func (c *Controller) cover() error {
	open, ready := c.open()
	if !ready {
		return errNotOpen
	}
	c.mu.Lock()
	covered := c.uncovered
	c.mu.Unlock()
	if err := open.instance.Checkpoint(); err != nil {
		return fmt.Errorf("covering %d Runs: %w", covered, err)
	}
	c.mu.Lock()
	c.uncovered -= covered
	c.mu.Unlock()
	c.refresh(c.life)
	return nil
}
