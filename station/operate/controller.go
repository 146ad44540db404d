// Package operate runs the bays of a station. The Controller starts and stops Runs. The
// Supervisor works in the background: it notices a lost HSM, continues when the HSM
// is back, signs checkpoints, and starts boards that appear. A batch, the operator's screen
// and the lines of `--plain` are clients of one Controller, so all of them treat a lost HSM, a
// full disk, a wrong clock and a stop in the same way.
package operate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

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
	Paused func(why error)           // gets why Runs pause, and nil when they go on; must not block
	Report func() error              // says why JSON lines of the shift are lost; must not block. nil: nobody asked for them
}

// A Controller runs the bays of one station. Its methods are safe for concurrent use.
// Each Run has a goroutine, which End waits for.
type Controller struct {
	record  *instance.Record
	options Options
	life    context.Context // when life ends, every Run ends at once
	runs    sync.WaitGroup
	disk    disk
	wake    chan struct{} // holds one element when the Supervisor has something to do at once

	mu        sync.Mutex    // covers the following fields
	changed   chan struct{} // closed and replaced at each change that a batch may wait for
	opened    *opened       // nil before Ready
	bays      []*bayState
	busy      int           // boards in work
	quiet     chan struct{} // closed while busy is 0
	order     Order
	operator  string // who switched automatic start on
	automatic bool
	draining  bool // after Drain, until the Runs under way have ended
	closed    bool // after Close, for good
	watched   bool // a client uses Facts

	suspected    bool      // the HSM may be lost: the Supervisor probes the HSM
	away         error     // why the HSM does not answer, nil while it does
	uncovered    int       // Runs that have ended since the newest checkpoint
	checkpointed time.Time // of the newest checkpoint
	auditBad     string    // why the registry cannot be read
	unwritten    string    // why the last Run was not recorded
}

// opened holds the parts of a Controller that exist only after Ready.
type opened struct {
	instance *instance.Instance
	engine   *station.Station
}

// New makes a Controller that starts no Run before Ready. When life ends, every Run ends.
func New(life context.Context, record *instance.Record, options Options) *Controller {
	c := &Controller{record: record, options: options, life: life, disk: disk{hasSpace: record.HasSpace, bound: diskBound}, wake: make(chan struct{}, 1),
		changed: make(chan struct{}), quiet: make(chan struct{})}
	close(c.quiet)
	for _, spec := range options.Bays {
		c.bays = append(c.bays, c.newBay(spec))
	}
	acts := Acts(record)
	maps.Copy(acts, KeyActs(record, c.openKeys))
	if err := record.ServeControl(acts); err != nil { // the line works without it
		record.Log.Error("other processes cannot change work orders and certificates", "error", err)
	}
	return c
}

// Ready lets Runs begin. The caller keeps the instance open until End has returned.
func (c *Controller) Ready(i *instance.Instance) error {
	engine, err := i.Engine(c.event)
	if err != nil {
		return err
	}
	if err := errors.Join(c.restoreStops(c.life), c.restoreLabels(c.life)); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.opened, c.checkpointed = &opened{i, engine}, i.Now() // the instance began with a checkpoint
	if c.draining || c.closed {
		engine.Drain()
	}
	return nil
}

var errNotReady = errors.New("the HSM is not open yet: give the command again after the checks at the start of the shift")

// openKeys gives the keys of the open station, for actions that need the HSM.
func (c *Controller) openKeys(context.Context) (*instance.Keys, error) {
	open, ready := c.open()
	if !ready {
		return nil, errNotReady
	}
	return open.instance.Keys, nil
}

func (c *Controller) open() (opened, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.opened == nil {
		return opened{}, false
	}
	return *c.opened, true
}

// Start starts the enrolment of the board in a bay, and returns at once. It returns an error
// if no Run may begin.
func (c *Controller) Start(ctx context.Context, ask Start) (err error) {
	defer func() {
		if err != nil { // the screen shows a sentence, the engineers' log has the details
			c.record.Log.Info("no Run is started", "bay", ask.Bay, "error", err)
		}
	}()
	if err := ask.checkTexts(); err != nil {
		return err
	}
	if ask.Order == "" && c.record.Config.NeedsOrder() {
		return station.ErrOrderNeeded
	}
	if err := mayStart(ctx, c.record, ask); err != nil {
		return err
	}
	if ask.Order != "" {
		if _, err := c.openOrder(ctx, ask.Order); err != nil {
			return err
		}
	}
	b, err := c.find(ask.Bay)
	if err != nil {
		return err
	}
	if ask.marked, err = c.isMarked(ctx, b); err != nil {
		return err
	}
	unfit := c.unfit()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.begin(b, ask, unfit)
}

// begin starts the Run of a bay. unfit is the fresh result of the method unfit, which the
// caller asks before it takes mu. The caller holds mu.
func (c *Controller) begin(b *bayState, ask Start, unfit error) error {
	if err := cmp.Or(c.whyNot(b), b.unlabelled(ask), unfit); err != nil {
		return err
	}
	if !ask.again {
		b.resumed = 0
	}
	b.advance(ask)
	ctx, cancel := context.WithCancel(c.life)
	b.running, b.committed, b.lost, b.expect, b.cancel = true, false, nil, ask.Expect, cancel
	b.presence.appeared, b.presence.doubtful = false, false
	free := b.endQuestion()
	if c.busy++; c.busy == 1 {
		c.quiet = make(chan struct{})
	}
	engine := c.opened.engine
	c.runs.Go(func() {
		free()
		c.run(ctx, b, engine, ask)
	})
	return nil
}

