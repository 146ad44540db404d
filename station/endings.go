package station

import (
	"context"
	"errors"
	"fmt"

	"hallmark/devices"
	"hallmark/station/reason"
)

// endingOf adds to the row of err what only the caller's context knows: whether the
// operator stopped. A Reject stands even then, because it says something about the board.
func endingOf(ctx context.Context, err error) reason.Row {
	row := reason.Of(err)
	if err != nil && row.Ending != Reject && errors.Is(ctx.Err(), context.Canceled) {
		return errOperator.Row()
	}
	return row
}

// withComponent adds to an error the component it came from, without changing its text.
func withComponent(component, err error) error {
	if err == nil {
		return nil
	}
	return &componentError{component, err}
}

type componentError struct{ component, err error }

func (e *componentError) Error() string   { return e.err.Error() }
func (e *componentError) Unwrap() []error { return []error{e.err, e.component} }

// stopped says that a step ended because its time was up or somebody stopped it.
type stopped struct{ cause, err error }

func (e *stopped) Error() string   { return fmt.Sprintf("%v: %v", e.cause, e.err) }
func (e *stopped) Unwrap() []error { return []error{e.cause, e.err} }

// PanicError is a panic of a step. It wraps ErrPanic.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("%v: %v", ErrPanic, e.Value) }
func (e *PanicError) Unwrap() error { return ErrPanic }

// SwappedError names both boards. It wraps ErrSwapped.
type SwappedError struct{ Want, Got devices.BoardID }

func (e *SwappedError) Error() string {
	return fmt.Sprintf("%v: want %v, got %v; put the first one back or start anew", ErrSwapped, e.Want, e.Got)
}
func (e *SwappedError) Unwrap() error { return ErrSwapped }

// IdentityError says which statement of a board was refused. It wraps its Kind.
type IdentityError struct {
	Kind error
	Got  int64
	Want string
}

func (e *IdentityError) Error() string {
	return fmt.Sprintf("%v: board says %d, want %s", e.Kind, e.Got, e.Want)
}
func (e *IdentityError) Unwrap() error { return e.Kind }
