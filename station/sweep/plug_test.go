package sweep_test

import (
	"context"
	"crypto"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"hallmark/devices"
	"hallmark/station"
	"hallmark/station/issuance"
)

// errPulled is what every effect says after the plug was pulled: the process
// that would have made it is dead.
var errPulled = errors.New("the plug is pulled")

// A moment says on which side of an effect the world stops.
type moment string

const (
	lost    moment = "lost"    // before it happened
	applied moment = "applied" // after it happened, before the reply
)

// A plug counts the effects of one life of the station and can be pulled at one.
type plug struct {
	at   int // counted from 1; 0: never
	when moment

	mu     sync.Mutex // covers what follows
	names  []string
	done   map[string]bool
	pulled bool
}

// happened reports whether an effect of this name was made, whatever anybody heard of it.
func (p *plug) happened(name string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.done[name]
}

// enter counts an effect. It reports whether the effect happens, and whether
// its reply is lost.
func (p *plug) enter(name string) (happens, replyLost bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pulled {
		return false, false
	}
	p.names = append(p.names, name)
	if len(p.names) != p.at {
		return true, false
	}
	if p.when == lost {
		p.pulled = true
		return false, false
	}
	return true, true
}

// leave pulls the plug if this effect was the one, or says that it was pulled inside it.
func (p *plug) leave(name string, replyLost bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done == nil {
		p.done = map[string]bool{}
	}
	p.done[name] = true
	p.pulled = p.pulled || replyLost
	return p.pulled
}

// through makes one effect.
func through[T any](p *plug, name string, effect func() (T, error)) (T, error) {
	var nothing T
	happens, replyLost := p.enter(name)
	if !happens {
		return nothing, errPulled
	}
	value, err := effect()
	if p.leave(name, replyLost) {
		return nothing, errPulled
	}
	return value, err
}

// passing is through for effects without a value.
func passing(p *plug, name string, effect func() error) error {
	_, err := through(p, name, func() (struct{}, error) { return struct{}{}, effect() })
	return err
}

// The interfaces of the line, each behind the plug. A new method on one of
// them does not compile without a line here.

type pluggedBoard struct {
	*plug
	inner station.Board
}

func (b pluggedBoard) Identify(ctx context.Context) (devices.Identity, error) {
	return through(b.plug, "Board.Identify", func() (devices.Identity, error) { return b.inner.Identify(ctx) })
}

func (b pluggedBoard) CSR(ctx context.Context, purpose devices.Purpose, nonce [devices.NonceSize]byte, subject devices.Subject) ([]byte, error) {
	return through(b.plug, "Board.CSR", func() ([]byte, error) { return b.inner.CSR(ctx, purpose, nonce, subject) })
}

func (b pluggedBoard) Write(ctx context.Context, slot devices.Slot, der []byte) error {
	return passing(b.plug, "Board.Write", func() error { return b.inner.Write(ctx, slot, der) })
}

func (b pluggedBoard) Read(ctx context.Context, slot devices.Slot) ([]byte, error) {
	return through(b.plug, "Board.Read", func() ([]byte, error) { return b.inner.Read(ctx, slot) })
}

func (b pluggedBoard) Reset(ctx context.Context) (devices.BoardID, devices.BootID, error) {
	type answer struct {
		id   devices.BoardID
		boot devices.BootID
	}
	a, err := through(b.plug, "Board.Reset", func() (answer, error) {
		id, boot, err := b.inner.Reset(ctx)
		return answer{id, boot}, err
	})
	return a.id, a.boot, err
}

func (b pluggedBoard) Handshake(ctx context.Context, conn net.Conn, serverName string) (devices.HandshakeReport, error) {
	return through(b.plug, "Board.Handshake", func() (devices.HandshakeReport, error) { return b.inner.Handshake(ctx, conn, serverName) })
}

func (b pluggedBoard) NetworkHandshake(ctx context.Context, address netip.AddrPort, serverName string) (devices.HandshakeReport, error) {
	return through(b.plug, "Board.NetworkHandshake", func() (devices.HandshakeReport, error) {
		return b.inner.(station.NetworkBoard).NetworkHandshake(ctx, address, serverName)
	})
}

func (b pluggedBoard) Seal(ctx context.Context) error {
	return passing(b.plug, "Board.Seal", func() error { return b.inner.Seal(ctx) })
}

// Counters are no effects.

func (b pluggedBoard) Wire() devices.WireCount { return b.inner.(station.BoardCounters).Wire() }
func (b pluggedBoard) Console() []byte         { return b.inner.(station.BoardCounters).Console() }
func (b pluggedBoard) Waited() time.Duration   { return b.inner.(station.BoardWaits).Waited() }

