package devices

import "slices"

// A Purpose is what a key of the board is for. A board derives one key from its
// HUK for each purpose (PROTOCOL.md section 5), and has at most one active
// certificate for each (I3). The zero Purpose means none.
type Purpose string

// AlgorithmP256 is the only algorithm of keys that boards and station have: ECDSA with SHA-256 over P-256.
const AlgorithmP256 = "ecdsa-p256"

// The purposes of PROTOCOL.md section 4, "csr".
const (
	PurposeTLS  Purpose = "tls"  // client in the handshake; every board has this key
	PurposeCOSE Purpose = "cose" // signs messages (RFC 9052); the verifier refuses this key in a handshake
)

// purposes has each purpose at its number on the wire.
var purposes = [...]Purpose{PurposeTLS, PurposeCOSE}

// ParsePurpose accepts only the names of the purposes.
func ParsePurpose(name string) (Purpose, error) {
	if p := Purpose(name); p.Number() >= 0 {
		return p, nil
	}
	return "", &NotPurposeError{Text: name}
}

// NotPurposeError says that a text is not the name of a purpose.
type NotPurposeError struct{ Text string }

func (e *NotPurposeError) Error() string {
	return "purpose " + quote(e.Text) + ": want tls or cose"
}

// String gives the name, which ParsePurpose accepts.
func (p Purpose) String() string { return string(p) }

// Number gives the purpose on the wire: the value of "p" in csr, and the number
// of the bit in "pu" of hello. It is -1 for a text that is not a purpose.
func (p Purpose) Number() int { return slices.Index(purposes[:], p) }

// Slot gives the slot of the purpose's certificate.
func (p Purpose) Slot() Slot {
	if p == PurposeCOSE {
		return SlotCOSE
	}
	return SlotCertificate
}

// Purposes is the set of purposes that an image derives a key for ("pu" of
// hello), one bit for each number.
type Purposes uint8

// Has reports whether the image derives a key for this purpose.
func (p Purposes) Has(one Purpose) bool {
	n := one.Number()
	return n >= 0 && p&(1<<n) != 0
}
