package hsm

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// Pauses after a reopen that failed.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 5 * time.Second
)

// A reconnect is one attempt to open the token. All callers that need the token wait
// for the same attempt. It runs in its own goroutine, because calls into a module
// cannot be cancelled; Token.finishClose waits for it.
type reconnect struct {
	asking   atomic.Bool  // the PIN source is being asked: a person may be at the keyboard
	deadline atomic.Int64 // Unix time in nanoseconds; callers wait until then
	done     chan struct{}
	err      error // may be read after done is closed
}

// acquire returns a live connection that is newer than generation stale. It opens the
// token if necessary. The caller must call calls.Done.
func (t *Token) acquire(ctx context.Context, stale uint64) (*connection, error) {
	for {
		conn, r, err := t.current(stale)
		if conn != nil || err != nil {
			return conn, err
		}
		if err := r.wait(ctx, t.cfg); err != nil {
			return nil, err
		}
	}
}

// current returns the live connection, or the reconnect to wait for.
func (t *Token) current(stale uint64) (*connection, *reconnect, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.closed:
		return nil, nil, refuse(ErrClosed, "%s", t.cfg.Selector())
	case t.latch != nil:
		return nil, nil, t.latch
	case t.conn != nil && t.conn.generation != stale:
		t.conn.calls.Add(1)
		return t.conn, nil, nil
	case t.reconnect != nil:
		return nil, t.reconnect, nil
	case time.Now().Before(t.notBefore):
		return nil, nil, t.failure
	}
	t.reconnect = &reconnect{done: make(chan struct{})}
	t.reconnect.extend(t.cfg.Timeout)
	go t.runReconnect(t.reconnect, t.conn)
	t.conn = nil
	return nil, t.reconnect, nil
}

func (r *reconnect) extend(limit time.Duration) {
	r.deadline.Store(time.Now().Add(limit).UnixNano())
}

// left returns the time to the deadline. While a person is asked for the PIN, the
// deadline does not come closer.
func (r *reconnect) left(limit time.Duration) time.Duration {
	if r.asking.Load() {
		return limit
	}
	return time.Until(time.Unix(0, r.deadline.Load()))
}

// wait waits until the reconnect ends. After the end of ctx it still waits for a call into the
// module, up to the deadline: a login writes on some tokens, and the end of the process in that
// moment can destroy the token.
func (r *reconnect) wait(ctx context.Context, cfg Config) error {
	timer := time.NewTimer(r.left(cfg.Timeout))
	defer timer.Stop()
	stopped := ctx.Done()
	for {
		select {
		case <-r.done:
			if r.err == nil && ctx.Err() != nil {
				return fmt.Errorf("opening %s: %w", cfg.Selector(), ctx.Err())
			}
			return r.err
		case <-stopped:
			if r.asking.Load() {
				return fmt.Errorf("opening %s: waiting for the PIN: %w", cfg.Selector(), ctx.Err())
			}
			stopped = nil // a token must not be left in the middle of a login
		case <-timer.C:
			left := r.left(cfg.Timeout)
			if left <= 0 {
				return refuse(ErrHung, "opening %s: no answer within %v", cfg.Selector(), cfg.Timeout)
			}
			timer.Reset(left)
		}
	}
}

// ask asks the PIN source. Afterwards the module gets the full time limit.
func (r *reconnect) ask(ctx context.Context, pin PINSource, limit time.Duration) (Secret, error) {
	r.asking.Store(true)
	defer r.asking.Store(false)
	defer r.extend(limit)
	return pin(ctx)
}

// runReconnect closes the old connection, and opens a new one that has all keys.
func (t *Token) runReconnect(r *reconnect, old *connection) {
	if old != nil {
		t.cfg.Log.Warn("opening the token again", "token", t.cfg.Selector(), "generation", old.generation)
		if err := old.close(); err != nil {
			t.cfg.Log.Warn("closing the lost session", "error", err)
		}
	}
	limit := t.cfg.Timeout
	conn, err := dial(t.life, t.pinned(), func(ctx context.Context) (Secret, error) { return r.ask(ctx, t.pin, limit) })
	if err == nil {
		if err = t.adoptAll(conn); err != nil {
			err = errors.Join(err, conn.close())
			conn = nil
		}
	}
	if unwanted := t.finishReconnect(r, conn, err); unwanted != nil {
		if err := unwanted.close(); err != nil {
			t.cfg.Log.Warn("closing a session opened too late", "error", err)
		}
	}
	close(r.done)
}

// pinned returns the configuration that fits the token of the first open and no other. The configuration of a station or a ceremony
// may name a label only; another token with this label must get neither the PIN nor a key that this process makes.
func (t *Token) pinned() Config {
	t.mu.Lock()
	defer t.mu.Unlock()
	cfg := t.cfg
	if t.generation > 0 {
		cfg.TokenSerial, cfg.TokenModel, cfg.TokenManufacturer = t.info.Serial, t.info.Model, t.info.Manufacturer
	}
	return cfg
}

// adoptAll finds on the new connection every key that was handed out.
func (t *Token) adoptAll(conn *connection) error {
	t.mu.Lock()
	keys := t.keys
	t.mu.Unlock()
	for _, k := range keys {
		if _, err := conn.signer(k); err != nil {
			return err
		}
	}
	return nil
}

// finishReconnect stores the result of a reconnect. It returns the connection if the
// token was closed meanwhile.
func (t *Token) finishReconnect(r *reconnect, conn *connection, err error) (unwanted *connection) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.reconnect, t.failure, r.err = nil, err, err
	switch {
	case conn != nil && t.closed:
		r.err = refuse(ErrClosed, "%s", t.cfg.Selector())
		return conn
	case conn != nil:
		t.generation++
		conn.generation = t.generation
		t.conn, t.info, t.pause, t.notBefore = conn, conn.tokenInfo.info, 0, time.Time{}
		if t.generation > 1 {
			t.cfg.Log.Info("the token is back", "token", t.cfg.Selector(), "generation", t.generation)
		}
	case Final(err):
		t.latch = err
		t.cfg.Log.Error("the token is not tried again", "error", err)
	default:
		t.cfg.Log.Warn("the token is away", "error", err)
		t.pause = min(max(2*t.pause, firstPause), lastPause)
		t.notBefore = time.Now().Add(t.pause)
	}
	return nil
}
