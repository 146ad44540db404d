package registry

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"time"

	"hallmark/devices"
	"hallmark/station"
	"hallmark/station/audit"
	"hallmark/station/reason"
)

// This file has what the registry knows about boards that are sealed and about debug ports.

// Types of the entries about a seal, and about the lock of a debug port. The intents come before the act, because
// neither can be undone (I15). The last three have the state that was read from the chip.
const (
	typeSealIntent  = "board.seal.intent" // its success is "sealed" in the entry that ends the Run
	typeLockIntent  = "board.lock.intent"
	typeLocked      = "board.locked"
	typeLockOpen    = "board.lock.open"
	typeLockForeign = "board.lock.foreign" // locked without an intent of this station; makes no row
)

// Names of details about a debug port, in entries that end a Run and in entries about a lock.
const (
	detailProbe   = "probe"
	detailTarget  = "target"
	detailFlashed = "flashed_sha256" // image file that the Run wrote
	detailHeld    = "holds_sha256"   // image file that the board held before the Run
	detailKind    = "lock_kind"
	detailRecipe  = "lock_recipe_sha256"
	detailKey     = "lock_key"
	detailState   = "lock_state"
)

// ErrLockUnread: a Run that wanted to lock a debug port does not pass before the state was read.
var ErrLockUnread = reason.New("lock-unread", "debug port was not read as locked after the intent to lock it")

// SealIntended notes that the store of the Run's board is about to be sealed. It refuses a Run whose certificate is not
// active, because a sealed board takes no other one.
func (r *Registry) SealIntended(ctx context.Context, run *station.Run) error {
	return r.write(ctx, func(w *work) error {
		if err := w.isActive(run); err != nil {
			return fmt.Errorf("noting the intent to seal: %w", err)
		}
		e := runEntry(run, typeSealIntent, audit.Success)
		e.Actor = audit.Itself()
		_, err := w.append(e)
		return err
	})
}

// isActive refuses a Run whose certificate is not active.
func (w *work) isActive(run *station.Run) error {
	in, err := w.certificateOf(run)
	if err == nil && in.status != "active" {
		err = in.unfit()
	}
	return err
}

// LockIntended notes that the debug port of the Run's board is about to be locked. It refuses a Run
// whose certificate is not active, because a locked board cannot be repaired.
func (r *Registry) LockIntended(ctx context.Context, run *station.Run) error {
	return r.write(ctx, func(w *work) error {
		if err := w.isActive(run); err != nil {
			return fmt.Errorf("noting the intent to lock: %w", err)
		}
		return w.noteLock(run, typeLockIntent, audit.Success, station.LockRecord{Recipe: run.Lock.Recipe, State: station.LockPending})
	})
}

// LockRead notes the state of the lock that was read from the board. A state that is on record already
// changes nothing. If the port is locked and no intent is on record, somebody else locked it: LockRead
// writes that into the log, keeps no row, and returns station.ErrLockedElsewhere.
func (r *Registry) LockRead(ctx context.Context, run *station.Run) error {
	return r.write(ctx, func(w *work) error {
		known, err := w.lockOf(run)
		switch {
		case err != nil:
			return fmt.Errorf("noting the state of the lock: %w", err)
		case run.Lock.State != station.LockLocked:
			return w.noteLock(run, typeLockOpen, audit.Failure, station.LockRecord{Recipe: run.Lock.Recipe, State: station.LockOpen})
		case known == nil:
			e := lockEntry(run, typeLockForeign, audit.Denied, station.LockLocked)
			e.Reason = station.ErrLockedElsewhere.Word()
			return &refusal{fmt.Errorf("%w: board %v", station.ErrLockedElsewhere, run.Identity.ID), e}
		case known.State == station.LockLocked:
			return nil
		}
		known.State = station.LockLocked
		return w.noteLock(run, typeLocked, audit.Success, *known)
	})
}

// lockOf gives the lock that is on record for the board of an open Run; nil: this station never intended to lock
// the board. A state that is not locked belongs to a Run that has its certificate.
func (w *work) lockOf(run *station.Run) (*station.LockRecord, error) {
	if run.Lock.State != station.LockLocked || run.Identity == nil {
		_, err := w.certificateOf(run)
		return nil, err
	}
	if _, err := w.openRunInUse(run.ID.String(), run.Identity.ID); err != nil {
		return nil, err
	}
	var known station.LockRecord
	var sum []byte
	err := w.row(`SELECT state, kind, recipe_sha256, key FROM locks WHERE board_id = ?`, []any{run.Identity.ID.String()}, &known.State, &known.Recipe.Kind, &sum, &known.Recipe.Key)
	if none(err) {
		return nil, nil
	}
	copy(known.Recipe.SHA256[:], sum)
	return &known, err
}

// lockEntry makes an entry about the lock of the Run's board.
func lockEntry(run *station.Run, kind string, outcome audit.Outcome, state station.LockState) audit.Entry {
	e := runEntry(run, kind, outcome)
	e.Actor = audit.Itself()
	e.Details = map[string]string{detailKind: text(run.Lock.Recipe.Kind), detailState: string(state)}
	byProbe(run, e.Details)
	return e
}

