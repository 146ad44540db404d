// Package issuance checks a CSR and issues a certificate for it. It has no key and no
// database of its own: the caller gives it a crypto.Signer, and a [Store] for
// everything that must be durable.
//
// [Issuer.Check] refuses a CSR with one of the refusals in errors.go, or gives a
// [Grant], which allows one signature on one exact TBSCertificate. [Issuer.Sign]
// redeems the Grant: the Store writes the intent (I1) or finds the stored certificate
// (I9), the HSM signs, the certificate is checked, the Store keeps it.
package issuance

import (
	"context"
	"time"

	"hallmark/devices"
)

// Key identifies a request. A second request with the same Key gets the stored
// certificate, and no second signature (I9).
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
	Algorithm string // of the board's key, as its profile names it; empty: devices.AlgorithmP256
	NotBefore time.Time
	NotAfter  time.Time
	CSRSHA256 [32]byte
	Rework    bool // the new certificate will supersede the active one when the Run records it
}

// Store is the durable memory of issuing. Implementations make each call one
// durable transaction together with its audit entry: when it returns nil, both
// survive a power cut. Concurrent calls are safe.
type Store interface {
	// Intend does one of two things. It writes the intent and returns nil, or it writes
	// nothing and returns the stored certificate that answers the request (I9). For a
	// first enrolment that is the active certificate, or else a certificate that was
	// issued and not yet activated. For a rework it is only the latter, because the
	// rework replaces the active certificate. An expired certificate answers nothing.
	//
	// Intend refuses
	//   - a serial number that was used before (I2): ErrSerialTaken;
	//   - a public key of another board, and a board that has another key for this
	//     purpose (I4): ErrKeyElsewhere;
	//   - a second intent while the first is open: ErrInFlight;
	//   - any key but the TLS key, while the board has no active certificate for its
	//     TLS key: ErrTLSFirst;
	//   - a second certificate beside an active one (I3), unless it is a rework:
	//     ErrAlreadyActive;
	//   - a board whose certificate was revoked, unless it is a rework: ErrRevoked.
	Intend(ctx context.Context, in Intent) (stored []byte, err error)
	// Issued stores the certificate for the intent with this serial number.
	Issued(ctx context.Context, serial [16]byte, der []byte) error
	// Failed closes an intent that has no certificate. Its serial number is never used
	// again. If cause wraps ErrUnresolved, the HSM may have signed: the serial number
	// is then listed as possibly issued, and treated as revoked (I10). Any other cause
	// means that certainly nothing was signed.
	Failed(ctx context.Context, serial [16]byte, cause error) error
}
