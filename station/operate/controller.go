// Package operate runs a bench of bays. The Controller starts and stops Runs, the
// Supervisor does what nobody asks for: it notices a lost HSM and goes on when the HSM
// is back, signs checkpoints, and starts boards that appear. A batch, the operator's screen
// and the lines of `--plain` are clients of one Controller, so they all treat a lost HSM, a
// full disk, a wrong clock and a stop alike.
package operate

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"hallmark/station"
	"hallmark/station/audit"
	"hallmark/station/instance"
	"hallmark/station/reason"
)

// Options are what New needs beside an open registry.
type Options struct {
	Bays   []instance.BaySpec
	Boards *instance.BoardSource
	Events func(station.Event)       // gets each event of the engine; must not block
	Ended  func(runs []*station.Run) // gets the Runs of a board when they have ended; safe for concurrent use
}

// A Controller runs the bays of one station. Its methods are safe for concurrent use.
// Each Run has a goroutine, which End waits for.
type Controller struct {
	record  *instance.Record
	options Options
	life    context.Context // its end ends Runs wherever they are
	runs    sync.WaitGroup
	wake    chan struct{} // holds one element when the Supervisor has something to do at once

	mu        sync.Mutex    // covers what follows
	changed   chan struct{} // closed, and made anew, when something changes that a batch may wait for
	opened    *opened       // nil before Ready
	bays      []*bayState
	busy      int           // boards in work
	quiet     chan struct{} // closed while busy is 0
	order     Order
	operator  string // who switched automatic start on
	automatic bool
	draining  bool // until the Runs under way have ended
	closed    bool // for good
	watched   bool // somebody asks for Facts

	suspected    bool      // the HSM is to be probed
	away         error     // why the HSM does not answer, nil while it does
	uncovered    int       // Runs that have ended since the newest checkpoint
	checkpointed time.Time // of the newest checkpoint
	auditBad     string    // why the record cannot be read
	unwritten    string    // why the last Run was not recorded
	repeated     map[uuid.UUID]bool
}

// opened is what a Controller has once HSM and engine are open.
type opened struct {
	instance *instance.Instance
	engine   *station.Station
}

// New makes a Controller that starts nothing before Ready. life bounds every Run.
func New(life context.Context, record *instance.Record, options Options) *Controller {
	c := &Controller{record: record, options: options, life: life, wake: make(chan struct{}, 1),
		changed: make(chan struct{}), quiet: make(chan struct{}), repeated: map[uuid.UUID]bool{}}
	close(c.quiet)
	for _, spec := range options.Bays {
		c.bays = append(c.bays, c.newBay(spec))
	}
	return c
}

// Ready lets Runs begin. The instance stays open until the Controller has ended.
func (c *Controller) Ready(i *instance.Instance) error {
	engine, err := i.Engine(c.event)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.opened = &opened{i, engine}
	if c.draining || c.closed {
		engine.Drain()
	}
	return nil
}

func (c *Controller) open() (opened, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.opened == nil {
		return opened{}, false
	}
	return *c.opened, true
}

