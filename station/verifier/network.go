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
	_ station.NetworkSession  = (*networkSession)(nil)
)

// Errors of the program that starts the server. Boards do not cause them.
var (
	errSecondNetworkListener = errors.New("serving network sessions: this verifier has a listener for them")
	errAlreadyExpected       = reason.New("awaited-already", "another Run waits for the same certificate")
)

// A networkSession is the wait of one Run for one board.
type networkSession struct {
	*expectation
	server      *Server
	address     netip.AddrPort
	lastRefusal error // why the last client was refused that was the board, or may have been the board; guarded by server.mu
}

// ServeNetwork is [Server.Serve] for boards that dial the verifier by themselves.
// Only the certificate tells to which Run a client belongs. ServeNetwork refuses
// every other certificate with ErrNotTheExpected, an active one too, and closes
// each connection at once while no Run waits. Boards are told to dial address: where
// its port is 0, the listener's port is used; where it is not valid, the listener's
// address is used.
func (s *Server) ServeNetwork(ctx context.Context, listener net.Listener, address netip.AddrPort) error {
	dial, err := dialAddress(listener, address)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	if !s.setNetworkAddress(dial) {
		return errors.Join(errSecondNetworkListener, listener.Close())
	}
	return s.loop(ctx, listener, nil, s.serveBoard)
}

func dialAddress(listener net.Listener, address netip.AddrPort) (netip.AddrPort, error) {
	own, err := netip.ParseAddrPort(listener.Addr().String())
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("serving network sessions: %w", err)
	}
	host, port := own.Addr(), own.Port()
	if address.Addr().IsValid() {
		host = address.Addr()
	}
	if address.Port() != 0 {
		port = address.Port()
	}
	if host.IsUnspecified() {
		return netip.AddrPort{}, fmt.Errorf("serving network sessions: nobody can dial %v: name the address that boards dial", own)
	}
	return netip.AddrPortFrom(host.Unmap(), port), nil
}

func (s *Server) setNetworkAddress(address netip.AddrPort) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.networkAddress.IsValid() {
		return false
	}
	s.networkAddress = address
	close(s.networkServing)
	return true
}

// serveBoard closes the connection at once when no Run waits.
func (s *Server) serveBoard(ctx context.Context, c *connection) {
	s.mu.Lock()
	waiting := len(s.networkSessions)
	s.mu.Unlock()
	if waiting == 0 {
		s.config.Log.Warn("refused", "remote", c.remote, "reason", "no Run waits for a board")
		_ = c.conn.Close() // no octet was sent on this connection
		return
	}
	c.overNetwork = true
	s.handle(ctx, c)
}

// Expect announces that a board will come to the listener of ServeNetwork with
// exactly this certificate (DER). Only one Run at a time may wait for a certificate.
// Expect waits until ServeNetwork runs. The caller closes the session.
func (s *Server) Expect(ctx context.Context, certificate []byte) (station.NetworkSession, error) {
	select {
	case <-s.networkServing:
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for the verifier to serve network sessions: %w", context.Cause(ctx))
	}
	answer, err := newAnswer()
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a := &networkSession{expectation: expect(certificate), server: s, address: s.networkAddress}
	a.answer = answer
	if s.networkSessions[a.sum] != nil {
		return nil, errAlreadyExpected
	}
	s.networkSessions[a.sum] = a
	return a, nil
}

// Address returns the address that the board must dial.
func (a *networkSession) Address() netip.AddrPort { return a.address }

// Verdict waits for the board. When ctx ends before the board came, the error wraps
// station.ErrNoNetworkSession and, if a client was refused meanwhile, the reason.
func (a *networkSession) Verdict(ctx context.Context) (station.Presented, error) {
	presented, err := a.expectation.Verdict(ctx)
	if ctx.Err() == nil || !errors.Is(err, context.Cause(ctx)) {
		return presented, err
	}
	a.server.mu.Lock()
	defer a.server.mu.Unlock()
	if a.lastRefusal != nil {
		return presented, fmt.Errorf("%w: %w", station.ErrNoNetworkSession, a.lastRefusal)
	}
	return presented, fmt.Errorf("%w: %w", station.ErrNoNetworkSession, err)
}

// Close withdraws the announcement.
func (a *networkSession) Close() error {
	a.server.mu.Lock()
	defer a.server.mu.Unlock()
	if a.server.networkSessions[a.sum] == a {
		delete(a.server.networkSessions, a.sum)
	}
	return nil
}

// matchNetworkSession finds the Run that expects this client by the client's certificate.
func (c *connection) matchNetworkSession() error {
	if !c.overNetwork {
		return nil
	}
	c.mu.Lock()
	a := c.Server.networkSessions[c.sum]
	c.mu.Unlock()
	if a == nil {
		return ErrNotTheExpected
	}
	c.announced = a.expectation
	c.admission.enter(c, announced)
	return nil
}

// noteRefusal stores why a client was refused in the session of its Run, or in every
// session when the Run is not known. The reason decides nothing, because until the end
// of a handshake a client can show a certificate whose key it does not hold. The reason
// only explains why no board came.
func (c *connection) noteRefusal(err error) {
	if errors.Is(err, errGaveWay) {
		return // it says nothing about a board
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range c.Server.networkSessions {
		if c.announced == nil || c.announced == a.expectation {
			a.lastRefusal = err
		}
	}
}
