package workorder

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"reflect"
	"time"

	"hallmark/station/reason"
)

// SignatureSuffix is added to the name of an order file for its signature: ECDSA with SHA-256 in DER, as openssl makes it.
const SignatureSuffix = ".sig"

// maxSignature bounds a signature, in octets. An ECDSA signature with P-256 in DER has at most 72.
const maxSignature = 128

// A Signed is an order file with its signature.
type Signed struct{ File, Signature []byte }

// An Owner is the public key of the owner of a product.
type Owner struct {
	Key    *ecdsa.PublicKey
	SPKI   []byte            // SubjectPublicKeyInfo, DER
	SHA256 [sha256.Size]byte // of SPKI
}

// NewOwner refuses keys that are not ECDSA P-256.
func NewOwner(public crypto.PublicKey) (Owner, error) {
	key, ok := public.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return Owner{}, errors.New("want an ECDSA key on the curve P-256")
	}
	spki, err := x509.MarshalPKIXPublicKey(key)
	return Owner{key, spki, sha256.Sum256(spki)}, err
}

// ParseOwner reads the public key of an owner (PEM). A private key does not belong on a station.
func ParseOwner(text []byte) (Owner, error) {
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "PUBLIC KEY" || len(bytes.TrimSpace(rest)) > 0 {
		return Owner{}, errors.New("want one public key in PEM, as `openssl pkey -in owner.pem -pubout` writes it")
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return Owner{}, errors.New("the public key in PEM cannot be read")
	}
	return NewOwner(public)
}

// Sign signs an order file. The signed file is the given one with a last line that names the owner's key. An order that has ended at now is refused, because no
// station takes it.
func Sign(name string, text []byte, key crypto.Signer, random io.Reader, now time.Time) (Signed, *Order, error) {
	owner, err := NewOwner(key.Public())
	if err != nil {
		return Signed{}, nil, reason.Usage(fmt.Errorf("--key: %w", err))
	}
	text, order, err := withOwner(name, text, owner)
	if err != nil {
		return Signed{}, nil, err
	}
	if !order.Until.After(now) {
		return Signed{}, nil, fmt.Errorf("%s: %w: until: %s has passed (it is %s on this machine), and no station takes an order that has ended", name, ErrFile,
			order.Until.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	sum := sha256.Sum256(text)
	signature, err := key.Sign(random, sum[:], crypto.SHA256)
	if err != nil {
		return Signed{}, nil, fmt.Errorf("signing the order: %w", err)
	}
	made := Signed{text, signature}
	_, _, err = made.Verify(name, []Owner{owner})
	return made, order, err
}

// withOwner adds the line that names the key of the owner, unless the file has the line.
func withOwner(name string, text []byte, owner Owner) ([]byte, *Order, error) {
	before, err := Parse(name, text)
	if err != nil {
		return nil, nil, err
	}
	switch before.Owner {
	case owner.SHA256:
		return text, before, nil
	case [sha256.Size]byte{}:
	default:
		return nil, nil, fmt.Errorf("%s: %w: owner names another key than --key", name, ErrFile)
	}
	if !bytes.HasSuffix(text, []byte("\n")) {
		text = append(bytes.Clone(text), '\n')
	}
	signed := fmt.Appendf(bytes.Clone(text), "owner: %x\n", owner.SHA256)
	after, err := Parse(name, signed)
	if err != nil {
		return nil, nil, fmt.Errorf("%w; write each key of the order on a line of its own, because a line with the owner's key is added", err)
	}
	before.Owner, before.SHA256 = owner.SHA256, after.SHA256
	if !reflect.DeepEqual(before, after) {
		return nil, nil, fmt.Errorf("%s: %w: the line with the owner's key does not fit below the last line", name, ErrFile)
	}
	return signed, after, nil
}

// Verify checks the signature, and gives the order and its owner, who is one of owners.
func (s Signed) Verify(name string, owners []Owner) (*Order, Owner, error) {
	if len(s.File) > MaxFile || len(s.Signature) > maxSignature {
		return nil, Owner{}, fmt.Errorf("%s: %w: the file has %d octets and the signature %d, want at most %d and %d",
			name, ErrFile, len(s.File), len(s.Signature), MaxFile, maxSignature)
	}
	order, err := Parse(name, s.File)
	if err != nil {
		return nil, Owner{}, err
	}
	if order.Owner == [sha256.Size]byte{} {
		return nil, Owner{}, fmt.Errorf("%s: %w: it does not name its owner; sign it with `station order sign`", name, ErrFile)
	}
	for _, owner := range owners {
		if owner.SHA256 != order.Owner {
			continue
		}
		if !ecdsa.VerifyASN1(owner.Key, order.SHA256[:], s.Signature) {
			return nil, Owner{}, fmt.Errorf("%s: %w", name, ErrForged)
		}
		return order, owner, nil
	}
	return nil, Owner{}, fmt.Errorf("%s: %w: its key is %s", name, ErrOwner, hex.EncodeToString(order.Owner[:]))
}
