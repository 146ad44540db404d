package hsm

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[redacted]"

// A Secret is a PIN. Printed, logged or encoded, it gives "[redacted]", also as an
// unexported field of another value. It cannot be decoded from a configuration. The
// zero Secret is empty.
type Secret struct {
	// A pointer to a pointer, because fmt cannot call our methods in an unexported
	// field: there fmt follows one pointer and would print the octets behind it.
	held **held
}

type held struct{ octets []byte }

// NewSecret takes over the octets; the caller must not use them afterwards.
func NewSecret(octets []byte) Secret {
	h := &held{octets}
	return Secret{&h}
}

// Wipe overwrites the octets. It cannot reach the copies that were made for the
// PKCS#11 module, because a Go string cannot be overwritten.
func (s Secret) Wipe() {
	if s.held != nil {
		clear((*s.held).octets)
		(*s.held).octets = nil
	}
}

func (s Secret) empty() bool { return s.held == nil || len((*s.held).octets) == 0 }

// reveal returns the PIN as a string. Only the code that logs in calls it.
func (s Secret) reveal() string {
	if s.held == nil {
		return ""
	}
	return string((*s.held).octets)
}

// copied returns a Secret that can be wiped without wiping s. It makes no string on the way.
func (s Secret) copied() Secret {
	if s.held == nil {
		return Secret{}
	}
	return NewSecret(bytes.Clone((*s.held).octets))
}

func (Secret) String() string               { return redacted }
func (Secret) GoString() string             { return redacted }
func (Secret) LogValue() slog.Value         { return slog.StringValue(redacted) }
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }
func (Secret) MarshalYAML() (any, error)    { return redacted, nil }

// Format implements fmt.Formatter for every verb, so that %x shows no octets either.
// fmt reports a write error itself.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

var errSecretDecoded = errors.New("a PIN is never read from a configuration; name a PIN source instead")

// UnmarshalText refuses, because a PIN must not stand in a configuration file.
func (*Secret) UnmarshalText([]byte) error { return errSecretDecoded }

var (
	_ fmt.Formatter  = Secret{}
	_ slog.LogValuer = Secret{}
)
