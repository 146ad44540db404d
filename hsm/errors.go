package hsm

import (
	"errors"
	"fmt"
)

// Every refusal has one of these names; test with errors.Is. The raw PKCS#11
// code, where there is one, stays in the chain as a pkcs11.Error.
var (
	ErrConfig           = refusal("HSM configuration not usable", "correct it and start again")
	ErrInUse            = refusal("a PKCS#11 module is already in use in this process", "close the open token first, or use another process")
	ErrModuleMissing    = refusal("PKCS#11 module file missing", "install the vendor's package or correct the module path")
	ErrModuleUnloadable = refusal("PKCS#11 module cannot be loaded", "check with ldd that its libraries are present and that it fits this machine")
	ErrModuleNotStarted = refusal("PKCS#11 module does not start", "check the module's own configuration (SoftHSM: SOFTHSM2_CONF and the token directory it names) and that the HSM can be reached")
	ErrHung             = refusal("PKCS#11 module hangs", "check the HSM and its connection; if it does not come back, start the station again")
	ErrBusy             = refusal("timed out waiting for a place at the HSM", "wait for the calls in flight, or raise the number of sessions for a network HSM")
	ErrClosed           = refusal("token closed", "open it again")

	ErrTokenMissing   = refusal("token missing", "connect the HSM, and compare label and serial with `pkcs11-tool --list-slots`")
	ErrTokenAmbiguous = refusal("more than one token fits", "select by serial as well as by label")
	ErrTokenExists    = refusal("a token with this label exists", "choose another label; an existing token is never initialised again here")
	ErrTokenUnfit     = refusal("token cannot do what is needed", "use a token with ECDSA and at least two sessions")
	ErrSoftwareToken  = refusal("software token not allowed", "use a hardware HSM, or set allow_software_token: true for a demonstration or CI")
	ErrSessionLost    = refusal("session with the token lost", "check that the HSM is connected and running; the station opens it again by itself")
	ErrSessionLimit   = refusal("token has no free session", "end other programs that use it, or lower the number of sessions")
	ErrTokenRefused   = refusal("token refused the call", "look the code up in the vendor's manual")
	ErrNoRandom       = refusal("token gives no random numbers", "continue with the system's random numbers alone, and log it")

	ErrPINSource  = refusal("PIN source not usable", "name one of credential:NAME, fd:N, file:/path, prompt, env:NAME and check what it names")
	ErrPINWrong   = refusal("PIN refused by the token", "correct the PIN source, then start again; it is not tried a second time, so that the token does not lock")
	ErrPINLocked  = refusal("PIN locked", "have the security officer unlock the token; nothing was tried")
	ErrPINAtRisk  = refusal("PIN on its final try", "log in once by hand with the vendor's tool to clear the counter; nothing was tried")
	ErrPINExpired = refusal("PIN must be changed", "change it with the vendor's tool, then correct the PIN source")
	ErrPINNotSet  = refusal("token has no user PIN", "let the security officer set one")

	ErrKeyMissing     = refusal("key missing", "compare label and id with `station doctor`; keys are only made in a ceremony")
	ErrKeyDuplicated  = refusal("key duplicated", "remove or rename the wrong key pair with the vendor's tool; label and id must name exactly one")
	ErrKeyExists      = refusal("key exists", "choose another label and id; a ceremony never overwrites")
	ErrKeyExtractable = refusal("key not proven non-extractable", "use a key that was generated on the token and never left it")
	ErrKeyDiffers     = refusal("key differs from the pinned public key", "compare the certificate with the token; if the token was exchanged, stop and investigate")
	ErrKeyUnreadable  = refusal("key cannot be read", "check the public half of the pair on the token")
	ErrDigest         = refusal("digest not acceptable", "sign a SHA-256 digest with a P-256 key, a SHA-384 digest with a P-384 key")
	ErrBadSignature   = refusal("signature from the token does not verify", "stop signing and have the HSM examined")

	ErrURI = refusal("PKCS#11 URI not acceptable", "write it as in RFC 7512, for example pkcs11:token=factory-ca;object=issuing;id=%01")
)

// reason is a refusal: what happened and what to do next.
type reason struct{ what, next string }

func (r *reason) Error() string { return r.what }

func refusal(what, next string) error { return &reason{what, next} }

// Advice returns what to do next about err, or "" when err is not of this
// package. The text of every error ends with it already; a screen with two
// fields shows it apart.
func Advice(err error) string {
	var r *reason
	if errors.As(err, &r) {
		return r.next
	}
	return ""
}

// refuse builds the error of a sentinel: what, the detail, what to do next. The
// detail may wrap a cause with %w.
func refuse(is error, detail string, args ...any) error {
	all := append([]any{is}, args...)
	return fmt.Errorf("%w: "+detail+" ("+Advice(is)+")", all...)
}
