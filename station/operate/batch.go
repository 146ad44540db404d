package operate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"hallmark/station"
	"hallmark/station/instance"
	"hallmark/station/reason"
	"hallmark/station/workdir"
)

// A Batch is an order to enrol many boards without an operator.
type Batch struct {
	Count    int    // boards in total; 0 means one for each bay
	Jobs     int    // boards at the same time; 0 means all bays
	Operator string // operator of each Run
	Order    string // work order of each Run, may be empty
	Rework   string // reason of the rework of each Run, empty for first enrolments
	// Patience is how long the batch waits for a lost HSM or a wrong clock; 0 means 5 minutes.
	Patience time.Duration
}

const defaultPatience = 5 * time.Minute

// Result is the result of a batch.
type Result struct {
	Runs     []*station.Run // in the order of their ends, without Repeated
	Repeated []*station.Run // a lost HSM ended these Runs, and their boards were enrolled again
	Short    error          // why not all boards were begun, nil when all were begun
	Waited   error          // what the batch waited for in vain while Runs were lost; nil: nothing, or Short says it
	Started  time.Time      // set by Unattended, as Took
	Took     time.Duration
}

// Exit gives the exit code of a batch. trouble is what went wrong beside the Runs. Boards that
// were not begun count as Fault where the station could not go on, and as Aborted where
// somebody stopped the station or a bay.
func (r Result) Exit(trouble error) reason.Exit {
	counts := map[reason.Exit]int{}
	for _, run := range r.Runs {
		counts[reason.ExitOfRun(run.Ending, run.Reason)]++
	}
	if trouble != nil {
		counts[reason.ExitFault]++
	}
	if r.Short != nil {
		exit := reason.ExitAborted
		if slices.ContainsFunc(reason.All(r.Short), func(row reason.Row) bool { return reason.ExitOfRun(row.Ending, row.Word) == reason.ExitFault }) {
			exit = reason.ExitFault
		}
		counts[exit]++
	}
	return reason.ExitOfRuns(counts)
}

// Unattended does a whole batch with a Controller and a Supervisor of its own, and signs a
// checkpoint at the end. When drain ends, no further board is begun; when life ends, every Run ends.
func Unattended(life, drain context.Context, opened *instance.Instance, options Options, b Batch) (Result, error) {
	b.Operator = localPerson(opened.Record, b.Operator)
	c := New(life, opened.Record, options)
	if err := c.Ready(opened); err != nil {
		return Result{}, err
	}
	defer context.AfterFunc(drain, c.Close)()
	supervisor, started := c.Supervise(life), time.Now()
	result := c.Enrol(life, b)
	result.Started, result.Took = started, time.Since(started)
	supervisor.End()
	return result, c.End()
}

// Enrol enrols Count boards, and returns when all Runs have ended. Each bay has its share of
// the boards (schedule). A lost HSM or a wrong clock pauses the batch. A full disk, a registry
// that fails, and Close end the batch early; a bay that stopped (I4) gets no further board, and
// no other bay takes the rest of its share.
func (c *Controller) Enrol(ctx context.Context, b Batch) Result {
	if err := (Start{Operator: b.Operator, Order: b.Order, Rework: b.Rework}).checkTexts(); err != nil {
		return Result{Short: err}
	}
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	w := &batchWork{Batch: b, c: c, giveUp: giveUp, repeated: map[*station.Run]bool{}}
	if w.Patience == 0 {
		w.Patience = defaultPatience
	}
	s := newSchedule(c.bayNames(), b.Count, b.Jobs)
	return w.result(s.run(ctx, w.enrol))
}

// batchWork is the state of one call of Enrol.
type batchWork struct {
	Batch
	c      *Controller
	giveUp context.CancelCauseFunc // begins no further board in any bay

	mu       sync.Mutex // covers what follows
	runs     []*station.Run
	repeated map[*station.Run]bool
	until    time.Time // end of the patience with the pause under way; zero while there is none
	waited   error     // what a lost Run waited for in vain
}

func (w *batchWork) add(runs []*station.Run) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.runs = append(w.runs, runs...)
}

func (w *batchWork) markRepeated(run *station.Run) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.repeated[run] = true
}

// deadline gives the end of the patience with the pause under way. All bays share the deadline.
func (w *batchWork) deadline() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.until.IsZero() {
		w.until = time.Now().Add(w.Patience)
	}
	return w.until
}

