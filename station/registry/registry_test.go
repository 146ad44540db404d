package registry

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"hallmark/devices"
	"hallmark/station"
	"hallmark/station/audit"
	"hallmark/station/issuance"
)

// testRegistry is a registry with genesis, and what is needed to use it.
type testRegistry struct {
	*Registry
	t    testing.TB
	path string
	key  *ecdsa.PrivateKey // audit key
	vkey string
	now  func() time.Time

	bodies Bodies // of archived entries; nil: there are none
	until  int64  // bodies has the entries before this one
}

const origin = "hallmark.test/line"

func newTestRegistry(t testing.TB) *testRegistry {
	t.Helper()
	b := &testRegistry{t: t, path: filepath.Join(t.TempDir(), "registry.db"), key: newKey(t), now: time.Now}
	b.open()
	vkey, err := b.Genesis(t.Context(), Genesis{Origin: origin, AuditKey: b.key.Public()})
	if err != nil {
		t.Fatal(err)
	}
	b.vkey = vkey
	b.must(b.Checkpoint(t.Context(), origin, b.key))
	return b
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (b *testRegistry) config() Config {
	return Config{Path: b.path, Station: "line-1", Now: func() time.Time { return b.now() }}
}

func (b *testRegistry) open() {
	b.t.Helper()
	r, err := Open(b.t.Context(), b.config())
	if err != nil {
		b.t.Fatal(err)
	}
	b.Registry = r
	b.t.Cleanup(func() { _ = r.Shutdown() })
}

func (b *testRegistry) reopen() {
	b.t.Helper()
	if err := b.Shutdown(); err != nil {
		b.t.Fatal(err)
	}
	b.open()
}

// run gives a Run of a new board, admitted.
func (b *testRegistry) run() *station.Run {
	b.t.Helper()
	run := newRun(devices.BoardID(uuid.New()), "hardware")
	b.must(b.Admit(b.t.Context(), run))
	return run
}

// closeRun is Close for tests that do not look at the outcome.
func (r *Registry) closeRun(ctx context.Context, run *station.Run) error {
	_, err := r.Close(ctx, run)
	return err
}

func (b *testRegistry) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func newRun(id devices.BoardID, hardware string) *station.Run {
	return &station.Run{ID: uuid.New(), Bay: "bay-1", Purpose: devices.PurposeTLS, Identity: &devices.Identity{
		ID: id, HardwareID: devices.HardwareID(hardware), BoardType: "posix", Firmware: "1.0.0", HUK: devices.HUKTFM, Caller: -1,
	}}
}

// intent makes an intent for this Run. The key is the same for the same board and purpose.
func intent(run *station.Run) issuance.Intent {
	key := run.Identity.ID.String()
	if run.Purpose != devices.PurposeTLS {
		key += string(run.Purpose)
	}
	in := issuance.Intent{
		Key: issuance.Key{
			BoardID: run.Identity.ID, Purpose: run.Purpose,
			SPKISHA256: sha256.Sum256([]byte(key)), ProfileSHA256: sha256.Sum256([]byte("profile")), IssuerSHA256: sha256.Sum256([]byte("issuer")),
		},
		Run: run.ID.String(), Profile: "linaro", NotBefore: time.Unix(1e9, 0), NotAfter: time.Unix(4e9, 0),
		Rework: run.Rework != "",
	}
	in.Serial = [16]byte(uuid.New())
	in.TBSSHA256 = sha256.Sum256(in.Serial[:])
	return in
}

// errAnswered: a stored certificate answers the request, so no intent was written.
var errAnswered = errors.New("a stored certificate answers this request")

// intends writes an intent.
func (b *testRegistry) intends(in issuance.Intent) error {
	stored, err := b.Intend(b.t.Context(), in)
	if stored != nil {
		return errAnswered
	}
	return err
}

// answer gives the stored certificate that answers a request, or nothing.
func (b *testRegistry) answer(key issuance.Key, rework bool) (stored []byte) {
	b.t.Helper()
	b.must(b.write(b.t.Context(), func(w *work) error {
		s, err := w.standingFor(issuance.Intent{Key: key, Rework: rework}, b.now())
		stored = s.stored
		return err
	}))
	return stored
}

// issue takes a Run from Admit to an issued certificate.
func (b *testRegistry) issue(run *station.Run) issuance.Intent {
	b.t.Helper()
	return b.issueAs(run, intent(run))
}

func (b *testRegistry) issueAs(run *station.Run, in issuance.Intent) issuance.Intent {
	b.t.Helper()
	b.must(b.intends(in))
	der := append([]byte("certificate "), in.Serial[:]...)
	b.must(b.Issued(b.t.Context(), in.Serial, der))
	run.Certificate = certificateFor(in.Serial, der)
	return in
}

// proven gives the Run what a Run has that read its certificate back and did a handshake with it.
func proven(run *station.Run) *station.Run {
	run.ReadBack = &run.Certificate.SHA256
	if run.Purpose == devices.PurposeTLS {
		run.Handshake = &station.Presented{CertificateSHA256: run.Certificate.SHA256, TLSVersion: 0x0304, CipherSuite: 0x1301}
	}
	return run
}

func certificateFor(serial [16]byte, der []byte) *issuance.Certificate {
	return &issuance.Certificate{Serial: serial, DER: der, SHA256: sha256.Sum256(der)}
}

// enrol takes a Run from Admit to its Pass.
func (b *testRegistry) enrol(run *station.Run) issuance.Intent {
	b.t.Helper()
	in := b.issue(run)
	b.must(b.Delivered(b.t.Context(), proven(run)))
	b.must(b.Activate(b.t.Context(), run))
	run.Ending = station.Pass
	b.must(b.closeRun(b.t.Context(), run))
	return in
}

// Revoke revokes one certificate, without a preview.
func (b *testRegistry) Revoke(ctx context.Context, serial [16]byte, reason, operator string) error {
	return b.write(ctx, func(w *work) error { return w.revoke(serial, reason, operator, nil) })
}

// stopBay ends the Run as a clone, which stops the bay.
func (b *testRegistry) stopBay(run *station.Run) {
	b.t.Helper()
	run.Ending, run.Reason, run.StopBay = station.Reject, station.ErrClone.Word(), true
	b.must(b.closeRun(b.t.Context(), run))
}

func (b *testRegistry) verify() {
	b.t.Helper()
	if _, err := b.VerifyAudit(context.Background(), b.vkey); err != nil {
		b.t.Fatal(err)
	}
	b.boardsHaveTheirEntries()
}

// boardsHaveTheirEntries compares the entries of each board, which are found without the whole log, with those that the whole log has.
func (b *testRegistry) boardsHaveTheirEntries() {
	b.t.Helper()
	if b.Whole() != nil {
		return // an archive has some of them
	}
	want := map[devices.BoardID][]string{}
	b.must(b.EachEntry(context.Background(), b.AuditSize(), Selection{}, func(e *audit.Entry, _ []byte) error {
		if e.Board != nil && e.Board.ID != "" {
			id := devices.BoardID(uuid.MustParse(e.Board.ID))
			want[id] = append(want[id], fmt.Sprint(e.Seq, " ", e.Type))
		}
		return nil
	}))
	for id, entries := range want {
		var got []string
		b.must(b.EachEntry(context.Background(), b.AuditSize(), Selection{BoardID: id}, func(e *audit.Entry, _ []byte) error {
			got = append(got, fmt.Sprint(e.Seq, " ", e.Type))
			return nil
		}))
		if !slices.Equal(got, entries) {
			b.t.Errorf("board %s has the entries %q, and its birth record would have %q", id, entries, got)
		}
	}
}

func TestACleanRun(t *testing.T) {
	b := newTestRegistry(t)
	in := b.enrol(b.run())
	b.must(b.Checkpoint(t.Context(), origin, b.key))
	b.verify()
	record, err := b.Lookup(t.Context(), in.Serial)
	if err != nil || record.Status != station.StatusActive || record.BoardID != in.BoardID {
		t.Fatalf("got %+v, %v", record, err)
	}
	b.reopen()
	b.verify()
}
