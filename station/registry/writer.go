package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"hallmark/station"
	"hallmark/station/audit"
)

// maxBatch bounds how many calls share one commit.
const maxBatch = 64

// commitGrace is how long a caller whose context ended waits for a commit that
// is already under way, to learn how it went.
const commitGrace = 5 * time.Second

// writer owns the connection. One goroutine takes calls, puts as many as wait
// into one transaction, each in a savepoint, and answers after the commit.
type writer struct {
	conn  *sql.Conn
	log   *audit.Log
	calls chan *call
	quit  chan struct{}
	done  chan struct{}

	statements map[string]*sql.Stmt // owned by the goroutine
	failed     error                // owned by the goroutine; set when the file is in doubt
	over       sync.Map             // ids of Runs that ended without a record of it
	stepped    bool                 // owned by the goroutine; the clock's step back is on record
}

// call is one caller's part of a transaction.
type call struct {
	do      func(*work) error
	claimed atomic.Bool // by the goroutine, which does it, or by the caller, who gave up before
	refused error       // what do returned; the rest of the batch is not affected
	answer  chan error
}

// work is what a call has while it runs: the open transaction.
type work struct {
	*writer
	batch *audit.Batch
	fence fence
}

// refusal is an error of a call that leaves a record: the call is undone, the
// entry is committed in its place, and the caller gets the error.
type refusal struct {
	error
	entry audit.Entry
}

func (r *refusal) Unwrap() error { return r.error }

func newWriter(conn *sql.Conn, log *audit.Log) *writer {
	w := &writer{
		conn: conn, log: log, calls: make(chan *call), statements: map[string]*sql.Stmt{},
		quit: make(chan struct{}), done: make(chan struct{}),
	}
	go w.loop()
	return w
}

// stop waits for the commit that is under way and gives the connection back.
func (w *writer) stop() error {
	close(w.quit)
	<-w.done
	var errs []error
	for _, s := range w.statements {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, w.conn.Close())...)
}

// write has do run in a transaction and returns when that is committed. A
// caller that gives up before do began can be sure that it never will.
func (r *Registry) write(ctx context.Context, do func(*work) error) error {
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

// gather adds to the first call those that already wait.
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
	for _, c := range batch {
		if err != nil {
			c.answer <- fmt.Errorf("%w: %w", ErrNotDurable, err)
		} else {
			c.answer <- c.refused
		}
	}
}

// transaction commits the batch, or nothing. Commit is the one point where
// things become true: before it nothing is acknowledged, after it everything is.
func (w *writer) transaction(batch []*call) error {
	if err := w.exec("BEGIN IMMEDIATE"); err != nil {
		return w.judge(fmt.Errorf("beginning: %w", err))
	}
	work := &work{writer: w, batch: w.log.Begin(), fence: fenceFor(batch)}
	for _, c := range batch {
		if err := work.run(c); err != nil {
			return w.judge(errors.Join(err, w.undo()))
		}
	}
	if err := w.exec("COMMIT"); err != nil {
		return w.judge(errors.Join(fmt.Errorf("committing: %w", err), w.undo()))
	}
	work.batch.Committed()
	w.stepped = w.stepped && w.log.ClockStep() != nil
	return nil
}

// run does one call so that it can be undone alone. An error is one of the whole transaction.
func (w *work) run(c *call) error {
	if c.claimed.Swap(true) {
		return nil // the caller gave up
	}
	mark := w.batch.Mark
	if err := w.each(w.fence.begin); err != nil {
		return err
	}
	c.refused = c.do(w)
	if ofDatabase(c.refused) {
		return c.refused
	}
	if c.refused != nil {
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

// fence is how one call of a transaction is kept apart from the others.
type fence struct{ begin, undo, end []string }

// A call that is alone needs no savepoint, which costs a copy of each page it changes.
var (
	amongOthers = fence{[]string{"SAVEPOINT call"}, []string{"ROLLBACK TO call"}, []string{"RELEASE call"}}
	alone       = fence{nil, []string{"ROLLBACK", "BEGIN IMMEDIATE"}, nil}
)

func fenceFor(batch []*call) fence {
	if len(batch) == 1 {
		return alone
	}
	return amongOthers
}

func (w *writer) each(queries []string) error {
	for _, query := range queries {
		if err := w.exec(query); err != nil {
			return err
		}
	}
	return nil
}

// record writes down a refusal, where it is one that is kept.
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

// undo rolls back, if SQLite has not done so itself.
func (w *writer) undo() error {
	err := w.exec("ROLLBACK")
	if err != nil && err.Error() == "cannot rollback - no transaction is active" {
		return nil
	}
	return err
}

// judge decides whether the file is in doubt. If so, nothing is written any
// more until it is opened anew.
func (w *writer) judge(err error) error {
	if damaged(err) && !errors.Is(err, audit.ErrClockBack) {
		w.failed = err
	}
	return err
}

// exec and the methods after it run one prepared statement. They have no
// context on purpose: a transaction is not left half-way.
func (w *writer) exec(query string, args ...any) error {
	_, err := w.change(query, args...)
	return err
}

// change gives the number of rows that were changed.
func (w *writer) change(query string, args ...any) (int64, error) {
	s, err := w.statement(query)
	if err != nil {
		return 0, err
	}
	result, err := s.ExecContext(context.Background(), args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// row reads one row; sql.ErrNoRows when there is none.
func (w *writer) row(query string, args []any, into ...any) error {
	s, err := w.statement(query)
	if err != nil {
		return err
	}
	return s.QueryRowContext(context.Background(), args...).Scan(into...)
}

func (w *writer) statement(query string) (*sql.Stmt, error) {
	if s, ok := w.statements[query]; ok {
		return s, nil
	}
	s, err := w.conn.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, err
	}
	w.statements[query] = s
	return s, nil
}

// append writes one audit entry of this transaction; the first of all is genesis.
func (w *work) append(e audit.Entry) (audit.Entry, error) {
	if w.batch.Size() == 0 && e.Type != audit.TypeGenesis {
		return audit.Entry{}, ErrNoGenesis
	}
	written, err := w.batch.Append(context.Background(), e)
	if errors.Is(err, audit.ErrClockBack) {
		err = fmt.Errorf("%w: %w", station.ErrClock, err)
	}
	return written, err
}
