package ui

import "hallmark/station/reason"

// Errors of an HSM about a PIN.
var (
	errPINRefused = reason.New("pin-wrong", "PIN refused by the token")
	errPINLast    = reason.New("pin-final-try", "PIN on its final try")
	errPINLocked  = reason.New("pin-locked", "PIN locked")
)
