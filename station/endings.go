package station

import (
	"context"
	"errors"
	"fmt"

	"hallmark/devices"
	"hallmark/station/issuance"
)

// A Verdict is what an error means for the Run.
type Verdict struct {
	Ending  Ending
	Reason  string // the word for test, audit log and screen
	StopBay bool   // nothing more in this bay until an operator has looked (I4)
}

// verdicts is the one table from error to ending. The first row that matches
// counts: what says something about the board comes before what hides it.
var verdicts = []struct {
	err error
	Verdict
}{
	// A stopped bay gives the reason of its last board, which is not this one's.
	{ErrBayStopped, Verdict{Aborted, "bay-stopped", false}},

	// Handling. These come early because the board that is blamed may be another one.
	{ErrSwapped, Verdict{Fault, "swapped", false}},
	{ErrRestarted, Verdict{Fault, "restarted", false}},

	// I4: somebody else has this identity, or everybody.
	{ErrClone, Verdict{Reject, "clone", true}},
	{ErrDummyIdentity, Verdict{Reject, "dummy-identity", true}},
	{issuance.ErrDummyIdentity, Verdict{Reject, issuance.ErrDummyIdentity.Reason, true}},
	{issuance.ErrKeyElsewhere, Verdict{Reject, "key-elsewhere", true}},

	// What the board says of itself.
	{ErrUntrustedHUK, Verdict{Reject, "untrusted-huk", false}},
	{ErrIdentityABI, Verdict{Reject, "identity-abi", false}},
	{ErrSealed, Verdict{Reject, "sealed", false}},
	{ErrScrapped, Verdict{Reject, "scrapped", false}},
	{issuance.ErrRevoked, Verdict{Reject, "revoked", false}},

	// Its CSR.
	{issuance.ErrTooLarge, rejects(issuance.ErrTooLarge)},
	{issuance.ErrNotDER, rejects(issuance.ErrNotDER)},
	{issuance.ErrTrailing, rejects(issuance.ErrTrailing)},
	{issuance.ErrVersion, rejects(issuance.ErrVersion)},
	{issuance.ErrKeyNotP256, rejects(issuance.ErrKeyNotP256)},
	{issuance.ErrNotOnCurve, rejects(issuance.ErrNotOnCurve)},
	{issuance.ErrSignatureAlgorithm, rejects(issuance.ErrSignatureAlgorithm)},
	{issuance.ErrSignature, rejects(issuance.ErrSignature)},
	{issuance.ErrSubject, rejects(issuance.ErrSubject)},
	{issuance.ErrBoardID, rejects(issuance.ErrBoardID)},
	{issuance.ErrNonceMissing, rejects(issuance.ErrNonceMissing)},
	{issuance.ErrNonceWrong, rejects(issuance.ErrNonceWrong)},
	{issuance.ErrNonceDuplicated, rejects(issuance.ErrNonceDuplicated)},
	{issuance.ErrUnexpectedAttribute, rejects(issuance.ErrUnexpectedAttribute)},
	{issuance.ErrUnexpectedExtension, rejects(issuance.ErrUnexpectedExtension)},

	// Its flash and its handshake.
	{ErrForeignCertificate, Verdict{Reject, "foreign-certificate", false}},
	{ErrNotReset, Verdict{Reject, "not-reset", false}},
	{ErrReadBack, Verdict{Reject, "read-back-differs", false}},
	{ErrHandshakeRefused, Verdict{Reject, "handshake-refused", false}},
	{ErrWrongCertificate, Verdict{Reject, "wrong-certificate", false}},
	{ErrNoAnswerRead, Verdict{Reject, "no-answer-read", false}},

	// Stops that somebody asked for.
	{ErrDraining, Verdict{Aborted, "draining", false}},

	// The station and what it stands on.
	{ErrUnknownOrder, Verdict{Fault, "unknown-order", false}},
	{ErrQuota, Verdict{Fault, "quota", false}},
	{issuance.ErrBadRequest, faults(issuance.ErrBadRequest)},
	{issuance.ErrOutlives, faults(issuance.ErrOutlives)},
	{issuance.ErrDoesNotFit, faults(issuance.ErrDoesNotFit)},
	{issuance.ErrIssuerChain, faults(issuance.ErrIssuerChain)},
	{issuance.ErrIssuerKey, faults(issuance.ErrIssuerKey)},
	{issuance.ErrProfile, faults(issuance.ErrProfile)},
	{issuance.ErrGrantForeign, faults(issuance.ErrGrantForeign)},
	{issuance.ErrGrantUsed, faults(issuance.ErrGrantUsed)},
	{issuance.ErrUnresolved, faults(issuance.ErrUnresolved)},
	{issuance.ErrNotSigned, faults(issuance.ErrNotSigned)},
	{issuance.ErrAlreadyActive, Verdict{Fault, "already-active", false}},
	{issuance.ErrAlreadyIssued, Verdict{Fault, "already-issued", false}},
	{issuance.ErrInFlight, Verdict{Fault, "in-flight", false}},
	{issuance.ErrSerialTaken, Verdict{Fault, "serial-taken", false}},
	{issuance.ErrNotIssued, Verdict{Fault, "not-issued", false}},
	{ErrUnknownCertificate, Verdict{Fault, "unknown-certificate", false}},
	{ErrPanic, Verdict{Fault, "panic", false}},
	{ErrNoBoard, Verdict{Fault, "no-board", false}},
	{ErrTimeout, Verdict{Fault, "timeout", false}},
	{ErrRegistry, Verdict{Fault, "registry", false}},
	{ErrSigning, Verdict{Fault, "signing", false}},
	{ErrVerifier, Verdict{Fault, "verifier", false}},
	{ErrRandom, Verdict{Fault, "random", false}},
	{ErrLine, Verdict{Fault, "line", false}},
}

// The issuer has its own words; they are used as they are.
func rejects(r *issuance.Refusal) Verdict { return Verdict{Reject, r.Reason, false} }
func faults(r *issuance.Refusal) Verdict  { return Verdict{Fault, r.Reason, false} }

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
	Got  uint64
	Want string
}

func (e *IdentityError) Error() string {
	return fmt.Sprintf("%v: board says %d, want %s", e.Kind, e.Got, e.Want)
}
func (e *IdentityError) Unwrap() error { return e.Kind }
