package hsm

import (
	"errors"
	"fmt"

	"hallmark/station/reason"
)

// Every refusal has one of these names; test with errors.Is. The raw PKCS#11
// code, where there is one, stays in the chain as a pkcs11.Error.
var (
	ErrConfig           = reason.New("hsm-config", "HSM configuration not usable")
	ErrInUse            = reason.New("module-in-use", "a PKCS#11 module is already in use in this process")
	ErrModuleMissing    = reason.New("module-missing", "PKCS#11 module file missing")
	ErrModuleUnloadable = reason.New("module-unloadable", "PKCS#11 module cannot be loaded")
	ErrModuleNotStarted = reason.New("module-not-started", "PKCS#11 module does not start")
	ErrHung             = reason.New("module-hangs", "PKCS#11 module hangs")
	ErrBusy             = reason.New("hsm-busy", "timed out waiting for a place at the HSM")
	ErrClosed           = reason.New("token-closed", "token closed")

	ErrTokenMissing   = reason.New("token-missing", "token missing")
	ErrTokenAmbiguous = reason.New("token-ambiguous", "more than one token fits")
	ErrTokenExists    = reason.New("token-exists", "a token with this label exists")
	ErrTokenUnfit     = reason.New("token-unfit", "token cannot do what is needed")
	ErrSoftwareToken  = reason.New("software-token", "software token not allowed")
	ErrSessionLost    = reason.New("session-lost", "session with the token lost")
	ErrSessionLimit   = reason.New("session-limit", "token has no free session")
	ErrTokenRefused   = reason.New("token-refuses", "token refused the call")
	ErrNoRandom       = reason.New("token-no-random", "token gives no random numbers")

	ErrPINSource  = reason.New("pin-source", "PIN source not usable")
	ErrPINWrong   = reason.New("pin-wrong", "PIN refused by the token")
	ErrPINLocked  = reason.New("pin-locked", "PIN locked")
	ErrPINAtRisk  = reason.New("pin-final-try", "PIN on its final try")
	ErrPINExpired = reason.New("pin-expired", "PIN must be changed")
	ErrPINNotSet  = reason.New("pin-not-set", "token has no user PIN")

	ErrKeyMissing     = reason.New("key-missing", "key missing")
	ErrKeyDuplicated  = reason.New("key-duplicated", "key duplicated")
	ErrKeyExists      = reason.New("key-exists", "key exists")
	ErrKeyExtractable = reason.New("key-extractable", "key not proven non-extractable")
	ErrKeyDiffers     = reason.New("key-differs", "key differs from the pinned public key")
	ErrKeyUnreadable  = reason.New("key-unreadable", "key cannot be read")
	ErrKeyUnusable    = reason.New("key-unusable", "key does not sign")
	ErrDigest         = reason.New("digest", "digest not acceptable")
	ErrBadSignature   = reason.New("bad-signature", "signature from the token does not verify")

	ErrURI = reason.New("pkcs11-uri", "PKCS#11 URI not acceptable")
)

// Advice returns what to do next about err, or "" when err has no reason. The text
// of every error ends with the advice already; a screen with two fields shows it apart.
func Advice(err error) string {
	var sentinel *reason.Sentinel
	if errors.As(err, &sentinel) {
		return sentinel.Row().Next
	}
	return ""
}

// refuse builds the error of a sentinel: what, the detail, what to do next. The
// detail may wrap a cause with %w.
func refuse(is error, detail string, args ...any) error {
	all := append(append([]any{is}, args...), Advice(is))
	return fmt.Errorf("%w: "+detail+" (%s)", all...)
}
