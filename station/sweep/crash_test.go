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
	"hallmark/station/verifier"
)

// errCrashed is the error of every effect after the crash. A crashed process would make no
// further effects.
var errCrashed = errors.New("the station has crashed")

// A moment says whether the station crashes before or after an effect.
type moment string

const (
	lost    moment = "lost"    // crash before the effect
	applied moment = "applied" // crash after the effect, before the caller gets the reply
)

// A crashPoint counts the effects of a station, and crashes the station at one effect.
type crashPoint struct {
	at   int // counted from 1; 0: never
	when moment

	mu      sync.Mutex // covers the following fields
	names   []string
	done    map[string]bool
	crashed bool
}

// happened reports whether an effect with this name was made, even if its reply was lost.
func (p *crashPoint) happened(name string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.done[name]
}

// enter counts an effect. It reports whether to make the effect, and whether the station
// crashes before it gets the reply.
func (p *crashPoint) enter(name string) (happens, replyLost bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.crashed {
		return false, false
	}
	p.names = append(p.names, name)
	if len(p.names) != p.at {
		return true, false
	}
	if p.when == lost {
		p.crashed = true
		return false, false
	}
	return true, true
}

// leave notes that the effect was made, and crashes the station if the reply is lost. It reports
// whether the station has crashed.
func (p *crashPoint) leave(name string, replyLost bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done == nil {
		p.done = map[string]bool{}
	}
	p.done[name] = true
	p.crashed = p.crashed || replyLost
	return p.crashed
}

// withCrash makes one effect, unless the station has crashed.
func withCrash[T any](p *crashPoint, name string, effect func() (T, error)) (T, error) {
	var nothing T
	happens, replyLost := p.enter(name)
	if !happens {
		return nothing, errCrashed
	}
	value, err := effect()
	if p.leave(name, replyLost) {
		return nothing, errCrashed
	}
	return value, err
}

// withCrashNoValue is withCrash for effects without a value.
func withCrashNoValue(p *crashPoint, name string, effect func() error) error {
	_, err := withCrash(p, name, func() (struct{}, error) { return struct{}{}, effect() })
	return err
}

// The interfaces of the engine and the issuer, each with the crash point in front. If an
// interface gets a new method, this file does not compile until the method is added here.

type crashingBoard struct {
	*crashPoint
	inner station.Board
}

func (b crashingBoard) Identify(ctx context.Context) (devices.Identity, error) {
	return withCrash(b.crashPoint, "Board.Identify", func() (devices.Identity, error) { return b.inner.Identify(ctx) })
}

func (b crashingBoard) CSR(ctx context.Context, purpose devices.Purpose, nonce [devices.NonceSize]byte, subject devices.Subject) ([]byte, error) {
	return withCrash(b.crashPoint, "Board.CSR", func() ([]byte, error) { return b.inner.CSR(ctx, purpose, nonce, subject) })
}

func (b crashingBoard) Write(ctx context.Context, slot devices.Slot, der []byte) error {
	return withCrashNoValue(b.crashPoint, "Board.Write", func() error { return b.inner.Write(ctx, slot, der) })
}

func (b crashingBoard) Read(ctx context.Context, slot devices.Slot) ([]byte, error) {
	return withCrash(b.crashPoint, "Board.Read", func() ([]byte, error) { return b.inner.Read(ctx, slot) })
}

func (b crashingBoard) Reset(ctx context.Context) (devices.BoardID, devices.BootID, error) {
	type answer struct {
		id   devices.BoardID
		boot devices.BootID
	}
	a, err := withCrash(b.crashPoint, "Board.Reset", func() (answer, error) {
		id, boot, err := b.inner.Reset(ctx)
		return answer{id, boot}, err
	})
	return a.id, a.boot, err
}

func (b crashingBoard) Handshake(ctx context.Context, conn net.Conn, serverName string) (devices.HandshakeReport, error) {
	return withCrash(b.crashPoint, "Board.Handshake", func() (devices.HandshakeReport, error) { return b.inner.Handshake(ctx, conn, serverName) })
}

