// Package witness lets somebody outside of the factory confirm the audit log of a station: a
// witness (C2SP tlog-witness) signs that a checkpoint continues the log that the witness saw
// before, and a mirror (C2SP tlog-mirror) keeps a copy of all entries.
//
// This package has the client of both, which the station uses, and the formats that client and
// server share. Package serve has the server.
package witness

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// algCosignature is the type of a timestamped Ed25519 cosignature (C2SP tlog-cosignature,
// "Format"). Type 0x06, ML-DSA-44, is not here: Go 1.26 has no ML-DSA in its standard library.
const algCosignature = 0x04

// A Key signs checkpoints for one cosigner: a witness or a mirror.
type Key struct {
	name    string
	private ed25519.PrivateKey
}

// ErrName: the name of a cosigner cannot stand in a signed note.
var ErrName = errors.New("name of a witness: want 1 to 100 printable characters without space and plus, such as witness.example/w1")

// GenerateKey makes the key of a new cosigner.
func GenerateKey(name string, random io.Reader) (*Key, error) {
	_, private, err := ed25519.GenerateKey(random)
	if err != nil {
		return nil, fmt.Errorf("making the key of %s: %w", name, err)
	}
	return NewKey(name, private)
}

// NewKey makes a Key of a private key.
func NewKey(name string, private ed25519.PrivateKey) (*Key, error) {
	bad := func(r rune) bool { return r <= ' ' || r > '~' || r == '+' }
	if name == "" || len(name) > 100 || strings.ContainsFunc(name, bad) {
		return nil, fmt.Errorf("%w, not %q", ErrName, name)
	}
	return &Key{name, private}, nil
}

// Name returns the name of the cosigner.
func (k *Key) Name() string { return k.name }

// Private returns the private key, for storing it.
func (k *Key) Private() ed25519.PrivateKey { return k.private }

// VerifierKey returns the public key as a C2SP verifier key: name, key id and key.
func (k *Key) VerifierKey() string {
	return fmt.Sprintf("%s+%08x+%s", k.name, k.id(), base64.StdEncoding.EncodeToString(k.material()))
}

func (k *Key) material() []byte {
	return append([]byte{algCosignature}, k.private.Public().(ed25519.PublicKey)...)
}

// id is the first four octets of SHA-256(name, end of line, type, key) (C2SP tlog-cosignature, "Format").
func (k *Key) id() uint32 {
	sum := sha256.Sum256(append([]byte(k.name+"\n"), k.material()...))
	return binary.BigEndian.Uint32(sum[:])
}

// Cosign returns the signature line over the text of a checkpoint (C2SP tlog-cosignature,
// "Ed25519 signed message"). The time must be after 1970.
func (k *Key) Cosign(text string, at time.Time) string {
	seconds := uint64(max(at.Unix(), 1)) // a cosignature of a witness must have a time
	signature := ed25519.Sign(k.private, fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", seconds, text))
	line := binary.BigEndian.AppendUint32(nil, k.id())
	line = append(binary.BigEndian.AppendUint64(line, seconds), signature...)
	return fmt.Sprintf("\u2014 %s %s\n", k.name, base64.StdEncoding.EncodeToString(line))
}