// goesOn ends the pause.
func (w *batchWork) goesOn() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.until = time.Time{}
}

func (w *batchWork) result(short error) Result {
	r := Result{Short: short}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !pauses(short) {
		r.Waited = w.waited
	}
	for _, run := range w.runs {
		if w.repeated[run] {
			r.Repeated = append(r.Repeated, run)
		} else {
			r.Runs = append(r.Runs, run)
		}
	}
	return r
}

// enrol is the enrolFunc of the batch. If the station cannot record Runs, the whole batch ends:
// the next board would only end as the same Fault.
func (w *batchWork) enrol(ctx context.Context, bay string) (begun bool, err error) {
	ask := Start{Bay: bay, Operator: w.Operator, Order: w.Order, Rework: w.Rework, NextBoard: true, ended: w.add, repeated: w.markRepeated}
	b, err := w.c.find(bay)
	if err != nil {
		return false, err
	}
	if err := w.begin(ctx, b, ask); err != nil {
		if endsBatch(err) {
			w.giveUp(err)
		}
		return false, err
	}
	w.waitForBay(ctx, b)
	if err := w.c.unwrittenIn(b); err != nil {
		w.giveUp(err)
		return true, err
	}
	return true, b.stopped()
}

// endsBatch reports whether a refusal concerns every bay and does not end by itself.
func endsBatch(err error) bool {
	return errors.Is(err, workdir.ErrDiskFull) || errors.Is(err, errDiskHangs)
}

// begin starts the Run of a board. It waits while a lost HSM or a wrong clock prevents the start.
func (w *batchWork) begin(ctx context.Context, b *bayState, ask Start) (err error) {
	for {
		unfit := w.c.unfit()
		w.c.mu.Lock()
		err = w.c.begin(b, ask, unfit)
		w.c.mu.Unlock()
		if err == nil {
			w.goesOn()
		}
		if !pauses(err) {
			return err
		}
		if time.Now().After(w.deadline()) {
			return w.inVain(err)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(tickEvery):
		}
	}
}

// waitForBay waits until the Run of a bay has ended. The Run has its own time-out. If a lost
// HSM ended the Run, waitForBay also waits until the Run was started again, at most to the
// deadline of the pause, and then until that Run has ended.
func (w *batchWork) waitForBay(ctx context.Context, b *bayState) {
	var late <-chan time.Time
	var stopped <-chan struct{}
	for {
		w.c.mu.Lock()
		running, lost, changed := b.running, b.lost != nil, w.c.changed
		w.c.mu.Unlock()
		switch {
		case !running && !lost:
			return
		case running && late != nil:
			w.goesOn()
			late, stopped = nil, nil
		case lost && late == nil:
			late, stopped = time.After(time.Until(w.deadline())), ctx.Done()
		}
		select {
		case <-changed:
		case <-late:
			w.noteInVain(w.c.forget(b))
		case <-stopped:
			_ = w.c.forget(b) // somebody stopped the batch
		}
	}
}

// unwrittenIn returns why the last Run of a bay was not recorded, or nil.
func (c *Controller) unwrittenIn(b *bayState) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return b.unwritten
}

// forget gives up the lost Run of a bay. It returns why the HSM is away, or nil.
func (c *Controller) forget(b *bayState) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	b.lost = nil
	c.tellChange()
	if c.away == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrHSMAway, c.away)
}

// inVain says what the batch waited for, for how long, and what to do now. why is an error for
// which pauses is true.
func (w *batchWork) inVain(why error) error {
	what, next := "the HSM", "bring the HSM back, check it with `station doctor`"
	if errors.Is(why, station.ErrClock) {
		what, next = "the right time", "set the clock of the station right"
	}
	return fmt.Errorf("waited %v for %s, in vain: %w\nnext: %s, and run the same command again: a signed certificate is delivered, not signed again", w.Patience, what, why, next)
}

// noteInVain keeps the first reason for which a lost Run was given up.
func (w *batchWork) noteInVain(why error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if why != nil && w.waited == nil {
		w.waited = w.inVain(why)
	}
}

func (c *Controller) bayNames() []string {
	var names []string
	for _, b := range c.bays {
		names = append(names, b.spec.Name)
	}
	return names
}
