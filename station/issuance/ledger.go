// Package issuance turns a checked CSR into a certificate: profile, checks,
// intent, signature. It holds no key (it is given a crypto.Signer) and no
// database (what must be durable it asks of a [Ledger]).
package issuance

import (
	"context"
	"errors"
	"time"
)

// Purpose names what a key of a board is for; a board has at most one active
// certificate for each (I3).
type Purpose string

// PurposeTLS is the TLS client key.
const PurposeTLS Purpose = "tls"

// Key identifies a request: the same Key again gets the stored certificate
// and no second signature (I9).
type Key struct {
	BoardID       string // as devices.BoardID.String
	Purpose       Purpose
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
	Rework    bool // an active certificate for the key exists and will be revoked at record
}

// Ledger is the durable memory of issuing. Implementations make each call one
// durable transaction together with its audit entry: when it returns nil, both
// survive a power cut. Concurrent calls are safe.
type Ledger interface {
	// Stored returns the certificate that was issued for this key and is not
	// revoked, or ErrNotIssued.
	Stored(ctx context.Context, key Key) (der []byte, err error)
	// Intend records the intent. It refuses with ErrSerialTaken a serial number
	// that was ever used (I2), with ErrKeyElsewhere a public key that belongs
	// to another BoardID or a BoardID that has another key (I4), and with
	// ErrAlreadyActive a second certificate for the same (BoardID, purpose)
	// unless the intent is a rework (I3).
	Intend(ctx context.Context, in Intent) error
	// Issued stores the certificate that answers the intent with this serial number.
	Issued(ctx context.Context, serial [16]byte, der []byte) error
	// Failed closes an intent for which certainly nothing was signed; its
	// serial number stays burned.
	Failed(ctx context.Context, serial [16]byte, reason string) error
}

// Sentinels of the ledger.
var (
	ErrNotIssued     = errors.New("no certificate is issued for this key")
	ErrSerialTaken   = errors.New("serial number was used before")
	ErrKeyElsewhere  = errors.New("public key and BoardID do not belong together")
	ErrAlreadyActive = errors.New("the board has an active certificate for this purpose")
)
