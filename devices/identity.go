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

// Labels of the identity ABI (PROTOCOL.md section 5). They never change.
const (
	labelBoardID = "UUID"
	labelTLS     = "HUK_CLIENT_TLS_EC_PRIV_KEY"
	labelCOSE    = "HUK_COSE_EC_PRIV_KEY"
)

// HUKSize is the length of a hardware unique key in octets.
const HUKSize = 32

// ErrHUKSize: a HUK has 32 octets.
var ErrHUKSize = reason.New("huk-size", "a hardware unique key has 32 octets")

// errNoScalar has a chance of 2^-256 for each HUK.
var errNoScalar = errors.New("no private key in the key stream")

// Derived is the public part of a board's identity.
type Derived struct {
	ID   BoardID
	TLS  *ecdsa.PublicKey // the key of the handshake and of its CSR
	COSE *ecdsa.PublicKey // the key that signs messages (RFC 9052)
}

// DeriveIdentity derives the identity as a board does at start (PROTOCOL.md section 5,
// ABI version 1). It makes test vectors, predicts an emulated board, and finds
// publicly known identities. It does not return the private keys. An HUK of another
// length is ErrHUKSize.
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

// derivePublic follows the PSA rule for Weierstrass curves (PSA Crypto 1.1,
// psa_key_derivation_output_key): it skips numbers above n-2, and the private key is
// the number plus one.
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

// knownHUKs are hardware unique keys that are publicly known.
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

// knownOwners are common callers of TF-M's key loader, which first derives one key for
// each owner (docs/design_docs/tfm_builtin_keys.rst).
var knownOwners = []struct {
	name  string
	owner int32
}{
	{"non-secure world", -1},
	{"non-secure world of TF-M 2", -0x3c000000}, // MAPPED_TZ_NS_AGENT_DEFAULT_CLIENT_ID
	{"partition 0x4c690100", 0x4c690100},
}

// ownerKey derives the key of one owner, as TF-M's key loader does.
func ownerKey(huk []byte, owner int32) ([]byte, error) {
	info := binary.LittleEndian.AppendUint32(nil, uint32(owner))
	return hkdf.Key(sha256.New, huk, nil, string(info), HUKSize)
}

// A dummy is one publicly known identity.
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

// KnownDummy is true if a BoardID or a public key (SubjectPublicKeyInfo, DER; nil: no
// key) comes from a publicly known HUK. It also returns the name of that HUK.
func KnownDummy(id BoardID, spki []byte) (name string, ok bool) {
	for _, d := range dummies() {
		if d.id == id || spki != nil && (bytes.Equal(spki, d.keys[0]) || bytes.Equal(spki, d.keys[1])) {
			return d.name, true
		}
	}
	return "", false
}

// DummyOfCaller is true if TF-M's dummy provisioning gives this BoardID to the caller.
// [KnownDummy] knows only the common callers; hello names the board's caller.
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
