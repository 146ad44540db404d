package hsm

import (
	"slices"
	"strings"

	"github.com/miekg/pkcs11"
)

// An Exception lowers one demand on a token or its keys. The configuration names it, so
// that it is on record, and never the default.
type Exception string

const (
	// OriginUnknown accepts a token that does not know LOCAL, ALWAYS_SENSITIVE or
	// NEVER_EXTRACTABLE. A token that answers with the wrong value is still refused.
	OriginUnknown Exception = "origin-unknown"
	// RestoredKeys accepts keys that came back from a backup: the token says that they were
	// not made there (LOCAL is false, and with it ALWAYS_SENSITIVE and NEVER_EXTRACTABLE may be).
	RestoredKeys Exception = "restored-keys"
	// HardwareUnclaimed accepts a token that does not say that it signs in hardware (CKF_HW of CKM_ECDSA).
	HardwareUnclaimed Exception = "hardware-unclaimed"
)

// Exceptions are the exceptions of a configuration.
type Exceptions []Exception

// KnownExceptions lists all exceptions.
func KnownExceptions() Exceptions {
	return Exceptions{OriginUnknown, RestoredKeys, HardwareUnclaimed}
}

// String returns the names with commas between them.
func (e Exceptions) String() string {
	var names []string
	for _, one := range e {
		names = append(names, string(one))
	}
	return strings.Join(names, ",")
}

func (e Exceptions) check() error {
	for _, one := range e {
		if !slices.Contains(KnownExceptions(), one) {
			return refuse(ErrConfig, "exception %q; known are %s", string(one), KnownExceptions())
		}
	}
	return nil
}

// origin are the attributes that tell how a key came to the token (PKCS#11 v2.40 section 4.9).
var origin = []uint{pkcs11.CKA_ALWAYS_SENSITIVE, pkcs11.CKA_NEVER_EXTRACTABLE, pkcs11.CKA_LOCAL}

// excuse is true if an exception accepts this answer among all answers about a key. A key that this very token made (CKA_LOCAL) did
// not come from a backup, so RestoredKeys does not excuse that it was once extractable there. A token that does not know LOCAL needs
// OriginUnknown, too.
func (e Exceptions) excuse(a Attribute, all Attributes) bool {
	if !slices.Contains(origin, a.Attribute) {
		return false
	}
	unknown, local := slices.Contains(e, OriginUnknown), all.got(pkcs11.CKA_LOCAL)
	restored := slices.Contains(e, RestoredKeys) && (local == No || local == Unsupported && unknown)
	return a.Got == Unsupported && unknown || a.Got == No && restored
}
