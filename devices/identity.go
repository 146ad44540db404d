package devices

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"sync"

	"hallmark/station/reason"
)

// Labels of the identity ABI, PROTOCOL.md section 5. They are frozen.
const (
	labelBoardID = "UUID"
	labelTLS     = "HUK_CLIENT_TLS_EC_PRIV_KEY"
	labelCOSE    = "HUK_COSE_EC_PRIV_KEY"
)

// HUKSize is the length of a hardware unique key in octets.
const HUKSize = 32

// ErrHUKSize: a HUK has 32 octets.
var ErrHUKSize = reason.New("huk-size", "a hardware unique key has 32 octets")

// errNoScalar cannot happen with any HUK that exists: its chance is 2^-256.
var errNoScalar = errors.New("no private key in the key stream")

// Derived is the public part of what a board derives from its HUK.
type Derived struct {
	ID   BoardID
	TLS  *ecdsa.PublicKey // presented in the handshake and in the CSR
	COSE *ecdsa.PublicKey // the second key
}

// DeriveIdentity does what a board does at start (PROTOCOL.md section 5, ABI
// version 1): to make vectors, to predict an emulated board, and for the list
// of publicly known identities. The private keys are not given out.
func DeriveIdentity(huk []byte, suffix string) (Derived, error) {
	if len(huk) != HUKSize {
		return Derived{}, fmt.Errorf("deriving an identity: %w, not %d", ErrHUKSize, len(huk))
	}
	var d Derived
	var err error
	if d.ID, err = deriveBoardID(huk, suffix); err != nil {
		return Derived{}, fmt.Errorf("deriving the BoardID: %w", err)
	}
	if d.TLS, err = derivePublic(huk, labelTLS+suffix); err != nil {
		return Derived{}, fmt.Errorf("deriving the TLS key: %w", err)
	}
	if d.COSE, err = derivePublic(huk, labelCOSE+suffix); err != nil {
		return Derived{}, fmt.Errorf("deriving the second key: %w", err)
	}
	return d, nil
}

func deriveBoardID(huk []byte, suffix string) (BoardID, error) {
	stream, err := hkdf.Key(sha256.New, huk, nil, labelBoardID+suffix, sha256.Size)
	if err != nil {
		return BoardID{}, err
	}
	id := BoardID(stream[:16])
	id[6] = id[6]&0x0f | 0x40 // version 4, RFC 9562 section 5.4
	id[8] = id[8]&0x3f | 0x80
	return id, nil
}

// derivePublic follows the PSA rule for Weierstrass keys (PSA Crypto 1.1,
// psa_key_derivation_output_key): numbers above n-2 are skipped, the key is one more.
func derivePublic(huk []byte, label string) (*ecdsa.PublicKey, error) {
	const tries = 4
	stream, err := hkdf.Key(sha256.New, huk, nil, label, tries*sha256.Size)
	if err != nil {
		return nil, err
	}
	curve := elliptic.P256()
	most := new(big.Int).Sub(curve.Params().N, big.NewInt(2))
	for ; len(stream) > 0; stream = stream[sha256.Size:] {
		k := new(big.Int).SetBytes(stream[:sha256.Size])
		if k.Cmp(most) > 0 {
			continue
		}
		scalar := k.Add(k, big.NewInt(1)).FillBytes(make([]byte, sha256.Size))
		private, err := ecdsa.ParseRawPrivateKey(curve, scalar)
		if err != nil {
			return nil, err
		}
		return &private.PublicKey, nil
	}
	return nil, errNoScalar
}

// HUKs that everybody knows.
var knownHUKs = []struct {
	name string
	huk  func() []byte
}{
	{"TF-M dummy provisioning", func() []byte { // platform/ext/common/provisioning.c: 00..0f, twice
		huk := make([]byte, HUKSize)
		for i := range huk {
			huk[i] = byte(i % 16)
		}
		return huk
	}},
	{"erased fuses (all zero)", func() []byte { return make([]byte, HUKSize) }},
	{"erased flash (all ff)", func() []byte { return bytes.Repeat([]byte{0xff}, HUKSize) }},
}

// Callers that TF-M's key loader tells apart: it derives a key for each owner
// first (docs/design_docs/tfm_builtin_keys.rst).
var knownOwners = []struct {
	name  string
	owner int32
}{
	{"non-secure world", -1},
	{"non-secure world of TF-M 2", -0x3c000000}, // MAPPED_TZ_NS_AGENT_DEFAULT_CLIENT_ID
	{"partition 0x4c690100", 0x4c690100},
}

// ownerKey is that step of TF-M.
func ownerKey(huk []byte, owner int32) ([]byte, error) {
	info := binary.LittleEndian.AppendUint32(nil, uint32(owner))
	return hkdf.Key(sha256.New, huk, nil, string(info), HUKSize)
}

// dummy is one identity that everybody can derive.
type dummy struct {
	name string
	id   BoardID
	keys [2][]byte // SubjectPublicKeyInfo, DER
}

var dummies = sync.OnceValue(func() []dummy {
	var all []dummy
	for _, known := range knownHUKs {
		huk := known.huk()
		all = append(all, mustDummy(known.name, huk))
		for _, caller := range knownOwners {
			key, err := ownerKey(huk, caller.owner)
			if err != nil {
				panic(err) // the lengths are constant
			}
			all = append(all, mustDummy(known.name+", "+caller.name, key))
		}
	}
	return all
})

func mustDummy(name string, huk []byte) dummy {
	d, err := DeriveIdentity(huk, "")
	if err != nil {
		panic(err) // the list is constant
	}
	result := dummy{name: name, id: d.ID}
	for i, key := range []*ecdsa.PublicKey{d.TLS, d.COSE} {
		if result.keys[i], err = x509.MarshalPKIXPublicKey(key); err != nil {
			panic(err)
		}
	}
	return result
}

// KnownDummy reports that a BoardID or a public key (SubjectPublicKeyInfo, DER;
// nil: not asked) comes from a HUK that everybody knows, and which.
func KnownDummy(id BoardID, spki []byte) (name string, ok bool) {
	for _, d := range dummies() {
		if d.id == id || spki != nil && (bytes.Equal(spki, d.keys[0]) || bytes.Equal(spki, d.keys[1])) {
			return d.name, true
		}
	}
	return "", false
}

// DummyOfCaller reports that a BoardID is what TF-M's dummy provisioning gives
// this caller: [KnownDummy] knows only the usual callers, and hello names each.
func DummyOfCaller(id BoardID, caller int32) bool {
	key, err := ownerKey(knownHUKs[0].huk(), caller)
	if err != nil {
		panic(err) // the lengths are constant
	}
	dummy, err := deriveBoardID(key, "")
	if err != nil {
		panic(err)
	}
	return dummy == id
}