// Start begins to enrol the board of a bay, or tries the same board again, and returns as
// soon as that is decided.
func (c *Controller) Start(ctx context.Context, ask Start) error {
	if ask.Order != "" {
		if _, err := c.openOrder(ctx, ask.Order); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	b, err := c.find(ask.Bay)
	if err != nil {
		return err
	}
	return c.begin(b, ask)
}

// begin needs mu.
func (c *Controller) begin(b *bayState, ask Start) error {
	if err := c.whyNot(b); err != nil {
		return err
	}
	b.advance(ask)
	ctx, cancel := context.WithCancel(c.life)
	b.running, b.committed, b.lost, b.expect, b.cancel = true, false, nil, ask.Expect, cancel
	b.presence.appeared = false
	if c.busy++; c.busy == 1 {
		c.quiet = make(chan struct{})
	}
	engine := c.opened.engine
	c.runs.Go(func() { c.run(ctx, b, engine, ask) })
	return nil
}

// whyNot needs mu. It says why no Run may begin in a bay.
func (c *Controller) whyNot(b *bayState) error {
	switch {
	case c.draining || c.closed || c.life.Err() != nil:
		return station.ErrDraining
	case c.opened == nil:
		return errNotOpen
	case c.away != nil:
		return fmt.Errorf("%w: %w", ErrHSMAway, c.away)
	case b.running:
		return fmt.Errorf("%s: %w", b.spec.Name, ErrBusy)
	case b.skipped != "":
		return fmt.Errorf("%s: %w (%s)", b.spec.Name, errBaySkipped, b.skipped)
	case b.place.Stopped() != nil:
		return fmt.Errorf("%s: %w", b.spec.Name, b.place.Stopped())
	}
	return c.fit()
}

// fit refuses Runs that could not be recorded: on a full disk, or by a wrong clock.
func (c *Controller) fit() error {
	if err := c.record.HasSpace(); err != nil {
		return err
	}
	if err := c.record.CheckClock(c.opened.instance.Now()); err != nil {
		return fmt.Errorf("%w: %w", station.ErrClock, err)
	}
	return nil
}

// run enrols one board, in its own goroutine.
func (c *Controller) run(ctx context.Context, b *bayState, engine *station.Station, ask Start) {
	defer b.cancel()
	runs := engine.EnrolIn(ctx, b.place, station.Request{Operator: ask.Operator, Order: ask.Order, Rework: ask.Rework})
	for _, run := range runs {
		c.logTrouble(run)
	}
	c.options.Ended(runs)
	if ask.ended != nil {
		ask.ended(runs)
	}
	c.finish(b, runs, ask)
	if c.isWatched() {
		c.refresh(context.WithoutCancel(ctx))
	}
}

// logTrouble tells engineers what went wrong in a Run, and where the station panicked.
func (c *Controller) logTrouble(run *station.Run) {
	if run.Err == nil {
		return
	}
	c.record.Log.Warn("Run ended", "bay", run.Bay, "run", run.ID, "ending", run.Ending, "reason", run.Reason, "error", run.Err)
	if panicked := (*station.PanicError)(nil); errors.As(run.Err, &panicked) {
		c.record.Log.Error("panic in a Run", "run", run.ID, "stack", string(panicked.Stack))
	}
}

// finish frees the bay.
func (c *Controller) finish(b *bayState, runs []*station.Run, ask Start) {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := runs[len(runs)-1] // of one Run for each key of the board the last one decides
	b.running, b.last, b.passed = false, last.Ending, last.Finished
	if c.uncovered += len(runs); c.uncovered >= checkpointEvery {
		c.wakeUp()
	}
	if c.unwritten = ""; errors.Is(last.Err, station.ErrRegistry) {
		c.unwritten = reason.OneLine(last.Err)
	}
	c.keepLost(b, last, ask)
	if c.busy--; c.busy == 0 {
		close(c.quiet)
		c.rearm()
	}
	c.tellChange()
}

// tellChange needs mu.
func (c *Controller) tellChange() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// wakeUp has the Supervisor look at once.
func (c *Controller) wakeUp() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// event takes notice of what the engine says before any observer does.
func (c *Controller) event(e station.Event) {
	begun, signs := e.Kind == station.RunStarted, e.Kind == station.StepStarted && e.Step == "sign"
	if begun || signs {
		c.mu.Lock()
		if b, err := c.find(e.Bay); err == nil {
			b.committed = signs
		}
		c.mu.Unlock()
	}
	c.options.Events(e)
}

// find needs mu, or a Controller whose bays do not change, which is always so after New.
func (c *Controller) find(name string) (*bayState, error) {
	for _, b := range c.bays {
		if b.spec.Name == name {
			return b, nil
		}
	}
	return nil, fmt.Errorf("%w: %q", errNoBay, name)
}

// Stop ends the Run of one bay. A Run that has reached sign goes to its end.
func (c *Controller) Stop(ctx context.Context, bay, operator string) error {
	if err := c.record.NoteBy(ctx, "bay.stop", audit.Success, operator, map[string]string{"bay": bay}); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	b, err := c.find(bay)
	if err == nil && b.running && !b.committed {
		b.cancel()
	}
	return err
}

// Drain starts nothing more, ends what may be ended, and returns when all Runs have
// ended. After that, Runs can be started again.
func (c *Controller) Drain(ctx context.Context, operator string) error {
	noted := c.record.NoteBy(ctx, "line.drain", audit.Success, operator, nil)
	c.mu.Lock()
	c.drain()
	if c.busy == 0 {
		c.rearm()
	}
	c.mu.Unlock()
	return errors.Join(noted, c.Wait(ctx))
}

// Close starts no more Runs, for good, and ends those before sign.
func (c *Controller) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.drain()
}

// drain needs mu.
func (c *Controller) drain() {
	c.draining, c.automatic = true, false
	for _, b := range c.bays {
		b.lost = nil
	}
	if c.opened != nil {
		c.opened.engine.Drain()
	}
	c.tellChange()
}

// rearm needs mu. An engine that was drained stays drained, so the next Runs get another one.
func (c *Controller) rearm() {
	if !c.draining || c.closed {
		return
	}
	if c.opened != nil {
		engine, err := c.opened.instance.Engine(c.event)
		if err != nil {
			c.record.Log.Error("starting the line again", "error", err)
			return
		}
		c.opened = &opened{c.opened.instance, engine}
	}
	c.draining = false
}

// Wait returns when no Run is under way, or when ctx is done.
func (c *Controller) Wait(ctx context.Context) error {
	c.mu.Lock()
	quiet := c.quiet
	c.mu.Unlock()
	select {
	case <-quiet:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for Runs: %w", ctx.Err())
	}
}

// End closes the Controller, waits for its Runs and signs the log as it stands. The wait is
// bounded: each Run has a time-out, and the end of life cuts a Run.
func (c *Controller) End() error {
	c.Close()
	c.WaitForRuns()
	open, ready := c.open()
	if !ready {
		return nil
	}
	return open.instance.Checkpoint()
}

// WaitForRuns waits for the goroutines of all Runs. Close comes first.
func (c *Controller) WaitForRuns() { c.runs.Wait() }
