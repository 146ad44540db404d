// Package issuance turns a checked CSR into a certificate: profile, checks,
// intent, signature. It holds no key (it is given a crypto.Signer) and no
// database (what must be durable goes to a [Store]).
//
// [Issuer.Check] either refuses a CSR with one of the refusals in errors.go or
// gives a [Grant], which is good for one signature on one exact TBS.
// [Issuer.Sign] redeems it: write the intent (I1) or find the stored certificate (I9), have
// the HSM sign, check what came back, store the result.
package issuance

import (
	"context"
	"time"

	"hallmark/devices"
)

// Key identifies a request: the same Key again gets the stored certificate
// and no second signature (I9).
type Key struct {
	BoardID       devices.BoardID
	Purpose       devices.Purpose
	SPKISHA256    [32]byte
	ProfileSHA256 [32]byte // of the canonical profile
	IssuerSHA256  [32]byte // SHA-256 of the issuer's SubjectPublicKeyInfo
}

// Intent is written before anything is signed (I1).
type Intent struct {
	Key
	Run       string   // the Run that asks, a UUID
	Serial    [16]byte // first two bits 01, so always 16 octets and positive (I2)
	TBSSHA256 [32]byte
	Profile   string
	NotBefore time.Time
	NotAfter  time.Time
	CSRSHA256 [32]byte
	Rework    bool // an active certificate for the key exists and will be superseded at record
}

// Store is the durable memory of issuing. Implementations make each call one
// durable transaction together with its audit entry: when it returns nil, both
// survive a power cut. Concurrent calls are safe.
type Store interface {
	// Intend writes the intent and gives nothing, or it writes nothing and gives
	// the stored certificate that answers the request (I9). For a first enrolment
	// that is the active certificate, else one that was issued and not yet
	// activated; for a rework only the latter, because the rework replaces the
	// active one. A certificate that has ended answers nothing.
	//
	// It refuses with ErrSerialTaken a serial number that was ever used (I2), with
	// ErrKeyElsewhere a public key that belongs to another BoardID or a BoardID
	// that has another key (I4), with ErrInFlight a second intent while one is
	// open, with ErrTLSFirst another key than the TLS key while the board has no
	// active certificate for its TLS key. Unless the intent is a rework it also
	// refuses with ErrAlreadyActive a second certificate for the same (BoardID,
	// purpose) (I3), and with ErrRevoked a board whose certificate was revoked.
	Intend(ctx context.Context, in Intent) (stored []byte, err error)
	// Issued stores the certificate that answers the intent with this serial number.
	Issued(ctx context.Context, serial [16]byte, der []byte) error
	// Failed closes an intent that has no certificate; its serial number stays
	// burned. If cause is ErrUnresolved something may have been signed: the
	// serial number is listed as possibly issued and treated as revoked (I10).
	// Otherwise certainly nothing was.
	Failed(ctx context.Context, serial [16]byte, cause error) error
}
