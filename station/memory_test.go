package station_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"hallmark/devices"
	"hallmark/station"
	"hallmark/station/issuance"
	"hallmark/station/reason"
)

// The fakes here do what a real part does only when it is broken. Package station/sweep
// tests the real parts together.

// fakes are all parts that one Run talks to. Each call asks hook first.
type fakes struct {
	t *testing.T

	mu    sync.Mutex
	calls []string
	hook  func(call string) error // may block or panic

	identity      devices.Identity
	slots         map[devices.Slot][]byte
	wire          devices.WireCount
	other         bool // after a reset another board answers
	stuck         bool // a reset does nothing
	forgets       bool // the flash does not keep the certificate
	ignoresAnswer bool // the board does not read the verifier's answer

	admitted, closed int
	outcome          station.Outcome // of a Pass
	records          map[[16]byte]station.Record
	certificate      *issuance.Certificate
	presented        [32]byte
	verdict          error

	silent bool                          // the board has no firmware, so it does not answer
	done   map[devices.BoardID]time.Time // boards with an active certificate, and since when
	port   *debugPort                    // of the bay; nil: none
	locks  []string                      // entries about the lock of the debug port
	marked string                        // reason of the mark of the board
	ends   time.Time                     // notAfter of the active certificate
}

func newFakes(t *testing.T) *fakes {
	t.Helper()
	w := &fakes{
		t: t, slots: map[devices.Slot][]byte{}, records: map[[16]byte]station.Record{},
		identity: devices.Identity{Algorithm: devices.AlgorithmP256,
			ID: devices.BoardID{1, 2, 3}, HardwareID: "hw", HUK: devices.HUKFuses, ABI: devices.IdentityABI, Can: devices.CanProvision, Purposes: 1, Boot: devices.BootID{1},
		},
	}
	w.certificate = newCertificate(t, 7)
	w.presented = w.certificate.SHA256
	return w
}

func newCertificate(t *testing.T, serial byte) *issuance.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &issuance.Certificate{Serial: [16]byte{0x40, 15: serial}}
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(c.Serial[:]), Subject: pkix.Name{CommonName: "board"}, NotAfter: time.Now().Add(time.Hour),
	}
	if c.DER, err = x509.CreateCertificate(rand.Reader, template, template, key.Public(), key); err != nil {
		t.Fatal(err)
	}
	c.SHA256 = sha256.Sum256(c.DER)
	return c
}

