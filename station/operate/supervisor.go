package operate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"hallmark/hsm"
	"hallmark/station"
	"hallmark/station/audit"
	"hallmark/station/health"
	"hallmark/station/reason"
)

const (
	tickEvery  = time.Second      // between two ticks of the Supervisor
	probeEvery = 20 * time.Second // between two probes, so that a lost HSM is noticed while no Run needs the HSM
	reloading  = 3 * time.Second  // how long a Pass stays on the screen before automatic start takes the next board
	maxResumed = 3                // how often in a row a lost Run of one bay is started again
)

// A checkpoint is due after checkpointEvery Runs, and after each act of a person that changes what the line may do. It is also due
// checkpointInterval after the last checkpoint if the log has new entries. A checkpoint that failed is tried again after
// checkpointPause.
const (
	checkpointEvery    = 50
	checkpointInterval = 15 * time.Minute
	checkpointPause    = time.Minute
)

// A Supervisor does the work of a Controller that no client asks for. Only its goroutine uses
// the fields.
type Supervisor struct {
	c          *Controller
	stop       context.CancelFunc
	done       chan struct{}
	plugged    plugged
	probed     time.Time  // time of the last probe of the HSM
	signing    chan error // gets the result of the checkpoint under way; nil while none is
	retryAfter time.Time  // no checkpoint before this time, because the last one failed
	idleUntil  time.Time  // no checkpoint for the age of the last checkpoint before this time
}

// Supervise starts a Supervisor, which works until ctx ends or End is called. The Supervisor
// waits only for HSM, registry and disk, whose calls have time-outs.
func (c *Controller) Supervise(ctx context.Context) *Supervisor {
	ctx, stop := context.WithCancel(ctx)
	s := &Supervisor{c: c, stop: stop, done: make(chan struct{})}
	s.plugged = c.watchPorts(ctx)
	c.checkPorts() // so that a board that is plugged in from now on has appeared
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
	defer s.waitForCheckpoint()
	defer s.plugged.close(s.c)
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.c.wake:
		case <-s.plugged.changes():
		case <-s.c.record.Registry.Acts(): // a checkpoint follows at once
		case <-tick.C:
		}
		s.tick(s.c.record.Now())
	}
}

// tick does the work that is due.
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
	c.skipFaulty()
	c.startAutomatic(now)
	s.checkpoint(now)
}

// probeWanted reports whether to probe the HSM: if the HSM may be lost, if a lost Run waits
// for the HSM, or if a probe is due and no Run uses the HSM anyway.
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

