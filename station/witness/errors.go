package witness

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"hallmark/station/reason"
)

// Why a witness did not cosign. A witness never stops the station, so no command ends with these.
var (
	// ErrGone: nobody answers at the address of the witness.
	ErrGone = reason.New("witness-gone", "the witness does not answer")
	// ErrSlow: the witness answers too late.
	ErrSlow = reason.New("witness-slow", "the witness did not answer in time")
	// ErrUnknownLog: the witness does not know the log (404).
	ErrUnknownLog = reason.New("witness-unknown-log", "the witness does not know this log")
	// ErrForbidden: the witness does not accept the signature of the log (403).
	ErrForbidden = reason.New("witness-forbids", "the witness does not accept the signature of this log")
	// ErrFork: the witness has seen another log under the name of this one.
	ErrFork = reason.New("witness-fork", "the witness has seen another log, or a longer one, under the name of this log")
	// ErrLost: the witness shows no checkpoint, and the station has a cosignature of it.
	ErrLost = reason.New("witness-lost", "the witness has cosigned this log before, and now shows no checkpoint of it")
	// ErrLies: the answer is not one that a witness gives.
	ErrLies = reason.New("witness-lies", "the answer is not that of the witness")
	// ErrTrouble: the witness has trouble of its own.
	ErrTrouble = reason.New("witness-trouble", "the witness has a fault of its own")
)

// ErrNothingSeen: the witness has not cosigned a checkpoint of the log yet, or does not serve checkpoints.
var ErrNothingSeen = errors.New("the witness shows no checkpoint of this log")

// A SizeError says which size the witness cosigned last (409).
type SizeError struct{ Size int64 }

func (e *SizeError) Error() string {
	return "the witness has seen " + reason.Count(e.Size, "entry", "entries")
}

// unreached names why there was no answer.
func unreached(err error) error {
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, errRedirect):
		return fmt.Errorf("%w: %w", ErrLies, err)
	case errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("%w: %w", ErrSlow, err)
	}
	return fmt.Errorf("%w: %w", ErrGone, err)
}

// refused names a status that is the same for all requests.
func refused(status int, body []byte) error {
	kinds := map[int]error{http.StatusNotFound: ErrUnknownLog, http.StatusForbidden: ErrForbidden, http.StatusUnprocessableEntity: ErrFork}
	kind := kinds[status]
	switch {
	case kind != nil:
	case status >= 500 || status == http.StatusTooManyRequests:
		kind = ErrTrouble
	default:
		kind = ErrLies
	}
	return fmt.Errorf("%w: status %d: %.200q", kind, status, body)
}
