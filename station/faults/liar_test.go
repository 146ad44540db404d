package faults_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"testing"

	"hallmark/devices"
	"hallmark/station"
	"hallmark/station/issuance"
	"hallmark/station/reason"
)

// A liar is a real board that answers the request for a CSR with a lie.
type liar struct {
	*devices.Client
	csr lie
}

// A lie returns the false answer. honest is the real board.
type lie func(ctx context.Context, honest *devices.Client, nonce [devices.NonceSize]byte, subject devices.Subject) ([]byte, error)

func (l liar) CSR(ctx context.Context, _ devices.Purpose, nonce [devices.NonceSize]byte, subject devices.Subject) ([]byte, error) {
	return l.csr(ctx, l.Client, nonce, subject)
}

// changed returns a lie that changes the answer of the real board.
func changed(change func(der []byte) []byte) lie {
	return func(ctx context.Context, honest *devices.Client, nonce [devices.NonceSize]byte, subject devices.Subject) ([]byte, error) {
		der, err := honest.CSR(ctx, devices.PurposeTLS, nonce, subject)
		if err != nil {
			return nil, err
		}
		return change(der), nil
	}
}

// withKey returns a lie with a CSR for a key that is not in the board, as malicious firmware could send it.
func withKey(t *testing.T, key *ecdsa.PrivateKey) lie {
	return changed(func(der []byte) []byte { return signedBy(t, key, der) })
}

func TestABoardThatLiesInItsCSRGetsNoCertificate(t *testing.T) {
	l := newEnvironment(t, nil)
	other := l.good(t)
	t.Cleanup(func() {
		if err := other.Close(); err != nil {
			t.Error(err)
		}
	})
	p384 := must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))(t)
	for _, test := range []struct {
		name string
		lie  lie
		want *reason.Sentinel
	}{
		{"with a nonce of its own", func(ctx context.Context, honest *devices.Client, nonce [devices.NonceSize]byte, subject devices.Subject) ([]byte, error) {
			nonce[0] ^= 1
			return honest.CSR(ctx, devices.PurposeTLS, nonce, subject)
		}, issuance.ErrNonceWrong},
		{"with a signature that does not verify", changed(func(der []byte) []byte { der[len(der)-1] ^= 1; return der }), issuance.ErrSignature},
		{"with a nonce that was changed after signing", changed(func(der []byte) []byte { der[len(der)-90] ^= 1; return der }), issuance.ErrSignature},
		{"with a key on another curve", withKey(t, p384), issuance.ErrKeyNotP256},
		{"with another subject", func(ctx context.Context, honest *devices.Client, nonce [devices.NonceSize]byte, subject devices.Subject) ([]byte, error) {
			subject.Organization += "s"
			return honest.CSR(ctx, devices.PurposeTLS, nonce, subject)
		}, issuance.ErrSubject},
		{"that another board made", func(ctx context.Context, _ *devices.Client, nonce [devices.NonceSize]byte, subject devices.Subject) ([]byte, error) {
			return other.CSR(ctx, devices.PurposeTLS, nonce, subject)
		}, issuance.ErrBoardID},
		{"that is cut short", changed(func(der []byte) []byte { return der[:len(der)/2] }), issuance.ErrNotDER},
		{"that is followed by more", changed(func(der []byte) []byte { return append(der, 5, 0) }), issuance.ErrTrailing},
	} {
		t.Run(test.name, func(t *testing.T) {
			bay, board, asked := l.bay("bay"), l.good(t), l.asked.Load()
			run := bay.enrol(t, liar{board.Client, test.lie}, board)
			ends(t, run, station.Reject, test.want.Word())
			if !errors.Is(run.Err, test.want) || l.asked.Load() != asked {
				t.Errorf("refused with %v, after %d signatures", run.Err, l.asked.Load()-asked)
			}
			bay.passes(t)
			l.checkInvariants(t)
		})
	}
}

// TestAKeyOfAnotherBoardStopsTheBay checks I4: the firmware of two boards asks for a certificate for the same key.
func TestAKeyOfAnotherBoardStopsTheBay(t *testing.T) {
	l := newEnvironment(t, nil)
	bay := l.bay("bay")
	shared := withKey(t, must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t))
	first, second := l.good(t), l.good(t)
	// The real firmware of the first board refuses to store a certificate for another key.
	ends(t, bay.enrol(t, liar{first.Client, shared}, first), station.Reject, devices.ErrForeignKey.Word())
	bay.stops(t, liar{second.Client, shared}, second, "key-elsewhere")
	if l.asked.Load() != 1 {
		t.Errorf("%d signatures", l.asked.Load())
	}
	bay.passes(t)
	l.checkInvariants(t)
}

// stops checks that the board is rejected for a reason that stops the bay until an operator
// acknowledges. Then it acknowledges.
func (b *bay) stops(t *testing.T, board station.Board, p plugged, reason string) {
	t.Helper()
	ends(t, b.enrol(t, board, p), station.Reject, reason)
	if b.place.Stopped() == nil {
		t.Fatal("the bay goes on")
	}
	next := b.good(t)
	ends(t, b.enrol(t, next, next), station.Aborted, "bay-stopped")
	if err := next.Close(); err != nil { // the stopped bay never opened this board
		t.Error(err)
	}
	b.place.Acknowledge()
}