// probe has the token sign a challenge, and records when the token disappeared or came back.
// The calls of the token have time-outs.
func (c *Controller) probe(open opened) {
	_, err := health.Prove(open.instance.Audit)
	if errors.Is(err, hsm.ErrBusy) && !errors.Is(err, hsm.ErrHung) {
		return // the token works: it is busy with the signatures of Runs
	}
	c.mu.Lock()
	before := c.away
	c.away = err
	c.tellChange()
	c.mu.Unlock()
	if (err == nil) != (before == nil) {
		c.options.Paused(err)
	}
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

// resume starts the lost Runs again, each with the same board. The Supervisor probes the HSM
// before.
func (c *Controller) resume() {
	if !c.anyBay((*Controller).isLost) {
		return
	}
	unfit := c.unfit()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, b := range c.bays {
		if c.isLost(b) {
			c.resumeBay(b, unfit)
		}
	}
}

// isLost reports whether the Run of a bay can be started again. The caller holds mu.
func (c *Controller) isLost(b *bayState) bool { return b.lost != nil && c.away == nil && !b.running }

// anyBay reports whether a condition holds for a bay.
func (c *Controller) anyBay(so func(*Controller, *bayState) bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(c.bays, func(b *bayState) bool { return so(c, b) })
}

// resumeBay starts the lost Run of a bay again, or keeps the Run while the clock is wrong. The
// caller holds mu.
func (c *Controller) resumeBay(b *bayState, unfit error) {
	const what = "starting again after the HSM was lost"
	lost, err := b.lost, errTriedOften
	if b.resumed < maxResumed {
		err = c.begin(b, lost.ask, unfit)
	}
	switch {
	case err == nil:
		b.resumed++
		c.record.Log.Info(what, "bay", lost.ask.Bay)
		if lost.ask.repeated != nil {
			lost.ask.repeated(lost.run)
		}
	case pauses(err):
		return
	default:
		b.lost = nil
		c.record.Log.Warn(what, "bay", lost.ask.Bay, "error", err)
	}
	c.tellChange()
}

var errTriedOften = errors.New("the Run was tried often enough")

// pauses reports whether a refusal ends by itself: the HSM comes back, the clock is set.
func pauses(err error) bool { return errors.Is(err, ErrHSMAway) || errors.Is(err, station.ErrClock) }

// startAutomatic starts a Run in each bay that has a new board, if automatic start is on.
func (c *Controller) startAutomatic(now time.Time) {
	waits := func(c *Controller, b *bayState) bool { return c.startsBoards() && b.hasNewBoard(now) }
	if !c.anyBay(waits) {
		return
	}
	unfit := c.unfit()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, b := range c.bays {
		if waits(c, b) && b.presence.doubtful && b.lastBoard != "" { // without it no answer would say anything
			c.askBoard(b)
		} else if waits(c, b) && c.begin(b, Start{Bay: b.spec.Name, Operator: c.operator, Order: c.order.ID, automatic: true}, unfit) == nil {
			c.record.Log.Info("automatic start", "bay", b.spec.Name)
		}
	}
}

// startsBoards reports whether automatic start is on and the work order is not complete. The
// caller holds mu.
func (c *Controller) startsBoards() bool {
	return c.automatic && (c.order.Quota == 0 || c.order.Count < c.order.Quota)
}

// hasNewBoard reports whether the bay holds a board without a Run. A serial port has a new
// board when the port has appeared. A bay with emulated boards has a new board at the start and
// some time after each Pass.
func (b *bayState) hasNewBoard(now time.Time) bool {
	if b.spec.Kind == nil {
		return b.presence.appeared
	}
	return b.last == "" || b.last == station.Pass && now.Sub(b.passed) >= reloading
}

// checkpoint begins to sign a checkpoint if a checkpoint is due. A signature can take as long
// as the time-out of the HSM, so a goroutine signs beside the other work of the Supervisor.
func (s *Supervisor) checkpoint(now time.Time) {
	if s.signs(now) {
		return
	}
	atOnce, age := s.c.checkpointDue(now)
	if now.Before(s.retryAfter) || !atOnce && (!age || now.Before(s.idleUntil)) {
		return
	}
	s.idleUntil = now.Add(checkpointPause)
	signed := make(chan error, 1)
	s.signing = signed
	go func() {
		signed <- s.c.cover()
		s.c.wakeUp() // a batch can reach the number of Runs again meanwhile, and a person can do something
	}()
}

// signs reports whether a checkpoint is under way. It takes the result of a checkpoint that is ready.
func (s *Supervisor) signs(now time.Time) bool {
	if s.signing == nil {
		return false
	}
	select {
	case err := <-s.signing:
		s.signed(err, now)
		return false
	default:
		return true
	}
}

func (s *Supervisor) signed(err error, now time.Time) {
	s.signing = nil
	if err != nil {
		s.retryAfter = now.Add(checkpointPause)
		s.c.record.Log.Error("checkpoint during the shift", "error", err)
	}
}

// waitForCheckpoint waits for the checkpoint under way, which has a time-out.
func (s *Supervisor) waitForCheckpoint() {
	if s.signing != nil {
		s.signed(<-s.signing, s.c.record.Now())
	}
}

// checkpointDue reports whether a checkpoint is due because of an act or of the number of Runs, and because of the age of the last
// checkpoint.
func (c *Controller) checkpointDue(now time.Time) (atOnce, age bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	here := c.away == nil
	return here && (c.uncovered >= checkpointEvery || c.record.Registry.ActsUncovered()), here && now.Sub(c.checkpointed) >= checkpointInterval
}

// cover signs a checkpoint over the whole log.
func (c *Controller) cover() error {
	open, ready := c.open()
	if !ready {
		return errNotOpen
	}
	c.mu.Lock()
	covered := c.uncovered
	c.mu.Unlock()
	if err := open.instance.Checkpoint(); err != nil {
		return fmt.Errorf("covering %s: %w", reason.Count(covered, "Run", "Runs"), err)
	}
	c.mu.Lock()
	c.uncovered -= covered
	c.mu.Unlock()
	c.refresh(c.life)
	return nil
}
