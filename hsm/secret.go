package hsm

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[redacted]"

// A Secret is a PIN. However it is printed, logged or encoded it says
// "[redacted]", also as an unexported field of something else, and it cannot be
// decoded from a configuration. The zero Secret is empty.
type Secret struct {
	// A pointer to a pointer: where fmt cannot call our methods (in an unexported
	// field) it follows one pointer, and would print the octets behind it.
	held **held
}

type held struct{ octets []byte }

// NewSecret takes over the octets; the caller must not use them any more.
func NewSecret(octets []byte) Secret {
	h := &held{octets}
	return Secret{&h}
}

// Wipe overwrites the octets. Copies made for the PKCS#11 module are beyond
// reach: Go strings cannot be wiped, only dropped.
func (s Secret) Wipe() {
	if s.held != nil {
		clear((*s.held).octets)
		(*s.held).octets = nil
	}
}

func (s Secret) empty() bool { return s.held == nil || len((*s.held).octets) == 0 }

// reveal is called right before login only.
func (s Secret) reveal() string {
	if s.held == nil {
		return ""
	}
	return string((*s.held).octets)
}

// copied returns a Secret that can be wiped without wiping s.
func (s Secret) copied() Secret { return NewSecret([]byte(s.reveal())) }

func (Secret) String() string               { return redacted }
func (Secret) GoString() string             { return redacted }
func (Secret) LogValue() slog.Value         { return slog.StringValue(redacted) }
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }
func (Secret) MarshalYAML() (any, error)    { return redacted, nil }

// Format answers every verb, so that %x shows nothing either. A write error is
// fmt's to report; there is nowhere to return it.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

var errSecretDecoded = errors.New("a PIN is never read from a configuration; name a PIN source instead")

// UnmarshalText refuses: a PIN does not belong in a file of settings.
func (*Secret) UnmarshalText([]byte) error { return errSecretDecoded }

var (
	_ fmt.Formatter  = Secret{}
	_ slog.LogValuer = Secret{}
)
