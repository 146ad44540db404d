package registry_test

import (
	"crypto"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"hallmark/devices"
	"hallmark/station/issuance"
	"hallmark/station/registry"
)

// counted is a Signer that counts its signatures.
type counted struct {
	crypto.Signer
	n *atomic.Int64
}

func (c counted) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	c.n.Add(1)
	return c.Signer.Sign(random, digest, opts)
}

// outcome is what one of two concurrent calls returned.
type outcome struct {
	certificate *issuance.Certificate
	err         error
}

// A board has one Run at a time: the admission of the second Run ends the first, at
// whatever point the first is. The second Run gets a certificate in any case. If the
// certificate of the first Run was stored before, the second gets the same one.
func TestTwoRunsOfOneBoardRaceForTheIntent(t *testing.T) {
	var signed atomic.Int64
	l := newTestIssuer(t, counted{newKey(t), &signed})
	for range 100 {
		board, key := devices.BoardID(uuid.New()), newKey(t)
		older, newer := runOf(board), runOf(board)
		must(t, l.registry.Admit(t.Context(), older))
		first, second := requestOf(t, older, key), requestOf(t, newer, key)
		before := signed.Load()
		one, two := both(
			func() (*issuance.Certificate, error) { return l.issue(t.Context(), first) },
			func() (*issuance.Certificate, error) {
				if err := l.registry.Admit(t.Context(), newer); err != nil {
					return nil, err
				}
				return l.issue(t.Context(), second)
			})
		must(t, two.err)
		switch {
		case one.err == nil && (one.certificate.SHA256 != two.certificate.SHA256 || !two.certificate.Stored):
			t.Errorf("both Runs got a certificate, and not the same: %x and %x", one.certificate.Serial, two.certificate.Serial)
		case one.err != nil && !errors.Is(one.err, registry.ErrUnknownRun) && !errors.Is(one.err, issuance.ErrUnresolved):
			t.Errorf("the first Run ends with %v", one.err)
		}
		l.holdsOne(t, board, two.certificate, signed.Load()-before)
	}
	_, err := l.registry.VerifyAudit(t.Context(), l.vkey)
	must(t, err)
}

// One of two calls for the same Run writes the intent. The other one is refused with
// ErrInFlight, or gets the certificate of the first.
func TestTwoCallsForOneRunRaceForTheIntent(t *testing.T) {
	var signed atomic.Int64
	l := newTestIssuer(t, counted{newKey(t), &signed})
	for range 100 {
		request := l.admitted(t)
		issue := func() (*issuance.Certificate, error) { return l.issue(t.Context(), request) }
		before := signed.Load()
		one, two := both(issue, issue)
		if one.err != nil {
			one, two = two, one
		}
		must(t, one.err)
		if !errors.Is(two.err, issuance.ErrInFlight) && (two.err != nil || two.certificate.SHA256 != one.certificate.SHA256) {
			t.Errorf("the second call got %+v, %v", two.certificate, two.err)
		}
		if n := signed.Load() - before; n != 1 {
			t.Errorf("%d signatures, want 1", n)
		}
		l.holdsOne(t, request.BoardID, one.certificate, 1)
	}
	_, err := l.registry.VerifyAudit(t.Context(), l.vkey)
	must(t, err)
}

// both calls two functions at once.
func both(one, two func() (*issuance.Certificate, error)) (first, second outcome) {
	var wait sync.WaitGroup
	start := make(chan struct{})
	for into, do := range map[*outcome]func() (*issuance.Certificate, error){&first: one, &second: two} {
		wait.Go(func() {
			<-start
			into.certificate, into.err = do()
		})
	}
	close(start)
	wait.Wait()
	return first, second
}

// holdsOne checks that the registry has exactly one certificate for the board, and at
// least one intent for each signature.
func (l *testIssuer) holdsOne(t *testing.T, board devices.BoardID, certificate *issuance.Certificate, signatures int64) {
	t.Helper()
	rows, err := l.registry.Certificates(t.Context(), registry.Filter{BoardID: board})
	must(t, err)
	stored := 0
	for _, row := range rows {
		if row.DER != nil && string(row.DER) == string(certificate.DER) {
			stored++
		} else if row.DER != nil || row.Status != "unresolved" && row.Status != "failed" {
			t.Errorf("beside it stands %s, %s", row.Serial, row.Status)
		}
	}
	if stored != 1 || signatures > int64(len(rows)) {
		t.Errorf("%d certificates are stored, %d intents for %d signatures", stored, len(rows), signatures)
	}
}