// whyNot returns the reason why no Run may begin in a bay, or nil. The caller holds mu.
func (c *Controller) whyNot(b *bayState) error {
	switch {
	case c.draining || c.closed || c.life.Err() != nil:
		return station.ErrDraining
	case c.opened == nil:
		return errNotOpen
	case c.away != nil:
		return fmt.Errorf("%w: %w", ErrHSMAway, c.away)
	case c.opened.instance.HubStops() != nil:
		return c.opened.instance.HubStops()
	case b.running:
		return fmt.Errorf("%s: %w", b.spec.Name, ErrBusy)
	case b.skipped != "":
		return fmt.Errorf("%s: %w (%s)", b.spec.Name, errBaySkipped, b.skipped)
	}
	return b.stopped()
}

// run enrols one board. It is the goroutine of the bay's Run.
func (c *Controller) run(ctx context.Context, b *bayState, engine *station.Station, ask Start) {
	defer b.cancel()
	runs := engine.EnrolIn(ctx, b.place, station.Request{Operator: ask.Operator, Order: ask.Order, Rework: ask.Rework, From: ask.from,
		ScanBack: c.record.Config.RequireScanBack && ask.ended == nil}) // a batch has no scanner
	for _, run := range runs {
		c.logTrouble(run)
	}
	c.options.Ended(runs)
	if ask.ended != nil {
		ask.ended(runs)
	}
	ask.wanted = c.wantedLabel(ctx, runs[len(runs)-1])
	c.finish(b, runs, ask)
	if c.isWatched() {
		c.refresh(context.WithoutCancel(ctx))
	}
}

// logTrouble writes the error of a Run to the engineers' log, and the stack if the station panicked.
func (c *Controller) logTrouble(run *station.Run) {
	if run.Err == nil {
		return
	}
	c.record.Log.Warn("Run ended", "bay", run.Bay, "run", run.ID, "ending", run.Ending, "reason", run.Reason, "error", run.Err)
	if panicked := (*station.PanicError)(nil); errors.As(run.Err, &panicked) {
		c.record.Log.Error("panic in a Run", "run", run.ID, "stack", string(panicked.Stack))
	}
}

// finish notes how the Runs of a board ended, and frees the bay.
func (c *Controller) finish(b *bayState, runs []*station.Run, ask Start) {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := runs[len(runs)-1] // a board has a Run for each key; the last Run decides
	b.running, b.last, b.passed, b.lastBoard = false, last.Ending, last.Finished, ""
	if last.Identity != nil {
		b.lastBoard = last.Identity.ID.String()
	}
	if ask.ended == nil { // after a batch the bay still waits for the label of the board before
		b.label = ask.wanted
	}
	if c.uncovered += len(runs); c.uncovered >= checkpointEvery {
		c.wakeUp()
	}
	b.unwritten, c.unwritten = nil, ""
	if last.Ending == station.Fault && errors.Is(last.Err, station.ErrRegistry) {
		b.unwritten, c.unwritten = last.Err, reason.OneLine(last.Err)
	}
	c.keepLost(b, last, ask)
	b.countFault(last, ask)
	if c.busy--; c.busy == 0 {
		close(c.quiet)
		c.rearm()
	}
	c.tellChange()
}

// tellChange wakes the goroutines that wait for a change. The caller holds mu.
func (c *Controller) tellChange() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// wakeUp lets the Supervisor work at once.
func (c *Controller) wakeUp() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// event handles an event of the engine, and then passes it to the observer.
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

// find returns the bay with this name. It needs no lock, because the list of bays does not change after New.
func (c *Controller) find(name string) (*bayState, error) {
	for _, b := range c.bays {
		if b.spec.Name == name {
			return b, nil
		}
	}
	return nil, fmt.Errorf("%w: %+q", errNoBay, name)
}

// Stop ends the Run of one bay. A Run that has reached sign goes to its end.
func (c *Controller) Stop(ctx context.Context, bay, operator string) error {
	b, err := c.find(bay)
	if err != nil {
		return err
	}
	if err := c.record.NoteBy(ctx, "bay.stop", audit.Success, operator, map[string]string{"bay": bay}); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if b.running && !b.committed {
		b.cancel()
	}
	b.lost = nil
	c.tellChange()
	return nil
}

// Drain starts no further Run, ends the Runs before sign, and returns when all Runs have
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

// Close ends the Runs before sign. After Close no Run can be started any more.
func (c *Controller) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.drain()
}

// drain drains the engine and switches automatic start off. The caller holds mu.
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

// rearm lets Runs begin again after a drain. A drained engine stays drained, so rearm makes a
// new engine. The caller holds mu.
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

// End closes the Controller, waits for its Runs and signs a checkpoint. The wait is bounded:
// each Run has a time-out, and the end of life ends every Run.
func (c *Controller) End() error {
	c.Close()
	c.WaitForRuns()
	open, ready := c.open()
	if !ready {
		return nil
	}
	return open.instance.Checkpoint()
}

// WaitForRuns waits for the goroutines of all Runs. The caller calls Close before.
func (c *Controller) WaitForRuns() { c.runs.Wait() }
