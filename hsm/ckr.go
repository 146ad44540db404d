package hsm

import (
	"errors"
	"slices"

	"github.com/miekg/pkcs11"

	"hallmark/station/reason"
)

// A meaning says what a return value of PKCS#11 (v2.40 section 5.1.6) means for the station.
type meaning struct {
	code uint
	is   error
	// lost: closing the module and opening it again may help.
	lost bool
}

// meanings is the table of return values. A value that is not in it becomes ErrTokenRefused.
var meanings = []meaning{
	{pkcs11.CKR_GENERAL_ERROR, ErrSessionLost, true},
	{pkcs11.CKR_FUNCTION_FAILED, ErrSessionLost, true},
	{pkcs11.CKR_DEVICE_ERROR, ErrSessionLost, true},
	{pkcs11.CKR_DEVICE_REMOVED, ErrSessionLost, true},
	{pkcs11.CKR_KEY_HANDLE_INVALID, ErrSessionLost, true},
	{pkcs11.CKR_OBJECT_HANDLE_INVALID, ErrSessionLost, true},
	// crypto11 puts a session with an unfinished operation back into its pool, where every later
	// call on the session fails. Only new sessions help.
	{pkcs11.CKR_OPERATION_ACTIVE, ErrSessionLost, true},
	{pkcs11.CKR_SESSION_CLOSED, ErrSessionLost, true},
	{pkcs11.CKR_SESSION_HANDLE_INVALID, ErrSessionLost, true},
	{pkcs11.CKR_USER_NOT_LOGGED_IN, ErrSessionLost, true},
	{pkcs11.CKR_CRYPTOKI_NOT_INITIALIZED, ErrSessionLost, true},
	{pkcs11.CKR_TOKEN_NOT_PRESENT, ErrTokenMissing, true},
	{pkcs11.CKR_TOKEN_NOT_RECOGNIZED, ErrTokenMissing, true},

	{pkcs11.CKR_PIN_INCORRECT, ErrPINWrong, false},
	{pkcs11.CKR_PIN_INVALID, ErrPINWrong, false},
	{pkcs11.CKR_PIN_LEN_RANGE, ErrPINWrong, false},
	{pkcs11.CKR_PIN_EXPIRED, ErrPINExpired, false},
	{pkcs11.CKR_PIN_LOCKED, ErrPINLocked, false},
	{pkcs11.CKR_USER_PIN_NOT_INITIALIZED, ErrPINNotSet, false},

	{pkcs11.CKR_SESSION_COUNT, ErrSessionLimit, false},
	{pkcs11.CKR_RANDOM_NO_RNG, ErrNoRandom, false},
	{pkcs11.CKR_CRYPTOKI_ALREADY_INITIALIZED, ErrInUse, false},
	{pkcs11.CKR_MECHANISM_INVALID, ErrTokenUnfit, false},
}

// find returns the row of the return value that err wraps.
func find(err error) (meaning, bool) {
	var code pkcs11.Error
	if !errors.As(err, &code) {
		return meaning{}, false
	}
	for _, m := range meanings {
		if m.code == uint(code) {
			return m, true
		}
	}
	return meaning{}, false
}

// explain wraps err in the sentinel of its return value, unless err has a sentinel
// already, and says in doing what the station was doing.
func explain(doing string, err error) error {
	if _, named := reason.Find(err); err == nil || named {
		return err
	}
	if m, ok := find(err); ok {
		return refuse(m.is, doing+": %w", err)
	}
	return refuse(ErrTokenRefused, doing+": %w", err)
}

// lost is true if opening the module again may help against err.
func lost(err error) bool {
	m, ok := find(err)
	return ok && m.lost
}

// final are the errors after which this process tries nothing again. Another try
// could lock the token, or would sign with a key that is not the station's.
var final = []error{
	ErrPINWrong, ErrPINLocked, ErrPINAtRisk, ErrPINExpired, ErrPINNotSet,
	ErrKeyDiffers, ErrKeyExtractable, ErrKeyDuplicated, ErrSoftwareToken,
}

// Final is true if err stays until a person acts. A program that gets such an error
// must not be restarted automatically, because each start would try the PIN once more.
func Final(err error) bool {
	return slices.ContainsFunc(final, func(one error) bool { return errors.Is(err, one) })
}
