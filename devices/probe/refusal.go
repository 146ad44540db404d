package probe

import (
	"errors"
	"fmt"

	"hallmark/station/reason"
)

// Why a probe, its board or the programmer does not do a call.
var (
	ErrMissing     = reason.New("probe-missing", "no probe answers: look at its USB cable")
	ErrWrongSerial = reason.New("probe-wrong-serial", "another probe answers than the one that was asked for")
	ErrAmbiguous   = reason.New("probe-ambiguous", "more than one probe has this serial number")
	ErrLost        = reason.New("probe-lost", "probe was lost in the middle of its work")

	ErrVoltage       = reason.New("target-voltage", "board has no supply: the target voltage is below 1 V")
	ErrMissingTarget = reason.New("target-missing", "no chip answers the probe: look at supply and debug cable")
	ErrLocked        = reason.New("target-locked", "debug port of the board is locked")
	ErrErased        = reason.New("chip-erased", "the connection to a locked chip has erased it")
	ErrWrongTarget   = reason.New("target-wrong", "chip is not the one of the board definition")
	ErrMemory        = reason.New("target-memory", "probe cannot read or write this memory of the board")

	ErrUnreadableImage = reason.New("image-unreadable", "firmware image cannot be read")
	ErrImageFormat     = reason.New("image-format", "firmware image is no usable hex, bin or elf file")
	ErrImageHash       = reason.New("image-hash", "firmware image is another one than configured")
	ErrMismatch        = reason.New("verify-mismatch", "flash of the board differs from the image")
	ErrNotErased       = reason.New("recover-refused", "chip was not erased")
	ErrNotLocked       = reason.New("lock-refused", "chip did not take the lock")

	ErrNoTool      = reason.New("tool-missing", "programmer is not installed")
	ErrToolVersion = reason.New("tool-version", "programmer has a version that this station does not know")
	ErrSilent      = reason.New("tool-silent", "programmer did not end in time")
	ErrUnclear     = reason.New("tool-unclear", "programmer does not say clearly how its work ended")
	ErrTool        = reason.New("tool-failed", "programmer failed")
	ErrScript      = reason.New("tool-script", "OpenOCD does not have a script or a command of the board definition")
	ErrCannot      = reason.New("tool-cannot", "this work is not described for this board")

	// ErrNeedsFlash accompanies the cause when Flash may have changed some octets and not all.
	ErrNeedsFlash = reason.New("needs-flash", "board needs flash: its image may be incomplete")
	// ErrBadSerial is a mistake of a configuration.
	ErrBadSerial = reason.New("probe-serial", "not the serial number of a probe")
)

// Incomplete marks an error of Flash after which the board needs flash.
func Incomplete(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, ErrMismatch) { // the text says already what the flash holds
		return &incomplete{err}
	}
	return fmt.Errorf("%w: %w", err, ErrNeedsFlash)
}

// incomplete is ErrNeedsFlash without its text.
type incomplete struct{ cause error }

func (e *incomplete) Error() string   { return e.cause.Error() }
func (e *incomplete) Unwrap() []error { return []error{e.cause, ErrNeedsFlash} }

// refusals are the refusals that a programmer can say, for recipes.
var refusals = []*reason.Sentinel{
	ErrMissing, ErrWrongSerial, ErrAmbiguous, ErrLost, ErrVoltage, ErrMissingTarget, ErrLocked, ErrWrongTarget, ErrMemory,
	ErrImageFormat, ErrMismatch, ErrNotErased, ErrNotLocked, ErrToolVersion, ErrTool,
}

// Refusal returns the refusal with this word that a programmer can say, or nil.
func Refusal(word string) error {
	for _, refusal := range refusals {
		if refusal.Word() == word {
			return refusal
		}
	}
	return nil
}

// RefusalWords returns the words of Refusal.
func RefusalWords() (words []string) {
	for _, refusal := range refusals {
		words = append(words, refusal.Word())
	}
	return words
}
