// Package update reads, makes and checks the files that renew a board in the field (PROTOCOL.md section 4, "update"). It is a leaf:
// whoever delivers an update needs no line of the station.
package update

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	"github.com/fxamacker/cbor/v2"

	"hallmark/station/reason"
)

// Type is `t` of a manifest.
const Type = "hallmark update 1"

// Limits in octets.
const (
	MaxObject    = 1024 // of one slot
	MaxManifest  = 112
	MaxSignature = 72   // an ECDSA-Sig-Value of P-256
	MaxFile      = 4096 // twice the buffer of a board with the usual 2048 octets
)

// Errors of an update file.
var (
	ErrDamaged = reason.New("update-damaged", "not a whole update file")
	ErrForged  = reason.New("update-forged", "update file is not signed with the key of this trust anchor")
)

// Slots are the objects of an update by the number of their slot, DER; nil: the slot stays.
type Slots [4][]byte

// A Manifest is what is signed.
type Manifest struct {
	Hash    []byte `cbor:"h"` // SHA-256 of the objects, as they are encoded
	Counter uint32 `cbor:"n"` // greater than that of each update which the board has taken
	Slots   uint8  `cbor:"s"` // bits
	Type    string `cbor:"t"` // Type
	Board   []byte `cbor:"id"`
}

// A Draft is an update that nobody has signed yet.
type Draft struct {
	Manifest Manifest
	Signed   []byte // the octets of the manifest: what the key of the trust anchor signs
	objects  []byte
}

type file struct {
	Objects   []byte `cbor:"d"`
	Manifest  []byte `cbor:"m"`
	Signature []byte `cbor:"s"`
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

// New makes an update for one board. Errors: an object of more than MaxObject octets, no object, a counter of 0.
func New(board [16]byte, counter uint32, slots Slots) (Draft, error) {
	objects := map[string][]byte{}
	m := Manifest{Counter: counter, Type: Type, Board: board[:]}
	for slot, der := range slots {
		if len(der) > MaxObject {
			return Draft{}, fmt.Errorf("the object for slot %d has %d octets, want at most %d", slot, len(der), MaxObject)
		}
		if len(der) > 0 {
			objects[fmt.Sprint(slot)] = der
			m.Slots |= 1 << slot
		}
	}
	if len(objects) == 0 || counter == 0 {
		return Draft{}, errors.New("an update has an object and a counter of at least 1")
	}
	encoded, err := deterministic.Marshal(objects)
	if err != nil {
		return Draft{}, fmt.Errorf("encoding the objects: %w", err)
	}
	hash := sha256.Sum256(encoded)
	m.Hash = hash[:]
	signed, err := deterministic.Marshal(m)
	if err != nil {
		return Draft{}, fmt.Errorf("encoding the manifest: %w", err)
	}
	return Draft{Manifest: m, Signed: signed, objects: encoded}, nil
}

// Finish puts draft and signature (ECDSA-Sig-Value, DER, over SHA-256 of Signed) together to a file. anchor is the key of the trust
// anchor. Errors: ErrForged, and a file of more than MaxFile octets.
func (d Draft) Finish(signature []byte, anchor *ecdsa.PublicKey) ([]byte, error) {
	if !verifies(d.Signed, signature, anchor) {
		return nil, ErrForged
	}
	whole, err := deterministic.Marshal(file{d.objects, d.Signed, signature})
	if err != nil {
		return nil, fmt.Errorf("encoding the update: %w", err)
	}
	if len(whole) > MaxFile {
		return nil, fmt.Errorf("the update has %d octets, and a board takes %d: renew fewer slots at once", len(whole), MaxFile)
	}
	return whole, nil
}

// Unsigned gives the draft as a file without a signature, for a key that is elsewhere. No board takes it.
func (d Draft) Unsigned() ([]byte, error) {
	return deterministic.Marshal(file{d.objects, d.Signed, []byte{}})
}

// Resume reads a file without a signature. Errors: ErrDamaged.
func Resume(unsigned []byte) (Draft, error) {
	m, _, f, err := open(unsigned)
	if err == nil && len(f.Signature) > 0 {
		err = fmt.Errorf("%w: it is signed already", ErrDamaged)
	}
	return Draft{Manifest: m, Signed: f.Manifest, objects: f.Objects}, err
}

func verifies(signed, signature []byte, anchor *ecdsa.PublicKey) bool {
	digest := sha256.Sum256(signed)
	return len(signature) <= MaxSignature && ecdsa.VerifyASN1(anchor, digest[:], signature)
}

// Open reads an update file, and checks everything that needs no key. Errors: ErrDamaged.
func Open(octets []byte) (Manifest, Slots, error) {
	m, slots, _, err := open(octets)
	return m, slots, err
}

// Verify reads an update file and checks that the key of the trust anchor has signed it. Errors: ErrDamaged, ErrForged.
func Verify(octets []byte, anchor *ecdsa.PublicKey) (Manifest, Slots, error) {
	m, slots, f, err := open(octets)
	if err == nil && !verifies(f.Manifest, f.Signature, anchor) {
		err = ErrForged
	}
	return m, slots, err
}

func open(octets []byte) (m Manifest, slots Slots, f file, err error) {
	var objects map[string][]byte
	if err := exact.Unmarshal(octets, &f); err != nil {
		return m, slots, f, fmt.Errorf("%w: %d octets: %v", ErrDamaged, len(octets), err)
	}
	if err := errors.Join(exact.Unmarshal(f.Manifest, &m), exact.Unmarshal(f.Objects, &objects)); err != nil {
		return m, slots, f, fmt.Errorf("%w: %v", ErrDamaged, err)
	}
	for slot := range slots {
		if slots[slot] = objects[fmt.Sprint(slot)]; len(slots[slot]) > MaxObject {
			return m, slots, f, fmt.Errorf("%w: the object for slot %d has %d octets", ErrDamaged, slot, len(slots[slot]))
		}
	}
	if m.Type != Type || len(m.Board) != 16 || len(m.Hash) != sha256.Size {
		return m, slots, f, fmt.Errorf("%w: its manifest is not that of an update", ErrDamaged)
	}
	again, err := New([16]byte(m.Board), m.Counter, slots)
	if err != nil || !bytes.Equal(again.Signed, f.Manifest) || !bytes.Equal(again.objects, f.Objects) {
		return m, slots, f, fmt.Errorf("%w: its objects do not belong to its manifest", ErrDamaged)
	}
	return m, slots, f, nil
}

// slotNames are the words for the slots, by their number.
var slotNames = [4]string{"anchor", "chain", "certificate", "cose"}

// Names names the slots of a manifest.
func (m Manifest) Names() string {
	var names []string
	for slot, name := range slotNames {
		if m.Slots&(1<<slot) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}