// call notes a call and asks the hook for an error.
func (w *fakes) call(ctx context.Context, name string) error {
	w.mu.Lock()
	w.calls = append(w.calls, name)
	w.wire.Sent += 10
	hook := w.hook
	w.mu.Unlock()
	if hook != nil {
		if err := hook(name); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (w *fakes) Identify(ctx context.Context) (devices.Identity, error) {
	if w.silent {
		<-ctx.Done()
		return devices.Identity{}, errors.Join(devices.ErrNoAnswer, w.call(ctx, "Identify"))
	}
	return w.identity, w.call(ctx, "Identify")
}

func (w *fakes) CSR(ctx context.Context, _ devices.Purpose, _ [devices.NonceSize]byte, _ devices.Subject) ([]byte, error) {
	return []byte("csr"), w.call(ctx, "CSR")
}

func (w *fakes) Write(ctx context.Context, slot devices.Slot, der []byte) error {
	if err := w.call(ctx, "Write "+string('0'+rune(slot))); err != nil {
		return err
	}
	if w.identity.Sealed {
		w.t.Error("the station writes to a sealed board")
	}
	w.slots[slot] = der
	w.identity.Stored |= 1 << slot
	return nil
}

func (w *fakes) Read(ctx context.Context, slot devices.Slot) ([]byte, error) {
	if w.forgets && slot == devices.SlotCertificate {
		return []byte("not it"), w.call(ctx, "Read 2")
	}
	return w.slots[slot], w.call(ctx, "Read "+string('0'+rune(slot)))
}

func (w *fakes) Reset(ctx context.Context) (devices.BoardID, devices.BootID, error) {
	err := w.call(ctx, "Reset")
	if !w.stuck {
		w.identity.Boot[0]++
	}
	if w.other {
		w.identity.ID[15]++
	}
	return w.identity.ID, w.identity.Boot, err
}

func (w *fakes) Handshake(ctx context.Context, _ net.Conn, _ string) (devices.HandshakeReport, error) {
	if w.ignoresAnswer {
		return devices.HandshakeReport{}, w.call(ctx, "Handshake")
	}
	return devices.HandshakeReport{Received: []byte("ok\n")}, w.call(ctx, "Handshake")
}

func (w *fakes) NetworkHandshake(ctx context.Context, address netip.AddrPort, _ string) (devices.HandshakeReport, error) {
	if address != networkAddress {
		w.t.Errorf("the board dials %v", address)
	}
	if w.ignoresAnswer {
		return devices.HandshakeReport{}, w.call(ctx, "NetworkHandshake")
	}
	return devices.HandshakeReport{Received: []byte("ok\n")}, w.call(ctx, "NetworkHandshake")
}

func (w *fakes) Seal(ctx context.Context) error {
	if err := w.call(ctx, "Seal"); err != nil {
		return err
	}
	w.identity.Sealed = true
	return nil
}

func (w *fakes) Wire() devices.WireCount {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.wire
}
func (w *fakes) Console() []byte       { return []byte("booted\n") }
func (w *fakes) Waited() time.Duration { return time.Duration(w.Wire().Sent) * time.Millisecond }

// issuer, registry, verifier and session are the fakes behind other interfaces.
type (
	issuer   struct{ *fakes }
	registry struct{ *fakes }
	verifier struct{ *fakes }
	session  struct {
		*fakes
		conn net.Conn
	}
)

func (w issuer) Check(ctx context.Context, _ issuance.Request) (*issuance.Grant, error) {
	return &issuance.Grant{}, w.call(ctx, "Check")
}

func (w issuer) Sign(ctx context.Context, grant *issuance.Grant) (*issuance.Certificate, error) {
	if grant == nil {
		w.t.Error("Sign without a grant")
	}
	if err := w.call(ctx, "Sign"); err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.records[w.certificate.Serial] = station.Record{
		BoardID: w.identity.ID, Purpose: devices.PurposeTLS, CertificateSHA256: w.certificate.SHA256, Status: station.StatusIssued,
	}
	return w.certificate, nil
}

func (w registry) Admit(ctx context.Context, run *station.Run) error {
	if run.Identity == nil {
		w.t.Error("Admit without an identity")
	}
	if err := w.call(ctx, "Admit"); err != nil {
		return err
	}
	w.admitted++
	return nil
}

func (w registry) Delivered(ctx context.Context, run *station.Run) error {
	if run.ReadBack == nil || *run.ReadBack != run.Certificate.SHA256 {
		w.t.Error("Delivered without the certificate having been read back")
	}
	return w.call(ctx, "Delivered")
}

func (w registry) Activate(ctx context.Context, run *station.Run) error {
	if run.Handshake == nil || run.ReadBack == nil || run.Boot == nil {
		w.t.Error("Activate without handshake, read back or reset (I6, I7)")
	}
	return w.call(ctx, "Activate")
}

func (w registry) SealIntended(ctx context.Context, _ *station.Run) error {
	return w.call(ctx, "SealIntended")
}

func (w registry) LockIntended(ctx context.Context, run *station.Run) error {
	if err := w.call(ctx, "LockIntended"); err != nil {
		return err
	}
	w.locks = append(w.locks, "intended")
	return nil
}

func (w registry) LockRead(ctx context.Context, run *station.Run) error {
	if err := w.call(ctx, "LockRead"); err != nil {
		return err
	}
	if len(w.locks) == 0 && run.Lock.State == station.LockLocked {
		return station.ErrLockedElsewhere
	}
	w.locks = append(w.locks, string(run.Lock.State))
	return nil
}

func (w registry) ImageAllowed(ctx context.Context, _ *station.Run, image [32]byte) error {
	if image != provisioning {
		w.t.Errorf("asked for the image %x", image)
	}
	return w.call(ctx, "ImageAllowed")
}

func (w registry) Standing(ctx context.Context, id devices.BoardID) (station.Standing, error) {
	s := station.Standing{Active: w.done[id]}
	if n := len(w.locks); n > 0 {
		s.Lock = station.LockState(w.locks[n-1])
	}
	return s, w.call(ctx, "Standing")
}

func (w registry) Marked(ctx context.Context, id devices.BoardID, purpose devices.Purpose) (string, error) {
	return w.marked, w.call(ctx, "Marked")
}

func (w registry) Ends(ctx context.Context, id devices.BoardID, purpose devices.Purpose) (time.Time, error) {
	return w.ends, w.call(ctx, "Ends")
}

func (w registry) Renewed(ctx context.Context, id devices.BoardID, certificate [32]byte) (bool, error) {
	return false, w.call(ctx, "Renewed")
}

func (w registry) Close(ctx context.Context, run *station.Run) (station.Outcome, error) {
	if _, bounded := ctx.Deadline(); !bounded || ctx.Err() != nil {
		w.t.Errorf("Close needs a fresh bounded context; this one says %v", ctx.Err())
	}
	if run.Ending == "" || run.Finished.IsZero() {
		w.t.Error("Close without an ending")
	}
	err := w.call(ctx, "Close")
	if row, known := reason.Find(err); known && row.Ending == station.Reject && run.Ending == station.Pass {
		return "", err // the registry refuses the Pass, so the record is still open
	}
	w.closed++
	return w.outcome, err
}

func (w registry) Lookup(ctx context.Context, serial [16]byte) (station.Record, error) {
	w.mu.Lock()
	record, ok := w.records[serial]
	w.mu.Unlock()
	if !ok {
		return record, errors.Join(station.ErrUnknownCertificate, w.call(ctx, "Lookup"))
	}
	return record, w.call(ctx, "Lookup")
}

func (w verifier) Connect(ctx context.Context, der []byte) (station.Session, error) {
	if sha256.Sum256(der) != w.certificate.SHA256 {
		w.t.Error("another certificate is announced than the registered one (I6)")
	}
	near, far := net.Pipe()
	w.t.Cleanup(func() { far.Close() })
	return session{w.fakes, near}, w.call(ctx, "Connect")
}

func (w verifier) ServerName() string { return "verifier.test" }

// networkSessions are the fakes for boards that dial the verifier over their own network.
type networkSessions struct{ *fakes }

var networkAddress = netip.MustParseAddrPort("192.0.2.17:8443")

func (v networkSessions) Expect(ctx context.Context, der []byte) (station.NetworkSession, error) {
	if sha256.Sum256(der) != v.certificate.SHA256 {
		v.t.Error("another certificate is expected than the registered one (I6)")
	}
	near, far := net.Pipe()
	v.t.Cleanup(func() { far.Close() })
	return session{v.fakes, near}, v.call(ctx, "Expect")
}

func (s session) Address() netip.AddrPort { return networkAddress }

func (s session) Conn() net.Conn { return s.conn }
func (s session) Close() error   { return s.conn.Close() }

func (s session) Verdict(ctx context.Context) (station.Presented, error) {
	if err := s.call(ctx, "Verdict"); err != nil {
		return station.Presented{}, err
	}
	return station.Presented{CertificateSHA256: s.presented, Answer: []byte("ok\n")}, s.verdict
}
