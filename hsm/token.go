package hsm

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// A Token is an open PKCS#11 token. Its methods may be called from any goroutine.
type Token struct {
	cfg   Config
	pin   PINSource
	turns chan struct{} // holds one value for each call in flight
	stuck atomic.Int32  // calls in flight whose caller stopped waiting
	life  context.Context
	stop  context.CancelFunc

	mu         sync.Mutex  // guards the fields below
	conn       *connection // nil while the token is away
	reconnect  *reconnect  // the reopen that runs now
	generation uint64      // of the newest connection
	keys       []*key      // keys handed out, each once; a reopen finds all of them again
	info       Info        // of the newest connection
	failure    error       // of the last reopen, until one succeeds
	latch      error       // when set, the error of every later call
	pause      time.Duration
	notBefore  time.Time // no reopen before this time
	closed     bool
	ended      chan struct{} // closed when the module is finalised
	endErr     error         // written before ended is closed
}

// Open finds the token and logs in once. It returns when the token is ready. After an
// error nothing stays open, with one exception: after ErrHung the module is in use
// until it returns. ctx also limits the wait for the PIN.
func Open(ctx context.Context, cfg Config, pin PINSource) (*Token, error) {
	cfg, err := cfg.checked()
	if err != nil {
		return nil, err
	}
	if err := claim(); err != nil {
		return nil, err
	}
	if err := setEnvironment(cfg.Environment); err != nil {
		release()
		return nil, err
	}
	t := &Token{cfg: cfg, pin: pin, ended: make(chan struct{})}
	t.life, t.stop = context.WithCancel(context.WithoutCancel(ctx))
	conn, err := t.acquire(ctx, 0)
	if err != nil {
		if errors.Is(err, ErrHung) {
			t.beginClose() // it waited already
			return nil, err
		}
		return nil, errors.Join(err, t.Close(context.WithoutCancel(ctx))) // a login that succeeded too late is ended, and that may hang, too
	}
	defer conn.calls.Done()
	if conn.tokenInfo.info.Software {
		t.cfg.Log.Warn("software token: its keys are files, for demonstrations and CI only", "token", t.cfg.Selector())
	}
	t.turns = make(chan struct{}, conn.tokenInfo.sessions-MinSessions+1)
	if cfg.KeepAlive > 0 {
		go t.keepAlive()
	}
	return t, nil
}

// Info describes the token as it was at the last open or reopen.
func (t *Token) Info() Info {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.info
}

// Close ends the login and finalises the module. It waits for the calls in flight, but
// at most Config.Timeout and until ctx ends. Then it returns ErrHung, and the module
// is finalised if it ever returns. A second Close waits like the first.
func (t *Token) Close(ctx context.Context) error {
	t.beginClose()
	timer := time.NewTimer(t.cfg.Timeout)
	defer timer.Stop()
	select {
	case <-t.ended:
		return t.endErr
	case <-ctx.Done():
		return refuse(ErrHung, "closing %s: %w", t.cfg.Selector(), ctx.Err())
	case <-timer.C:
		return refuse(ErrHung, "closing %s: a call did not return within %v", t.cfg.Selector(), t.cfg.Timeout)
	}
}

// beginClose starts the closing of the token. ended is closed when the closing is done.
func (t *Token) beginClose() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	t.closed = true
	t.stop()
	go t.finishClose(t.reconnect, t.conn)
	t.conn = nil
}

// finishClose waits for the reconnect and for the calls in flight, then closes the connection.
func (t *Token) finishClose(r *reconnect, conn *connection) {
	if r != nil {
		<-r.done // the reconnect sees closed, and closes what it opened
	}
	if conn != nil {
		t.endErr = conn.close()
	}
	release()
	close(t.ended)
}