func (b crashingBoard) NetworkHandshake(ctx context.Context, address netip.AddrPort, serverName string) (devices.HandshakeReport, error) {
	return withCrash(b.crashPoint, "Board.NetworkHandshake", func() (devices.HandshakeReport, error) {
		return b.inner.(station.NetworkBoard).NetworkHandshake(ctx, address, serverName)
	})
}

func (b crashingBoard) Seal(ctx context.Context) error {
	return withCrashNoValue(b.crashPoint, "Board.Seal", func() error { return b.inner.Seal(ctx) })
}

// Reading counters is no effect.

func (b crashingBoard) Wire() devices.WireCount { return b.inner.(station.BoardCounters).Wire() }
func (b crashingBoard) Console() []byte         { return b.inner.(station.BoardCounters).Console() }
func (b crashingBoard) Waited() time.Duration   { return b.inner.(station.BoardWaits).Waited() }

type crashingIssuer struct {
	*crashPoint
	inner station.Issuer
	// asked is called with the nonce of each CSR check (I5).
	asked func(nonce [devices.NonceSize]byte)
}

func (i crashingIssuer) Check(ctx context.Context, req issuance.Request) (*issuance.Grant, error) {
	i.asked(req.Nonce)
	return withCrash(i.crashPoint, "Issuer.Check", func() (*issuance.Grant, error) { return i.inner.Check(ctx, req) })
}

func (i crashingIssuer) Sign(ctx context.Context, grant *issuance.Grant) (*issuance.Certificate, error) {
	return withCrash(i.crashPoint, "Issuer.Sign", func() (*issuance.Certificate, error) { return i.inner.Sign(ctx, grant) })
}

type crashingRegistry struct {
	*crashPoint
	inner station.Registry
}

func (r crashingRegistry) Admit(ctx context.Context, run *station.Run) error {
	return withCrashNoValue(r.crashPoint, "Registry.Admit", func() error { return r.inner.Admit(ctx, run) })
}

func (r crashingRegistry) Delivered(ctx context.Context, run *station.Run) error {
	return withCrashNoValue(r.crashPoint, "Registry.Delivered", func() error { return r.inner.Delivered(ctx, run) })
}

func (r crashingRegistry) Activate(ctx context.Context, run *station.Run) error {
	return withCrashNoValue(r.crashPoint, "Registry.Activate", func() error { return r.inner.Activate(ctx, run) })
}

func (r crashingRegistry) SealIntended(ctx context.Context, run *station.Run) error {
	return withCrashNoValue(r.crashPoint, "Registry.SealIntended", func() error { return r.inner.SealIntended(ctx, run) })
}

func (r crashingRegistry) LockIntended(ctx context.Context, run *station.Run) error {
	return withCrashNoValue(r.crashPoint, "Registry.LockIntended", func() error { return r.inner.LockIntended(ctx, run) })
}

func (r crashingRegistry) ImageAllowed(ctx context.Context, run *station.Run, image [32]byte) error {
	return withCrashNoValue(r.crashPoint, "Registry.ImageAllowed", func() error { return r.inner.ImageAllowed(ctx, run, image) })
}
func (r crashingRegistry) LockRead(ctx context.Context, run *station.Run) error {
	return withCrashNoValue(r.crashPoint, "Registry.LockRead", func() error { return r.inner.LockRead(ctx, run) })
}

func (r crashingRegistry) Close(ctx context.Context, run *station.Run) (station.Outcome, error) {
	return withCrash(r.crashPoint, "Registry.Close", func() (station.Outcome, error) { return r.inner.Close(ctx, run) })
}

type crashingKnown struct {
	*crashPoint
	inner verifier.Known
}

// crashingBoards is the engine's registry. The verifier looks up certificates only.
type crashingBoards struct {
	crashingKnown
	boards station.Known
}

func (k crashingBoards) Standing(ctx context.Context, id devices.BoardID) (station.Standing, error) {
	return withCrash(k.crashPoint, "Known.Standing", func() (station.Standing, error) { return k.boards.Standing(ctx, id) })
}

