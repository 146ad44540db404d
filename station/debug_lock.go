package station

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"hallmark/devices"
	"hallmark/station/reason"
)

// lockLimit is the time that the programmer may take in the step lock of this Run.
func (a *attempt) lockLimit() time.Duration {
	if !a.config.LockDebugPort || !a.last() {
		return 0
	}
	return a.port.Setup().LockLimit
}

// lockedBefore returns nil instead of refusal if a probe refused its work because this station
// locked the debug port in an earlier Run. A port that somebody else locked is refused as that. If only the intent to lock
// is on record, the locked chip must be shown to be the board.
func (a *attempt) lockedBefore(ctx context.Context, id *devices.Identity, refusal error) error {
	if reason.Of(refusal).Word != lockedWord {
		return refusal
	}
	standing, err := a.standing(ctx, id.ID)
	if err != nil {
		return err
	}
	if standing.Lock == "" {
		a.run.Identity = id // for the record of the refused Run
		return fmt.Errorf("%w: %w", ErrLockedElsewhere, refusal)
	}
	if standing.Lock != LockLocked && !a.proven {
		if a.run.Boot != nil { // a restart would disturb the steps that follow the step reset
			return fmt.Errorf("%w: %w", ErrLockUnproven, refusal)
		}
		if _, err := a.provesLock(ctx, id); err != nil {
			return err
		}
	}
	if a.run.Probe == nil { // a locked chip does not say what it is
		a.run.Probe = &ProbeRecord{Serial: cmp.Or(a.probeSerial, a.port.Setup().Probe)}
	}
	return nil
}

// notLockedElsewhere refuses, before anything is signed, a board whose debug port somebody else has locked. Such
// a board could have any firmware and any lock. It asks the probe only where a later step would find the lock, and
// no port that was open earlier in this Run.
func (a *attempt) notLockedElsewhere(ctx context.Context) error {
	if a.port == nil || a.port.Setup().Lock == nil || !a.config.LockDebugPort && !a.port.Setup().Store {
		return nil
	}
	if a.run.Certificate != nil || a.run.Flash != nil && !a.run.Flash.Held {
		return nil
	}
	standing, err := a.standing(ctx, a.run.Identity.ID)
	if err != nil || standing.Lock == LockLocked || standing.Lock != "" && a.proven {
		return err
	}
	state, err := a.port.LockState(ctx)
	if err != nil || state != LockLocked {
		return err
	}
	if standing.Lock != "" {
		now, err := a.provesLock(ctx, a.run.Identity)
		if err == nil {
			a.run.Identity = now
		}
		return err
	}
	a.lockIs(state)
	return a.noteLock(ctx)
}

// lockedWord is the reason with which a probe refuses a locked chip.
const lockedWord = "target-locked"

// lockDebugPort locks the debug port unless it is locked, and notes the state that was read from
// the chip, whatever the state is. now is what the board said at the begin of the step.
func (a *attempt) lockDebugPort(ctx context.Context, now *devices.Identity) error {
	a.waits(WaitState)
	state, err := a.port.LockState(ctx)
	if err != nil {
		return err
	}
	a.lockIs(state)
	if state == LockLocked {
		err = a.isLocked(ctx, now)
	} else {
		err = a.closesPort(ctx, now)
	}
	if err != nil {
		return err
	}
	if err := a.noteLock(ctx); err != nil {
		return err
	}
	if a.run.Lock.State != LockLocked {
		return fmt.Errorf("%w: %s", ErrLockOpen, a.run.Lock.Recipe.Kind)
	}
	return nil
}

// isLocked accepts a locked chip as the board if its lock is on record as read. With less on record the chip must be shown to be the
// board, because the debug cable may lead to another one meanwhile. noteLock refuses a lock without an intent.
func (a *attempt) isLocked(ctx context.Context, now *devices.Identity) error {
	standing, err := a.standing(ctx, now.ID)
	if err != nil || standing.Lock == LockLocked || standing.Lock == "" {
		return err
	}
	_, err = a.provesLock(ctx, now)
	return err
}

// closesPort locks the debug port of a chip that is open, after it was shown to be the board: the debug cable may lead to another board since
// the last question, and a lock cannot be undone.
func (a *attempt) closesPort(ctx context.Context, now *devices.Identity) error {
	if err := a.askProbe(ctx); err != nil {
		return err
	}
	over, err := a.probes.takes(ctx)
	if err != nil {
		return err
	}
	defer over()
	if _, err := a.proveInTurn(ctx, now); err != nil {
		return err
	}
	return a.closePort(ctx, over)
}

// noteLock puts the state that was read on record. The registry refuses a port that somebody else
// locked: its record then has no recipe, because the recipe is not known.
func (a *attempt) noteLock(ctx context.Context) error {
	err := a.config.Registry.LockRead(ctx, a.run)
	if err == nil {
		return nil
	}
	if errors.Is(err, ErrLockedElsewhere) {
		a.run.Lock = &LockRecord{State: LockLocked}
	}
	return fmt.Errorf("noting the state of the lock: %w", registryError(err))
}

// lockIs makes a new record, because observers may read the old one.
func (a *attempt) lockIs(state LockState) {
	a.run.Lock = &LockRecord{Recipe: *a.port.Setup().Lock, State: state}
}

// closePort locks the debug port, and reads its state after a restart. A lock cannot be undone, so
// the intent is on record before (I15). The restarted board must answer as the same board. over ends the turn of the bay.
func (a *attempt) closePort(ctx context.Context, over func()) error {
	if err := a.config.Registry.LockIntended(ctx, a.run); err != nil {
		return fmt.Errorf("noting the intent to lock: %w", registryError(err))
	}
	a.lockIs(LockPending)
	a.resetByProbe = true
	defer a.pair().mayRestart(ctx)()
	a.waits(WaitLock)
	err := a.port.Lock(ctx)
	over()
	if err != nil {
		return err
	}
	a.waits(WaitStart)
	id, _, err := a.board.Reset(ctx)
	if err != nil {
		return errors.Join(fmt.Errorf("restarting the locked board: %w", withComponent(ErrLine, err)), a.readsLock(ctx))
	}
	if id != a.run.Identity.ID {
		return &SwappedError{Want: a.run.Identity.ID, Got: id}
	}
	a.waits(WaitState)
	state, err := a.port.LockState(ctx)
	if err == nil {
		a.lockIs(state)
	}
	return err
}

// readsLock puts the lock of a board that is silent after it on record. The chip was shown to be the board just before, and some chips
// start only after a power cycle then: no later Run could show it again.
func (a *attempt) readsLock(ctx context.Context) error {
	state, err := a.port.LockState(ctx)
	if err != nil {
		return err
	}
	a.lockIs(state)
	return a.noteLock(ctx)
}