func (w *work) noteLock(run *station.Run, kind string, outcome audit.Outcome, lock station.LockRecord) error {
	e := lockEntry(run, kind, outcome, lock.State)
	e.Details[detailKind], e.Details[detailRecipe] = text(lock.Recipe.Kind), hex.EncodeToString(lock.Recipe.SHA256[:])
	if lock.Recipe.Key != "" {
		e.Details[detailKey] = text(lock.Recipe.Key)
	}
	written, err := w.append(e)
	if err != nil {
		return err
	}
	d := written.Details
	return w.exec(`INSERT INTO locks (board_id, run, probe, target, kind, recipe_sha256, key, state, changed) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
		ON CONFLICT (board_id) DO UPDATE SET run = ?2, probe = ?3, target = ?4, kind = ?5, recipe_sha256 = ?6, key = ?7, state = ?8, changed = ?9`,
		e.Board.ID, e.Run.ID, d[detailProbe], d[detailTarget], d[detailKind], lock.Recipe.SHA256[:], d[detailKey], string(lock.State), written.Time.String())
}

// byProbe adds what a probe did in the Run.
func byProbe(run *station.Run, details map[string]string) {
	if run.Probe != nil {
		details[detailProbe], details[detailTarget] = text(run.Probe.Serial), text(run.Probe.Target)
	}
}

// flashed adds which image the Run wrote or found.
func flashed(run *station.Run, details map[string]string) {
	switch sum := run.Flash; {
	case sum == nil, sum.Image == [sha256.Size]byte{}:
	case sum.Held:
		details[detailHeld] = hex.EncodeToString(sum.Image[:])
	default:
		details[detailFlashed] = hex.EncodeToString(sum.Image[:])
	}
}

// lockIsRead refuses to end a Run as Pass between its intent to lock and the state that was read, and
// with a lock that is not this station's.
func (w *work) lockIsRead(run *station.Run) error {
	var state, lastRun string
	err := w.row(`SELECT state, run FROM locks WHERE board_id = ?`, []any{run.Identity.ID.String()}, &state, &lastRun)
	switch {
	case none(err) && run.Lock == nil:
		return nil
	case none(err):
		return fmt.Errorf("%w: it is locked, and not by this station", ErrLockUnread)
	case err != nil:
		return err
	case state != string(station.LockLocked) && (run.Lock != nil || lastRun == run.ID.String()):
		return fmt.Errorf("%w: the state is %s", ErrLockUnread, state)
	}
	return nil
}

// Ends gives the notAfter of the board's active certificate for a purpose, or zero if none is active.
func (r *Reader) Ends(ctx context.Context, id devices.BoardID, purpose devices.Purpose) (time.Time, error) {
	var ends sql.NullString
	err := r.db.QueryRowContext(ctx, `SELECT max(not_after) FROM certificates WHERE board_id = ? AND purpose = ? AND status = 'active'`,
		id.String(), purpose.String()).Scan(&ends)
	if err != nil || !ends.Valid {
		return time.Time{}, err
	}
	return time.Parse(time.RFC3339Nano, ends.String)
}

// Standing gives what the registry has about a board.
func (r *Reader) Standing(ctx context.Context, id devices.BoardID) (station.Standing, error) {
	var active, lock sql.NullString
	err := r.db.QueryRowContext(ctx, `SELECT (SELECT max(changed) FROM certificates WHERE board_id = ?1 AND status = 'active'),
		(SELECT state FROM locks WHERE board_id = ?1)`, id.String()).Scan(&active, &lock)
	if err != nil {
		return station.Standing{}, fmt.Errorf("looking up board %v: %w", id, err)
	}
	s := station.Standing{Lock: station.LockState(lock.String)}
	if active.Valid {
		s.Active, err = time.Parse(time.RFC3339Nano, active.String)
	}
	return s, err
}

// locked makes the row of a lock from its entry.
func (s *replay) locked(e audit.Entry) error {
	if e.Run == nil || e.Board == nil {
		return incomplete(e, "Run or board")
	}
	d := e.Details
	s.locks[e.Board.ID] = fields{e.Run.ID, d[detailProbe], d[detailTarget], d[detailKind], d[detailRecipe], d[detailKey], d[detailState], e.Time.String()}
	return nil
}

// ProbePart gives what a probe did in a Run, from the entry that closed the Run. A part that the
// entry does not have is nil.
func ProbePart(e audit.Entry) (probe *station.ProbeRecord, flash *station.FlashRecord, lock *station.LockRecord) {
	d := e.Details
	if d[detailProbe] != "" {
		probe = &station.ProbeRecord{Serial: d[detailProbe], Target: d[detailTarget]}
	}
	if sum, err := hex.DecodeString(d[detailFlashed] + d[detailHeld]); err == nil && len(sum) == sha256.Size {
		flash = &station.FlashRecord{Image: [sha256.Size]byte(sum), Held: d[detailHeld] != ""}
	}
	if state := d[detailState]; state != "" {
		lock = &station.LockRecord{State: station.LockState(state)}
	}
	return probe, flash, lock
}
