package verifier

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"

	"hallmark/station"
)

var (
	_ station.Verifier = (*Server)(nil)
	_ station.Session  = (*session)(nil)
)

// An expectation is the one certificate that a Run expects, and the verdict on its client.
type expectation struct {
	sum     [sha256.Size]byte
	answer  []byte       // set by Expect: a board that is told twice to dial may come twice, and reports the answer that it read last
	verdict chan verdict // has room for one verdict
	once    sync.Once
}

type verdict struct {
	presented station.Presented
	err       error
}

func expect(certificate []byte) *expectation {
	return &expectation{sum: sha256.Sum256(certificate), verdict: make(chan verdict, 1)}
}

// A session is one announced connection, seen from the station's side.
type session struct {
	*expectation
	server *Server
	conn   net.Conn
	key    string // the key in Server.expected
}

// Connect dials the verifier's own listener and announces that the client of this
// connection will present exactly this certificate (DER). Connect waits until Serve
// runs. The caller closes the session.
func (s *Server) Connect(ctx context.Context, certificate []byte) (station.Session, error) {
	address, err := s.address(ctx)
	if err != nil {
		return nil, err
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, address.Network(), address.String())
	if err != nil {
		return nil, fmt.Errorf("dialling the verifier: %w", err)
	}
	// The server has seen no octet of this connection, so it cannot have decided yet.
	return s.announce(conn, expect(certificate)), nil
}

// address waits until the server has a listener, and returns its address.
func (s *Server) address(ctx context.Context) (net.Addr, error) {
	select {
	case <-s.serving:
		return s.listener.Addr(), nil
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for the verifier to serve: %w", context.Cause(ctx))
	}
}

func (s *Server) announce(conn net.Conn, what *expectation) *session {
	announced := &session{expectation: what, server: s, conn: conn, key: conn.LocalAddr().String()}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expected[announced.key] = what
	return announced
}

// expectation returns what was announced for a connection from this address, or nil.
func (s *Server) expectation(remote string) *expectation {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.expected[remote]
}

// forget withdraws an announcement. It must run before the connection is closed,
// because afterwards another connection can get the same address.
func (s *Server) forget(c *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.expected[c.key] == c.expectation {
		delete(s.expected, c.key)
	}
}

func (c *session) Conn() net.Conn { return c.conn }

// Verdict waits for the verifier's decision. A refusal is a [RefusalError]. Any
// other error means that there was no decision.
func (e *expectation) Verdict(ctx context.Context) (station.Presented, error) {
	select {
	case v := <-e.verdict:
		e.verdict <- v // for the next caller
		return v.presented, v.err
	case <-ctx.Done():
		return station.Presented{}, fmt.Errorf("waiting for the verifier's decision: %w", context.Cause(ctx))
	}
}

// resolve stores the verdict. The connection's goroutine calls it; only the first call counts.
func (e *expectation) resolve(presented station.Presented, err error) {
	e.once.Do(func() { e.verdict <- verdict{presented, err} })
}

// Close withdraws the announcement and closes the connection.
func (c *session) Close() error {
	c.server.forget(c)
	if err := c.conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// temporary is true for errors of accept that disappear without action: a client
// that left while it waited, or a lack of descriptors or memory.
func temporary(err error) bool {
	for _, code := range []syscall.Errno{syscall.ECONNABORTED, syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, code) {
			return true
		}
	}
	return false
}

// pause waits for d. It returns false when ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
