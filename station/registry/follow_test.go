package registry

import (
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/uuid"

	"hallmark/devices"
	"hallmark/station"
)

// follow opens the registry as a server does.
func (b *testRegistry) follow() *Follower {
	b.t.Helper()
	f, err := OpenFollower(b.t.Context(), b.path)
	b.must(err)
	b.t.Cleanup(func() { b.must(f.Close()) })
	return f
}

// CRL and OCSP say the same of a certificate, whatever its status is, and a server sees each change at once.
func TestAServerAndACRLAgreeOnEachStatus(t *testing.T) {
	for _, test := range []struct {
		name   string
		do     func(b *testRegistry, run *station.Run) [16]byte
		status string
		reason string // empty: verifiers accept the certificate
		code   int
		known  bool
	}{
		{"intended", func(b *testRegistry, run *station.Run) [16]byte {
			in := intent(run)
			b.must(b.intends(in))
			return in.Serial
		}, "", "", 0, false},
		{"unresolved", func(b *testRegistry, run *station.Run) [16]byte {
			in := intent(run)
			b.must(b.intends(in))
			b.reopen() // a start closes the open intent
			return in.Serial
		}, "unresolved", "", 0, false},
		{"issued", func(b *testRegistry, run *station.Run) [16]byte { return b.issue(run).Serial }, "issued", "", 0, true},
		{"delivered", func(b *testRegistry, run *station.Run) [16]byte {
			in := b.issue(run)
			b.must(b.Delivered(b.t.Context(), proven(run)))
			return in.Serial
		}, "delivered", "", 0, true},
		{"active", func(b *testRegistry, run *station.Run) [16]byte { return b.enrol(run).Serial }, "active", "", 0, true},
		{"superseded", func(b *testRegistry, run *station.Run) [16]byte {
			in := b.enrol(run)
			next := again(run, "repair")
			b.must(b.Admit(b.t.Context(), next))
			b.enrol(next)
			return in.Serial
		}, "superseded", "superseded", 4, true},
		{"revoked for a reason of RFC 5280", func(b *testRegistry, run *station.Run) [16]byte {
			in := b.enrol(run)
			b.must(b.Revoke(b.t.Context(), in.Serial, ReasonKeyCompromise, "ann"))
			return in.Serial
		}, "revoked", "keyCompromise", 1, true},
		{"revoked for another reason", func(b *testRegistry, run *station.Run) [16]byte {
			in := b.enrol(run)
			b.must(b.Revoke(b.t.Context(), in.Serial, "stolen", "ann"))
			return in.Serial
		}, "revoked", "unspecified", 0, true},
		{"scrapped", func(b *testRegistry, run *station.Run) [16]byte {
			in := b.enrol(run)
			b.scraps(Which{BoardID: run.Identity.ID})
			return in.Serial
		}, "scrapped", "cessationOfOperation", 5, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newTestRegistry(t)
			f := b.follow() // before all that follows
			run := b.run()
			serial := test.do(b, run)
			got, err := f.Status(t.Context(), serial)
			if test.status == "" {
				if !errors.Is(err, station.ErrUnknownCertificate) {
					t.Errorf("got %+v, %v", got, err)
				}
				return
			}
			b.must(err)
			if got.Status != test.status || got.BoardID != run.Identity.ID || (got.Revocation != nil) != (test.reason != "") || (got.Revocation != nil || got.Known()) != test.known {
				t.Errorf("got %+v", got)
			}
			list, err := b.Revoked(t.Context(), got.Issuer)
			b.must(err)
			if listed := len(list) == 1 && list[0].SerialNumber.Cmp(new(big.Int).SetBytes(serial[:])) == 0; listed != (test.reason != "") {
				t.Fatalf("the CRL has %v", list)
			}
			if test.reason != "" && (got.Revocation.Reason != test.reason || got.Revocation.Code != test.code || list[0].ReasonCode != test.code || !list[0].RevocationTime.Equal(got.Revocation.Time)) {
				t.Errorf("got %+v, the CRL %+v", got.Revocation, list[0])
			}
			board, err := f.Board(t.Context(), run.Identity.ID)
			b.must(err)
			if board.Type != "posix" || len(board.Certificates) == 0 || board.Certificates[0].Serial != serial || (board.Scrapped != "") != (test.status == "scrapped") {
				t.Errorf("got %+v", board)
			}
		})
	}
}

func TestWhatAServerDoesNotKnow(t *testing.T) {
	b := newTestRegistry(t)
	f := b.follow()
	if _, err := f.Status(t.Context(), [16]byte{1}); !errors.Is(err, station.ErrUnknownCertificate) {
		t.Errorf("got %v", err)
	}
	if _, err := f.Board(t.Context(), devices.BoardID(uuid.New())); !errors.Is(err, ErrUnknownBoard) {
		t.Errorf("got %v", err)
	}
}

// A server gives no answer from a registry that no station writes any more, or from one that is older than its mark.
func TestARegistryThatNobodyWritesIsNotServed(t *testing.T) {
	b := newTestRegistry(t)
	first := b.enrol(b.run())
	older := filepath.Join(t.TempDir(), "registry.db")
	b.must(copyTo(t.Context(), b.writer.conn, older))
	b.enrol(b.run())
	b.must(b.Shutdown())
	f := b.follow()
	if _, err := f.Status(t.Context(), first.Serial); err != nil {
		t.Errorf("the registry of a closed station: %v", err)
	}
	b.must(os.Rename(older, b.path))
	if _, err := f.Status(t.Context(), first.Serial); !errors.Is(err, ErrNotFollowed) {
		t.Errorf("a registry that was replaced: %v", err)
	}
	if _, err := OpenFollower(t.Context(), b.path); !errors.Is(err, ErrOlder) {
		t.Errorf("a registry that is older than its mark: %v", err)
	}
}

func TestACopyOfARegistryIsNotServed(t *testing.T) {
	b := newTestRegistry(t)
	b.enrol(b.run())
	running := b.readOnlyCopy("", "-wal")
	b.must(b.Shutdown())
	for name, path := range map[string]string{"of a killed station": running, "of a closed station": b.readOnlyCopy("")} {
		if f, err := OpenFollower(t.Context(), path); !errors.Is(err, ErrNotFollowed) {
			t.Errorf("%s: %v, %v", name, f, err)
		}
	}
}
