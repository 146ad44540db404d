package station

import (
	"context"
	"errors"
	"fmt"

	"hallmark/devices"
)

// verdictOn finds the row for an error; an error without a row is a Fault.
func verdictOn(err error) Verdict {
	for _, row := range verdicts {
		if errors.Is(err, row.err) {
			return row.Verdict
		}
	}
	return Verdict{Ending: Fault, Reason: "fault"}
}

// endingOf adds what only the caller's context knows: whether the operator
// stopped. A verdict about the board stands even then.
func endingOf(ctx context.Context, err error) Verdict {
	if err == nil {
		return Verdict{Ending: Pass}
	}
	verdict := verdictOn(err)
	if verdict.Ending != Reject && errors.Is(ctx.Err(), context.Canceled) {
		return Verdict{Ending: Aborted, Reason: "operator"}
	}
	return verdict
}

// blame adds to an error the part of the bench it came from, without changing its text.
func blame(part, err error) error {
	if err == nil {
		return nil
	}
	return &blamed{part, err}
}

type blamed struct{ part, err error }

func (e *blamed) Error() string   { return e.err.Error() }
func (e *blamed) Unwrap() []error { return []error{e.err, e.part} }

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
