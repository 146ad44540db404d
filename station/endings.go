package station

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"hallmark/devices"
	"hallmark/station/reason"
)

// endingOf returns the row of err, or the row of errOperator when the operator stopped the
// Run: the error does not show that, but ctx does. A Reject stays a Reject even then, because
// the board is bad, and a board whose flash was cut must be named.
func endingOf(ctx context.Context, err error) reason.Row {
	row := reason.Of(err)
	if err != nil && row.Ending != Reject && !needsFlash(err) && errors.Is(ctx.Err(), context.Canceled) {
		return errOperator.Row()
	}
	return row
}

// needsFlash reports whether the flash of the board may be incomplete, whatever the reason is.
func needsFlash(err error) bool {
	return slices.ContainsFunc(reason.All(err), func(r reason.Row) bool { return r.Word == ErrNeedsFlash.Word() })
}

// withComponent adds to an error the component that the error came from. The text of the
// error stays as it is.
func withComponent(component, err error) error {
	if err == nil {
		return nil
	}
	return &componentError{component, err}
}

// registryError adds ErrRegistry to an error of the registry, unless the error is a refusal. A
// refusal, such as ErrClone or ErrQuota, has a row of its own that a Run can end with. It shows
// that the registry works.
func registryError(err error) error {
	if row, known := reason.Find(err); known && row.Screen != "" {
		return err
	}
	return withComponent(ErrRegistry, err)
}

type componentError struct{ component, err error }

func (e *componentError) Error() string   { return e.err.Error() }
func (e *componentError) Unwrap() []error { return []error{e.err, e.component} }

// stopped is the error of a step that ended because of its time-out or a stop; cause says which.
type stopped struct{ cause, err error }

// Error has the cause once: a call that waited may already have put the cause into err.
func (e *stopped) Error() string {
	cause, text := e.cause.Error(), e.err.Error()
	if strings.Contains(text, cause) {
		return text
	}
	return cause + ": " + text
}
func (e *stopped) Unwrap() []error { return []error{e.cause, e.err} }

// PanicError is a panic of a step. It wraps ErrPanic.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("%v: %v", ErrPanic, e.Value) }
func (e *PanicError) Unwrap() error { return ErrPanic }

// StoppedError says why a bay starts no Run. It wraps ErrBayStopped.
type StoppedError struct {
	Word string // reason word of the Run that stopped the bay
}

func (e *StoppedError) Error() string {
	return fmt.Sprintf("%v (%s)", ErrBayStopped, e.Word)
}
func (e *StoppedError) Unwrap() error { return ErrBayStopped }

// SwappedError names the expected board and the board that answered. It wraps ErrSwapped.
type SwappedError struct{ Want, Got devices.BoardID }

func (e *SwappedError) Error() string {
	return fmt.Sprintf("%v: want %v, got %v; put the first one back or start anew", ErrSwapped, e.Want, e.Got)
}
func (e *SwappedError) Unwrap() error { return ErrSwapped }

// IdentityError says which value in a board's identity was refused. It wraps its Kind.
type IdentityError struct {
	Kind error
	Got  int64
	Want string
}

func (e *IdentityError) Error() string {
	return fmt.Sprintf("%v: board says %d, want %s", e.Kind, e.Got, e.Want)
}
func (e *IdentityError) Unwrap() error { return e.Kind }

// DoneError names a board that is done, and since when. It wraps ErrDone.
type DoneError struct {
	Board devices.BoardID
	Since time.Time
}

func (e *DoneError) Error() string {
	return fmt.Sprintf("%v: board %v was done at %s: take it out", ErrDone, e.Board, e.Since.UTC().Format(time.RFC3339))
}
func (e *DoneError) Unwrap() error { return ErrDone }
