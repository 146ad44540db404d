package devices

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"

	"github.com/fxamacker/cbor/v2"

	"hallmark/devices/smp"
	"hallmark/station/reason"
)

// ReceiptType is `t` of a receipt's payload.
const ReceiptType = "hallmark receipt 1"

// A Receipt is the payload of a board's receipt (PROTOCOL.md section 4, "receipt"): what the board is and holds, as it signs it
// with the key of its certificate.
type Receipt struct {
	Nonce        []byte `cbor:"n"`  // 16 octets, of the station
	Type         string `cbor:"t"`  // ReceiptType
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

// ExpectedReceipt is the receipt that a board should give which is what it says in hello, holds this certificate (DER) and trust
// anchor, and has not restarted.
func ExpectedReceipt(id Identity, nonce [NonceSize]byte, certificate, anchor []byte) Receipt {
	certificateHash, anchorHash := sha256.Sum256(certificate), sha256.Sum256(anchor)
	r := Receipt{
		Nonce: nonce[:], Type: ReceiptType, Anchor: anchorHash[:], Boot: bytes.Clone(id.Boot[:]), Certificate: certificateHash[:],
		FirmwareHash: bytes.Clone(id.FirmwareHash[:]), HUK: uint8(id.HUK), ID: bytes.Clone(id.ID[:]),
	}
	if id.HUK.HasCaller() {
		r.Caller = &id.Caller
	}
	if id.Sealed {
		r.LifeCycle = 1
	}
	return r
}

// Errors of a receipt.
var (
	ErrNotReceipt = errors.New("not a COSE_Sign1 of a receipt")
	ErrReceiptKey = reason.New("receipt-differs", "the board's receipt is signed with another key, or is about something else than it says and holds")
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

// Attach puts the receipt and the board's signature together to a COSE_Sign1. Errors: ErrReceiptKey.
func (r Receipt) Attach(signature []byte, key *ecdsa.PublicKey) ([]byte, error) {
	payload, err := r.payload()
	if err != nil {
		return nil, fmt.Errorf("encoding the receipt: %w", err)
	}
	if err := verifyReceipt(payload, signature, key); err != nil {
		return nil, err
	}
	return deterministic.Marshal(cbor.Tag{Number: sign1Tag, Content: sign1{
		Protected: es256Header, Unprotected: map[int]cbor.RawMessage{}, Payload: payload, Signature: signature}})
}

// verifyReceipt checks the signature over the Sig_structure of RFC 9052 section 4.4.
func verifyReceipt(payload, signature []byte, key *ecdsa.PublicKey) error {
	signed, err := deterministic.Marshal(signedStructure{Context: "Signature1", Protected: es256Header, External: []byte{}, Payload: payload})
	if err != nil {
		return fmt.Errorf("encoding what is signed: %w", err)
	}
	const size = 32 // octets of r and of s (RFC 9053 section 2.1)
	digest := sha256.Sum256(signed)
	if len(signature) != 2*size ||
		!ecdsa.Verify(key, digest[:], new(big.Int).SetBytes(signature[:size]), new(big.Int).SetBytes(signature[size:])) {
		return ErrReceiptKey
	}
	return nil
}

// OpenReceipt reads a COSE_Sign1 and checks its signature. Errors: ErrNotReceipt, ErrReceiptKey.
func OpenReceipt(cose []byte, key *ecdsa.PublicKey) (Receipt, error) {
	var tag cbor.RawTag
	var s sign1
	if err := exact.Unmarshal(cose, &tag); err != nil || tag.Number != sign1Tag || exact.Unmarshal(tag.Content, &s) != nil {
		return Receipt{}, ErrNotReceipt
	}
	var r Receipt
	if !bytes.Equal(s.Protected, es256Header) || len(s.Unprotected) != 0 || exact.Unmarshal(s.Payload, &r) != nil || r.Type != ReceiptType {
		return Receipt{}, ErrNotReceipt
	}
	if again, err := r.payload(); err != nil || !bytes.Equal(again, s.Payload) {
		return Receipt{}, fmt.Errorf("%w: its payload is not in the one form", ErrNotReceipt)
	}
	return r, verifyReceipt(s.Payload, s.Signature, key)
}

// Receipt asks the board to sign what it is and holds. The payload does not pass over the UART: expected is what the station
// knows, without Type, and ErrReceiptKey says that the board signed something else, or with another key. Only a board with
// CanReceipt can do this. Lock is the board's answer.
func (c *Client) Receipt(ctx context.Context, expected Receipt, key *ecdsa.PublicKey) (cose []byte, err error) {
	release, err := c.acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	var response smp.ReceiptResponse
	if err := c.ask(ctx, &smp.Receipt{Nonce: expected.Nonce}, &response); err != nil {
		return nil, fmt.Errorf("asking for a receipt: %w", err)
	}
	expected.Type, expected.Lock = ReceiptType, response.Lock
	cose, err = expected.Attach(response.Signature, key)
	if err != nil {
		return nil, fmt.Errorf("checking the receipt: %w", err)
	}
	return cose, nil
}
