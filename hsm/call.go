package hsm

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// call runs op on the live connection. If the session turns out to be lost, call runs
// op once more, on a new connection. op takes a turn among the calls in flight.
func call[T any](ctx context.Context, t *Token, doing string, op func(*connection) (T, error)) (T, error) {
	var none T
	free, err := t.takeTurn(ctx)
	if err != nil {
		return none, err
	}
	var stale uint64
	for again := false; ; again = true {
		conn, err := t.acquire(ctx, stale)
		if err != nil {
			free()
			return none, err
		}
		result, err, kept := attempt(ctx, t, conn, free, op)
		if kept {
			return none, refuse(ErrHung, "%s: no answer within %v; the token may have done it", doing, t.cfg.Timeout)
		}
		if err == nil {
			return result, nil
		}
		if again || !t.retryable(conn, err) {
			free()
			return none, explain(doing, err)
		}
		stale = conn.generation
	}
}

// takeTurn waits until another call may be in flight. free ends the turn.
func (t *Token) takeTurn(ctx context.Context) (free func(), err error) {
	free = func() { <-t.turns }
	select {
	case t.turns <- struct{}{}:
		return free, nil
	default:
	}
	timer := time.NewTimer(t.cfg.Timeout)
	defer timer.Stop()
	select {
	case t.turns <- struct{}{}:
		return free, nil
	case <-ctx.Done():
		return nil, refuse(ErrBusy, "%w", ctx.Err())
	case <-timer.C:
	}
	if stuck := t.stuck.Load(); stuck > 0 {
		return nil, refuse(ErrBusy, "%d calls do not return: %w", stuck, ErrHung)
	}
	return nil, refuse(ErrBusy, "after %v", t.cfg.Timeout)
}

// attempt runs op in its own goroutine, because a call into the module cannot be
// cancelled. When op succeeds, the turn is free again, so that the next call begins
// while this call's result is verified. When op fails, the caller keeps the turn. When
// the caller stops waiting first, kept is true: the goroutine keeps the turn until the
// module returns, and drops the result. Closing the connection waits for the goroutine.
func attempt[T any](ctx context.Context, t *Token, conn *connection, free func(), op func(*connection) (T, error)) (result T, err error, kept bool) {
	var given atomic.Bool // the side that swaps it first decides who frees the turn
	done := make(chan struct{})
	var late struct {
		result T
		err    error
	}
	go func() {
		defer conn.calls.Done()
		late.result, late.err = op(conn)
		if !given.CompareAndSwap(false, true) {
			t.stuck.Add(-1)
			free()
			return
		}
		close(done)
		if late.err == nil {
			free()
		}
	}()
	timer := time.NewTimer(t.cfg.Timeout)
	defer timer.Stop()
	select {
	case <-done:
		return late.result, late.err, false
	case <-ctx.Done():
	case <-timer.C:
	}
	t.stuck.Add(1)
	if given.CompareAndSwap(false, true) {
		return result, nil, true
	}
	t.stuck.Add(-1)
	<-done
	return late.result, late.err, false
}

// retryable is true if a new connection may help against err. A key that is not found
// may only be hidden, because something else in the process logged out. An error on a
// connection that another caller has given up says nothing about the token.
func (t *Token) retryable(conn *connection, err error) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return lost(err) || errors.Is(err, ErrKeyMissing) || t.conn != conn
}