type pluggedIssuer struct {
	*plug
	inner station.Issuer
	// asked is told of each nonce that a CSR is checked against (I5).
	asked func(nonce [devices.NonceSize]byte)
}

func (i pluggedIssuer) Check(ctx context.Context, req issuance.Request) (*issuance.Grant, error) {
	i.asked(req.Nonce)
	return through(i.plug, "Issuer.Check", func() (*issuance.Grant, error) { return i.inner.Check(ctx, req) })
}

func (i pluggedIssuer) Sign(ctx context.Context, grant *issuance.Grant) (*issuance.Certificate, error) {
	return through(i.plug, "Issuer.Sign", func() (*issuance.Certificate, error) { return i.inner.Sign(ctx, grant) })
}

type pluggedRegistry struct {
	*plug
	inner station.Registry
}

func (r pluggedRegistry) Admit(ctx context.Context, run *station.Run) error {
	return passing(r.plug, "Registry.Admit", func() error { return r.inner.Admit(ctx, run) })
}

func (r pluggedRegistry) Delivered(ctx context.Context, run *station.Run) error {
	return passing(r.plug, "Registry.Delivered", func() error { return r.inner.Delivered(ctx, run) })
}

func (r pluggedRegistry) Activate(ctx context.Context, run *station.Run) error {
	return passing(r.plug, "Registry.Activate", func() error { return r.inner.Activate(ctx, run) })
}

func (r pluggedRegistry) Close(ctx context.Context, run *station.Run) error {
	return passing(r.plug, "Registry.Close", func() error { return r.inner.Close(ctx, run) })
}

type pluggedKnown struct {
	*plug
	inner station.Known
}

func (k pluggedKnown) Lookup(ctx context.Context, serial [16]byte) (station.Record, error) {
	return through(k.plug, "Known.Lookup", func() (station.Record, error) { return k.inner.Lookup(ctx, serial) })
}

type pluggedStore struct {
	*plug
	inner issuance.Store
}

func (s pluggedStore) Intend(ctx context.Context, in issuance.Intent) ([]byte, error) {
	return through(s.plug, "Store.Intend", func() ([]byte, error) { return s.inner.Intend(ctx, in) })
}

func (s pluggedStore) Issued(ctx context.Context, serial [16]byte, der []byte) error {
	return passing(s.plug, "Store.Issued", func() error { return s.inner.Issued(ctx, serial, der) })
}

func (s pluggedStore) Failed(ctx context.Context, serial [16]byte, cause error) error {
	return passing(s.plug, "Store.Failed", func() error { return s.inner.Failed(ctx, serial, cause) })
}

type pluggedSigner struct {
	*plug
	inner crypto.Signer
	// before is asked with the digest when a signature is about to be made (I1).
	before func(digest []byte)
}

func (s pluggedSigner) Public() crypto.PublicKey { return s.inner.Public() }

func (s pluggedSigner) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return through(s.plug, "Signer.Sign", func() ([]byte, error) {
		s.before(digest)
		return s.inner.Sign(random, digest, opts)
	})
}

type pluggedVerifier struct {
	*plug
	inner station.Verifier
}

func (v pluggedVerifier) ServerName() string { return v.inner.ServerName() }

func (v pluggedVerifier) Connect(ctx context.Context, der []byte) (station.Session, error) {
	session, err := through(v.plug, "Verifier.Connect", func() (station.Session, error) { return v.inner.Connect(ctx, der) })
	if err != nil {
		return nil, err
	}
	return pluggedSession{v.plug, session}, nil
}

type pluggedNetworkSessions struct {
	*plug
	inner station.NetworkSessions
}

func (v pluggedNetworkSessions) Expect(ctx context.Context, der []byte) (station.NetworkSession, error) {
	session, err := through(v.plug, "NetworkSessions.Expect", func() (station.NetworkSession, error) { return v.inner.Expect(ctx, der) })
	if err != nil {
		return nil, err
	}
	return pluggedNetworkSession{v.plug, session}, nil
}

// pluggedNetworkSession: closing is no effect, as of a session.
type pluggedNetworkSession struct {
	*plug
	station.NetworkSession
}

func (v pluggedNetworkSession) Verdict(ctx context.Context) (station.Presented, error) {
	return through(v.plug, "NetworkSession.Verdict", func() (station.Presented, error) { return v.NetworkSession.Verdict(ctx) })
}

// pluggedSession: closing is what the kernel does for a dead process, so it is no effect.
type pluggedSession struct {
	*plug
	station.Session
}

func (s pluggedSession) Verdict(ctx context.Context) (station.Presented, error) {
	return through(s.plug, "Session.Verdict", func() (station.Presented, error) { return s.Session.Verdict(ctx) })
}
