package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"hallmark/devices"
	"hallmark/station"
	"hallmark/station/audit"
	"hallmark/station/reason"
)

// Types of the entries about a recover: a debug probe erases the whole chip, and with it the lock. The intent comes before the act (I15).
const (
	typeRecoverIntent = "board.recover.intent"
	typeRecovered     = "board.recovered"
	typeNotRecovered  = "board.recover.failed"
	typeRecoverDenied = "board.recover.denied"
)

// Names of details about a recover.
const (
	detailBay      = "bay"
	detailKnownBy  = "known_by"
	detailRecovers = "why"
)

// ErrRecoverActive: nobody may erase a board while verifiers accept its certificate.
var ErrRecoverActive = reason.New("recover-active", "board has an active certificate")

// A Recovery is a whole chip that a person has a probe erase.
type Recovery struct {
	Board    devices.BoardID // zero: nobody knows which board it is
	KnownBy  string          // who says which board it is: board, flash, person or nobody
	Bay      string
	Probe    string // serial number
	Why      string
	Operator string
	Hold     bool // an active certificate puts the board on hold in the same transaction; otherwise it is a refusal
}

func (r *Recovery) entry(kind string, outcome audit.Outcome) audit.Entry {
	e := audit.Entry{Actor: actor(r.Operator), Category: audit.CategoryLine, Type: kind, Outcome: outcome,
		Details: map[string]string{detailBay: text(r.Bay), detailProbe: text(r.Probe), detailKnownBy: r.KnownBy, detailRecovers: text(r.Why)}}
	if !r.Board.IsZero() {
		e.Board = &audit.Board{ID: r.Board.String()}
	}
	return e
}

// RecoverIntended notes that a whole chip is about to be erased. It refuses with ErrRecoverActive, on record, a board with an active
// certificate that is neither on hold nor scrapped, unless the board shall be put on hold.
func (r *Registry) RecoverIntended(ctx context.Context, recovery Recovery) error {
	return r.write(ctx, func(w *work) error {
		if err := w.mayRecover(&recovery); err != nil {
			return fmt.Errorf("noting the intent to erase the chip: %w", err)
		}
		_, err := w.append(recovery.entry(typeRecoverIntent, audit.Success))
		return err
	})
}

func (w *work) mayRecover(recovery *Recovery) error {
	id := recovery.Board.String()
	var active int
	err := w.row(`SELECT count(*) FROM certificates WHERE board_id = ?1 AND status = 'active' AND NOT `+isHeld+`?1)`, []any{id}, &active)
	switch {
	case err != nil || active == 0:
		return err
	case recovery.Hold:
		return w.hold(holdEntry(typeHeld, recovery.Board, recovery.Why, recovery.Operator))
	}
	e := recovery.entry(typeRecoverDenied, audit.Denied)
	e.Reason = ErrRecoverActive.Word()
	return &refusal{fmt.Errorf("%w: %s", ErrRecoverActive, id), e}
}

// stateNotRead stands for the state of a lock that the driver cannot read.
const stateNotRead = "not-read"

// RecoverDone notes how the erase ended; cause is nil for a chip that is erased. state is the lock as it was read afterwards;
// empty: it was not read.
func (r *Registry) RecoverDone(ctx context.Context, recovery Recovery, state station.LockState, cause error) error {
	e := recovery.entry(typeRecovered, audit.Success)
	if cause != nil {
		state = ""
		e = recovery.entry(typeNotRecovered, audit.Failure)
		e.Reason = reason.Of(cause).Word
		e.Details["message"] = text(cause.Error())
	}
	e.Details[detailState] = cmp.Or(string(state), stateNotRead)
	err := r.write(ctx, func(w *work) error {
		written, err := w.append(e)
		if err != nil || recovery.Board.IsZero() {
			return err
		}
		id := recovery.Board.String()
		var before string
		err = w.row(`SELECT state FROM locks WHERE board_id = ?`, []any{id}, &before)
		if none(err) {
			return nil // the station never locked it
		}
		after := lockAfter(before, e.Details[detailState])
		if err != nil || after == "" {
			return err
		}
		return w.exec(`UPDATE locks SET state = ?, changed = ? WHERE board_id = ?`, after, written.Time.String(), id)
	})
	if err != nil {
		return errors.Join(cause, fmt.Errorf("noting how the erase ended: %w", err))
	}
	return cause
}

// lockAfter returns the state of a lock on record after an erase; empty: it stays as before. A lock that was not read may be gone, so it
// counts as an intent: the next Run must show that a locked chip is the board.
func lockAfter(before, read string) string {
	switch {
	case read != stateNotRead:
		return read
	case before == string(station.LockLocked):
		return string(station.LockPending)
	}
	return ""
}

// recovered sets the lock after an erase, or after one that failed. Versions before the state was read wrote none: they took the port of
// an erased chip for open, and a failure changed nothing.
func (s *replay) recovered(e audit.Entry) error {
	read := e.Details[detailState]
	if read == "" && e.Type == typeRecovered {
		read = string(station.LockOpen)
	}
	if e.Board == nil || s.locks[e.Board.ID] == nil || read == "" {
		return nil // nobody knows the board, or the station never locked it
	}
	lock := s.locks[e.Board.ID]
	if state := lockAfter(lock[lockState], read); state != "" {
		lock[lockState], lock[lockChanged] = state, e.Time.String()
	}
	return nil
}

// Places in the fields that replay.locked makes.
const (
	lockState   = 6
	lockChanged = 7
)
