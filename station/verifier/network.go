package verifier

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"hallmark/station"
	"hallmark/station/reason"
)

var (
	_ station.NetworkSessions = (*Server)(nil)
	_ station.NetworkSession  = (*awaited)(nil)
)

// Errors of wiring, not of what boards do.
var (
	errSecondDoor = errors.New("serving visits: this verifier has a listener for them")
	errAwaited    = reason.New("awaited-already", "another Run waits for the same certificate")
)

// An awaited is one Run that waits for a board.
type awaited struct {
	*expectation
	server *Server
	door   netip.AddrPort
	missed error // why the last client was sent away that was, or may have been, the board; under server.mu
}

// ServeNetwork is Serve for boards that dial by themselves. Here only the
// certificate tells which Run a client belongs to, so any other is refused, an
// active one too (ErrNotTheExpected), and while no Run waits nobody is heard.
// Boards are told to dial address; where its port is 0 it is the listener's,
// where it is not valid all of it is.
func (s *Server) ServeNetwork(ctx context.Context, listener net.Listener, address netip.AddrPort) error {
	door, err := doorOf(listener, address)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	if !s.openDoor(door) {
		return errors.Join(errSecondDoor, listener.Close())
	}
	return s.loop(ctx, listener, s.serveVisit)
}

func doorOf(listener net.Listener, address netip.AddrPort) (netip.AddrPort, error) {
	own, err := netip.ParseAddrPort(listener.Addr().String())
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("serving visits: %w", err)
	}
	host, port := own.Addr(), own.Port()
	if address.Addr().IsValid() {
		host = address.Addr()
	}
	if address.Port() != 0 {
		port = address.Port()
	}
	if host.IsUnspecified() {
		return netip.AddrPort{}, fmt.Errorf("serving visits: nobody can dial %v: name the address that boards dial", own)
	}
	return netip.AddrPortFrom(host.Unmap(), port), nil
}

func (s *Server) openDoor(door netip.AddrPort) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.door.IsValid() {
		return false
	}
	s.door = door
	close(s.visiting)
	return true
}

// serveVisit hangs up at once when no Run waits.
func (s *Server) serveVisit(ctx context.Context, conn net.Conn) {
	s.mu.Lock()
	waiting := len(s.awaited)
	s.mu.Unlock()
	if waiting == 0 {
		s.config.Log.Warn("refused", "remote", conn.RemoteAddr().String(), "reason", "no Run waits for a board")
		_ = conn.Close() // nothing was sent
		return
	}
	s.receive(ctx, conn, &visit{Server: s, awaited: true})
}

// Expect announces that a board will come to the listener of ServeNetwork with
// exactly this certificate (DER), for which only one Run at a time may wait. It
// waits for ServeNetwork to begin. The caller closes the Visit.
func (s *Server) Expect(ctx context.Context, certificate []byte) (station.NetworkSession, error) {
	select {
	case <-s.visiting:
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for the verifier to serve visits: %w", context.Cause(ctx))
	}
	answer, err := newAnswer()
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a := &awaited{expectation: expect(certificate), server: s, door: s.door}
	a.answer = answer
	if s.awaited[a.sum] != nil {
		return nil, errAwaited
	}
	s.awaited[a.sum] = a
	return a, nil
}

// Address is what the board dials.
func (a *awaited) Address() netip.AddrPort { return a.door }

// Verdict waits for the board. When ctx ends before it came, the error wraps
// station.ErrNoNetworkSession, and with it why whoever came was sent away.
func (a *awaited) Verdict(ctx context.Context) (station.Presented, error) {
	presented, err := a.expectation.Verdict(ctx)
	if ctx.Err() == nil || !errors.Is(err, context.Cause(ctx)) {
		return presented, err
	}
	a.server.mu.Lock()
	defer a.server.mu.Unlock()
	if a.missed != nil {
		return presented, fmt.Errorf("%w: %w", station.ErrNoNetworkSession, a.missed)
	}
	return presented, fmt.Errorf("%w: %w", station.ErrNoNetworkSession, err)
}

// Close takes the announcement back.
func (a *awaited) Close() error {
	a.server.mu.Lock()
	defer a.server.mu.Unlock()
	if a.server.awaited[a.sum] == a {
		delete(a.server.awaited, a.sum)
	}
	return nil
}

// invited finds out whose visit it is, where only the certificate tells.
func (v *visit) invited() error {
	if !v.awaited {
		return nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if a := v.Server.awaited[v.sum]; a != nil {
		v.announced = a.expectation
		return nil
	}
	return ErrNotTheExpected
}

// missed leaves with the Run, or where that is not known with each Run that
// waits, why a client was sent away. It decides nothing, because up to the end
// of a handshake anybody can show a certificate that is not his: it explains why nobody came.
func (v *visit) missed(err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, a := range v.Server.awaited {
		if v.announced == nil || v.announced == a.expectation {
			a.missed = err
		}
	}
}
