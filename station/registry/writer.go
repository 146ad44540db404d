package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"hallmark/station"
	"hallmark/station/audit"
)

// maxBatch bounds how many calls share one commit.
const maxBatch = 64

// commitGrace is how long a caller whose context has ended still waits for a commit
// that is under way, to learn its result.
const commitGrace = 5 * time.Second

// writer owns the connection that writes. Its goroutine takes the calls that wait, puts
// them into one transaction, each in a savepoint, and answers them after the commit.
type writer struct {
	conn  *sql.Conn
	log   *audit.Log
	watch *watch // nil until the registry is open
	mark  *mark  // nil until the log fits
	calls chan *call
	quit  chan struct{}
	done  chan struct{}

	statements map[string]*sql.Stmt // owned by the goroutine
	failed     error                // owned by the goroutine; set when the content of the file is in doubt
	acts       *acts                // of persons
	acted      acted                // owned by the goroutine; in the open transaction
	over       sync.Map             // ids of Runs that ended and could not be closed
	orders     *sync.Map            // terms of the work orders whose row was compared with the log, by id
	revised    []string             // owned by the goroutine; work orders that the open transaction revised
	stepped    bool                 // owned by the goroutine; true: an entry says that the clock is behind
}

// call is the part of one caller in a transaction.
type call struct {
	do      func(*work) error // may run again, after all that it wrote was undone
	claimed atomic.Bool       // set by the goroutine before do, or by a caller who gives up: whoever is first
	refused error             // what do returned; it does not affect the other calls of the batch
	answer  chan error
}

// work is the open transaction, for the call that runs.
type work struct {
	*writer
	batch *audit.Batch
	fence fence
}

// refusal is the error of a call whose refusal is written into the log: the call is
// undone, the entry is committed instead, and the caller gets the error.
type refusal struct {
	error
	entry audit.Entry
}

func (r *refusal) Unwrap() error { return r.error }

func newWriter(conn *sql.Conn, log *audit.Log, acts *acts, orders *sync.Map) *writer {
	w := &writer{
		conn: conn, log: log, acts: acts, calls: make(chan *call), statements: map[string]*sql.Stmt{}, orders: orders,
		quit: make(chan struct{}), done: make(chan struct{}),
	}
	go w.loop()
	return w
}

// stop waits for the commit that is under way, and closes the connection.
func (w *writer) stop() error {
	close(w.quit)
	<-w.done
	var errs []error
	for _, s := range w.statements {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, w.conn.Close())...)
}

// write runs do in a transaction, and returns after the commit. A registry that is not begun
// begins before.
func (r *Registry) write(ctx context.Context, do func(*work) error) error {
	if err := r.Begin(ctx); err != nil {
		return err
	}
	return r.submit(ctx, do)
}

// submit does what write does, while the registry begins. If ctx ends before do has begun, do
// never runs. If ctx ends later, submit waits for the commit as long as commitGrace, and then
// returns ErrUnknownOutcome.
func (r *Registry) submit(ctx context.Context, do func(*work) error) error {
	c := &call{do: do, answer: make(chan error, 1)}
	select {
	case r.writer.calls <- c:
	case <-ctx.Done():
		return ctx.Err()
	case <-r.writer.done:
		return ErrClosed
	}
	select {
	case err := <-c.answer:
		return err
	case <-ctx.Done():
		return c.giveUp(ctx)
	}
}

func (c *call) giveUp(ctx context.Context) error {
	if !c.claimed.Swap(true) {
		return ctx.Err()
	}
	select {
	case err := <-c.answer:
		return err
	case <-time.After(commitGrace):
		return fmt.Errorf("%w: %w", ErrUnknownOutcome, ctx.Err())
	}
}

func (w *writer) isOver(run string) bool {
	_, over := w.over.Load(run)
	return over
}

func (w *writer) loop() {
	defer close(w.done)
	for {
		select {
		case c := <-w.calls:
			w.serve(w.gather(c))
		case <-w.quit:
			return
		}
	}
}

// gather makes a batch of the first call and of those that wait already.
func (w *writer) gather(first *call) []*call {
	batch := []*call{first}
	for len(batch) < maxBatch {
		select {
		case c := <-w.calls:
			batch = append(batch, c)
		default:
			return batch
		}
	}
	return batch
}

func (w *writer) serve(batch []*call) {
	err := w.failed
	if err == nil {
		err = w.transaction(batch)
	}
	sentinel := ErrNotDurable
	if errors.Is(err, ErrReplaced) { // more room on the disk would not help
		sentinel = station.ErrRegistry
	}
	for _, c := range batch {
		if err != nil {
			c.answer <- fmt.Errorf("%w: %w", sentinel, err)
		} else {
			c.answer <- c.refused
		}
	}
}

// transaction commits the whole batch, or nothing of it. No call is answered before the
// commit.
//
// To undo one call alone takes a savepoint, and that costs a copy of each page that the
// call changes. Refusals are rare, so the batch is tried without savepoints, and after a
// refusal done again with them.
func (w *writer) transaction(batch []*call) error {
	batch = slices.DeleteFunc(slices.Clone(batch), (*call).isGivenUp)
	err := w.commit(batch, fenceFor(batch))
	if errors.Is(err, errAgain) {
		err = w.commit(batch, apart)
	}
	return err
}

