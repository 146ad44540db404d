package hsm

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// call runs op on the live connection and, if the session turns out to be lost,
// once more on a new one. It takes a place among the calls in flight.
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

// takeTurn waits for a place among the calls in flight; free gives it back.
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

// attempt runs op in a goroutine of its own, because a call into the module
// cannot be cancelled. Without an error the place is free again, so that the next
// call begins while this one's result is verified; with an error the caller still
// has it. If the caller gives up first, kept is true: the goroutine keeps the place
// and gives it back when the module returns; the result is dropped. Closing the
// connection waits for it.
func attempt[T any](ctx context.Context, t *Token, conn *connection, free func(), op func(*connection) (T, error)) (result T, err error, kept bool) {
	var given atomic.Bool // who swaps it first decides who frees the place
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

// retryable reports whether a new connection may cure err. A key that is not
// found may be hidden only, by a logout elsewhere in the process. And an error on a
// connection that another caller has given up says nothing about the token.
func (t *Token) retryable(conn *connection, err error) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return lost(err) || errors.Is(err, ErrKeyMissing) || t.conn != conn
}