func (k crashingBoards) Marked(ctx context.Context, id devices.BoardID, purpose devices.Purpose) (string, error) {
	return withCrash(k.crashPoint, "Known.Marked", func() (string, error) { return k.boards.Marked(ctx, id, purpose) })
}

func (k crashingBoards) Ends(ctx context.Context, id devices.BoardID, purpose devices.Purpose) (time.Time, error) {
	return withCrash(k.crashPoint, "Known.Ends", func() (time.Time, error) { return k.boards.Ends(ctx, id, purpose) })
}

func (k crashingBoards) Renewed(ctx context.Context, id devices.BoardID, certificate [32]byte) (bool, error) {
	return withCrash(k.crashPoint, "Known.Renewed", func() (bool, error) { return k.boards.Renewed(ctx, id, certificate) })
}

func (k crashingKnown) Lookup(ctx context.Context, serial [16]byte) (station.Record, error) {
	return withCrash(k.crashPoint, "Known.Lookup", func() (station.Record, error) { return k.inner.Lookup(ctx, serial) })
}

type crashingStore struct {
	*crashPoint
	inner issuance.Store
}

func (s crashingStore) Intend(ctx context.Context, in issuance.Intent) ([]byte, error) {
	return withCrash(s.crashPoint, "Store.Intend", func() ([]byte, error) { return s.inner.Intend(ctx, in) })
}

func (s crashingStore) Issued(ctx context.Context, serial [16]byte, der []byte) error {
	return withCrashNoValue(s.crashPoint, "Store.Issued", func() error { return s.inner.Issued(ctx, serial, der) })
}

func (s crashingStore) Failed(ctx context.Context, serial [16]byte, cause error) error {
	return withCrashNoValue(s.crashPoint, "Store.Failed", func() error { return s.inner.Failed(ctx, serial, cause) })
}

type crashingSigner struct {
	*crashPoint
	inner crypto.Signer
	// before is called with the digest directly before each signature (I1).
	before func(digest []byte)
}

func (s crashingSigner) Public() crypto.PublicKey { return s.inner.Public() }

func (s crashingSigner) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return withCrash(s.crashPoint, "Signer.Sign", func() ([]byte, error) {
		s.before(digest)
		return s.inner.Sign(random, digest, opts)
	})
}

type crashingVerifier struct {
	*crashPoint
	inner station.Verifier
}

func (v crashingVerifier) ServerName() string { return v.inner.ServerName() }

func (v crashingVerifier) Connect(ctx context.Context, der []byte) (station.Session, error) {
	session, err := withCrash(v.crashPoint, "Verifier.Connect", func() (station.Session, error) { return v.inner.Connect(ctx, der) })
	if err != nil {
		return nil, err
	}
	return crashingSession{v.crashPoint, session}, nil
}

type crashingNetworkSessions struct {
	*crashPoint
	inner station.NetworkSessions
}

func (v crashingNetworkSessions) Expect(ctx context.Context, der []byte) (station.NetworkSession, error) {
	session, err := withCrash(v.crashPoint, "NetworkSessions.Expect", func() (station.NetworkSession, error) { return v.inner.Expect(ctx, der) })
	if err != nil {
		return nil, err
	}
	return crashingNetworkSession{v.crashPoint, session}, nil
}

// Close of a crashingNetworkSession is no effect, as for a crashingSession.
type crashingNetworkSession struct {
	*crashPoint
	station.NetworkSession
}

func (v crashingNetworkSession) Verdict(ctx context.Context) (station.Presented, error) {
	return withCrash(v.crashPoint, "NetworkSession.Verdict", func() (station.Presented, error) { return v.NetworkSession.Verdict(ctx) })
}

// Close of a crashingSession is no effect, because the kernel closes the connections of a crashed process.
type crashingSession struct {
	*crashPoint
	station.Session
}

func (s crashingSession) Verdict(ctx context.Context) (station.Presented, error) {
	return withCrash(s.crashPoint, "Session.Verdict", func() (station.Presented, error) { return s.Session.Verdict(ctx) })
}