// isGivenUp claims the call for the goroutine, unless the caller gave up before.
func (c *call) isGivenUp() bool { return c.claimed.Swap(true) }

// errAgain: nothing was committed, because a call was refused that cannot be undone alone.
var errAgain = errors.New("a call was refused")

// commit does the calls in one transaction.
func (w *writer) commit(batch []*call, fence fence) error {
	if err := w.exec("BEGIN IMMEDIATE"); err != nil {
		return w.judge(fmt.Errorf("beginning: %w", err))
	}
	work := &work{writer: w, batch: w.log.Begin(), fence: fence}
	w.acted = acted{}
	for _, c := range batch {
		err := work.run(c)
		if err == nil {
			continue
		}
		undo := w.undo()
		if errors.Is(err, errAgain) {
			if undo == nil {
				return err
			}
			err = nil // the database did not roll back: that is the error
		}
		return w.judge(errors.Join(err, undo))
	}
	if err := w.untouched(); err != nil {
		return w.judge(errors.Join(err, w.undo()))
	}
	if err := w.exec("COMMIT"); err != nil {
		return w.judge(errors.Join(fmt.Errorf("committing: %w", err), w.undo(), w.settled()))
	}
	work.batch.Committed()
	w.revised = nil
	if err := w.committed(); err != nil {
		w.failed = err
		return err
	}
	w.acts.committed(w.acted)
	w.stepped = w.stepped && w.log.ClockStep() != nil
	return nil
}

// committed brings the mark up to date, and checks that the commit went into the registry: a commit
// into files that are not the registry any more is lost, so nobody is told of it.
func (w *writer) committed() (err error) {
	if w.mark != nil {
		err = w.mark.put(w.log.Head())
	}
	if w.watch != nil {
		err = errors.Join(err, w.watch.committed())
	}
	return err
}

// settled brings the watch up to date after a COMMIT that failed: on a full disk SQLite has written
// a part of the commit to the write-ahead log.
func (w *writer) settled() error {
	if w.watch == nil {
		return nil
	}
	return w.watch.committed()
}

// untouched refuses files that are not the registry any more, or that another program wrote to: the
// commit would hide that.
func (w *writer) untouched() error {
	if w.watch == nil {
		return nil
	}
	return w.watch.check()
}

// run does one call. The error of the call goes into c.refused; an error that run
// returns ends the whole transaction.
func (w *work) run(c *call) error {
	mark := w.batch.Mark
	if err := w.each(w.fence.begin); err != nil {
		return err
	}
	c.refused = c.do(w)
	switch {
	case ofDatabase(c.refused):
		return c.refused
	case c.refused != nil && w.fence.undo == nil:
		return errAgain
	case c.refused != nil:
		w.batch.Rewind(mark)
		if err := w.each(w.fence.undo); err != nil {
			return err
		}
		if err := w.record(c); err != nil {
			return err
		}
	}
	return w.each(w.fence.end)
}

// fence has the statements that keep one call of a transaction apart from the others.
type fence struct{ begin, undo, end []string }

var (
	together = fence{} // a refused call undoes the others, too
	apart    = fence{[]string{"SAVEPOINT call"}, []string{"ROLLBACK TO call"}, []string{"RELEASE call"}}
	alone    = fence{nil, []string{"ROLLBACK", "BEGIN IMMEDIATE"}, nil}
)

// fenceFor gives the fence that costs nothing as long as no call is refused.
func fenceFor(batch []*call) fence {
	if len(batch) == 1 {
		return alone
	}
	return together
}

func (w *writer) each(queries []string) error {
	for _, query := range queries {
		if err := w.exec(query); err != nil {
			return err
		}
	}
	return nil
}

// record writes the entry of a refusal. Other errors leave no entry, but for the first
// one about a clock that is behind.
func (w *work) record(c *call) error {
	var kept *refusal
	var clock *audit.ClockError
	switch {
	case errors.As(c.refused, &clock) && !w.stepped:
		w.stepped = true
		_, err := w.append(clockStep(clock, audit.Denied, audit.Itself()))
		return err
	case errors.As(c.refused, &kept):
		c.refused = kept.error
		if errors.Is(kept.error, ErrNoGenesis) {
			return nil
		}
		_, err := w.append(kept.entry)
		return err
	}
	return nil
}

// undo rolls the transaction back, unless SQLite has done so itself. The terms of a work order that the transaction revised
// are read from the log again.
func (w *writer) undo() error {
	for _, id := range w.revised {
		w.orders.Delete(id)
	}
	w.revised = nil
	err := w.exec("ROLLBACK")
	if err != nil && err.Error() == "cannot rollback - no transaction is active" {
		return nil
	}
	return err
}

// judge decides whether the content of the file is in doubt after the error. Then
// nothing is written any more until the file is opened again.
func (w *writer) judge(err error) error {
	if damaged(err) && !errors.Is(err, audit.ErrClockBack) {
		w.failed = err
	}
	return err
}
