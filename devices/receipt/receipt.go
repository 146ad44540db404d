// Package receipt reads and checks the receipts that boards sign (PROTOCOL.md section 4, "receipt"). Programs that check evidence
// import it without the rest of package devices.
package receipt

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"

	"github.com/fxamacker/cbor/v2"

	"hallmark/station/reason"
)

// Type is `t` of a receipt's payload.
const Type = "hallmark receipt 1"

// A Receipt is the payload of a board's receipt (PROTOCOL.md section 4, "receipt"): what the board is and holds, as it signs it
// with the key of its certificate.
type Receipt struct {
	Nonce        []byte `cbor:"n"`  // 16 octets, of the station
	Type         string `cbor:"t"`  // Type
	Anchor       []byte `cbor:"ah"` // SHA-256 of the trust anchor in flash
	Boot         []byte `cbor:"bi"`
	Certificate  []byte `cbor:"ch"` // SHA-256 of the certificate in flash
	Caller       *int32 `cbor:"dc,omitempty"`
	FirmwareHash []byte `cbor:"fh"`
	HUK          uint8  `cbor:"hs"`
	ID           []byte `cbor:"id"`
	LifeCycle    uint8  `cbor:"lc"` // 0 open, 1 sealed
	Lock         uint8  `cbor:"lk"` // debug port: 0 unknown, 1 open, 2 locked
}

// Errors of a receipt.
var (
	ErrNotReceipt = errors.New("not a COSE_Sign1 of a receipt")
	ErrDiffers    = reason.New("receipt-differs", "the board's receipt is signed with another key, or is about something else than it says and holds")
)

// es256Header is the protected header {1: -7} (RFC 9052 section 3.1, RFC 9053 section 2.1).
var es256Header = []byte{0xa1, 0x01, 0x26}

// sign1Tag is the CBOR tag of COSE_Sign1 (RFC 9052 section 2).
const sign1Tag = 18

type sign1 struct {
	_           struct{} `cbor:",toarray"`
	Protected   []byte
	Unprotected map[int]cbor.RawMessage
	Payload     []byte
	Signature   []byte
}

type signedStructure struct {
	_         struct{} `cbor:",toarray"`
	Context   string
	Protected []byte
	External  []byte
	Payload   []byte
}

var (
	deterministic = mustMode(cbor.CoreDetEncOptions().EncMode())
	exact         = mustMode(cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, ExtraReturnErrors: cbor.ExtraDecErrorUnknownField, MaxNestedLevels: 4,
	}.DecMode())
)

func mustMode[T any](mode T, err error) T {
	if err != nil {
		panic(err) // constant options
	}
	return mode
}

// payload encodes the receipt as the board does: RFC 8949 section 4.2.1.
func (r Receipt) payload() ([]byte, error) { return deterministic.Marshal(r) }

// Attach puts the receipt and the board's signature together to a COSE_Sign1. Errors: ErrDiffers.
func (r Receipt) Attach(signature []byte, key *ecdsa.PublicKey) ([]byte, error) {
	payload, err := r.payload()
	if err != nil {
		return nil, fmt.Errorf("encoding the receipt: %w", err)
	}
	if err := verify(payload, signature, key); err != nil {
		return nil, err
	}
	return deterministic.Marshal(cbor.Tag{Number: sign1Tag, Content: sign1{
		Protected: es256Header, Unprotected: map[int]cbor.RawMessage{}, Payload: payload, Signature: signature}})
}

// verify checks the signature over the Sig_structure of RFC 9052 section 4.4.
func verify(payload, signature []byte, key *ecdsa.PublicKey) error {
	signed, err := deterministic.Marshal(signedStructure{Context: "Signature1", Protected: es256Header, External: []byte{}, Payload: payload})
	if err != nil {
		return fmt.Errorf("encoding what is signed: %w", err)
	}
	const size = 32 // octets of r and of s (RFC 9053 section 2.1)
	digest := sha256.Sum256(signed)
	if len(signature) != 2*size ||
		!ecdsa.Verify(key, digest[:], new(big.Int).SetBytes(signature[:size]), new(big.Int).SetBytes(signature[size:])) {
		return ErrDiffers
	}
	return nil
}

// formed says whether the values are within the limits of PROTOCOL.md section 4. A board with a damaged store gives no receipt.
func (r Receipt) formed() bool {
	const hash = 32
	return r.Type == Type && len(r.Nonce) == 16 && len(r.Anchor) == hash && len(r.Boot) == 8 && len(r.Certificate) == hash &&
		len(r.FirmwareHash) == hash && r.HUK <= 4 && len(r.ID) == 16 && r.LifeCycle <= 1 && r.Lock <= 2
}

// Open reads a COSE_Sign1 and checks its signature. Errors: ErrNotReceipt, ErrDiffers.
func Open(cose []byte, key *ecdsa.PublicKey) (Receipt, error) {
	var tag cbor.RawTag
	var s sign1
	if err := exact.Unmarshal(cose, &tag); err != nil || tag.Number != sign1Tag || exact.Unmarshal(tag.Content, &s) != nil {
		return Receipt{}, ErrNotReceipt
	}
	var r Receipt
	if !bytes.Equal(s.Protected, es256Header) || len(s.Unprotected) != 0 || exact.Unmarshal(s.Payload, &r) != nil || !r.formed() {
		return Receipt{}, ErrNotReceipt
	}
	if again, err := r.payload(); err != nil || !bytes.Equal(again, s.Payload) {
		return Receipt{}, fmt.Errorf("%w: its payload is not in the one form", ErrNotReceipt)
	}
	return r, verify(s.Payload, s.Signature, key)
}
