package receipt

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"testing"
)

// signed makes a receipt as a board does, and its key.
func signed(t *testing.T, r Receipt) (signature []byte, key *ecdsa.PublicKey) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := r.payload()
	if err != nil {
		t.Fatal(err)
	}
	octets, err := deterministic.Marshal(signedStructure{Context: "Signature1", Protected: es256Header, External: []byte{}, Payload: payload})
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(octets)
	a, b, err := ecdsa.Sign(rand.Reader, private, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return append(a.FillBytes(make([]byte, 32)), b.FillBytes(make([]byte, 32))...), &private.PublicKey
}

var caller = int32(-1)

var receiptOfTest = Receipt{
	Nonce: make([]byte, 16), Type: Type, Anchor: make([]byte, 32), Boot: []byte("bootboot"), Certificate: bytes.Repeat([]byte{7}, 32), Caller: &caller,
	FirmwareHash: make([]byte, 32), ID: make([]byte, 16), LifeCycle: 1,
}

func TestAReceiptThatWasKeptIsReadAgain(t *testing.T) {
	signature, key := signed(t, receiptOfTest)
	cose, err := receiptOfTest.Attach(signature, key)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Open(cose, key)
	if err != nil || !bytes.Equal(r.Nonce, receiptOfTest.Nonce) || r.Caller == nil || *r.Caller != -1 {
		t.Errorf("%+v, %v", r, err)
	}
}

// Each octet of a COSE_Sign1 counts: after any change it is no receipt, or the signature does not fit.
func TestNoOctetOfAReceiptCanBeChanged(t *testing.T) {
	signature, key := signed(t, receiptOfTest)
	cose, err := receiptOfTest.Attach(signature, key)
	if err != nil {
		t.Fatal(err)
	}
	for at := range cose {
		for _, bit := range []byte{1, 0x20, 0x80} {
			changed := bytes.Clone(cose)
			changed[at] ^= bit
			if _, err := Open(changed, key); !errors.Is(err, ErrNotReceipt) && !errors.Is(err, ErrDiffers) {
				t.Fatalf("octet %d, bit %#x: %v", at, bit, err)
			}
		}
	}
	for size := range cose {
		if _, err := Open(cose[:size], key); err == nil {
			t.Fatalf("cut to %d octets: it holds", size)
		}
	}
	_, other := signed(t, receiptOfTest)
	if _, err := Open(cose, other); !errors.Is(err, ErrDiffers) {
		t.Errorf("another key: %v", err)
	}
}
