package station

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"hallmark/devices"
	"hallmark/station/reason"
)

// An attempt is one Run at work: the Run with its board and its key. Until Enrol returns,
// only the attempt changes the Run.
type attempt struct {
	*Station
	board         Board
	port          *bayPort // nil: the bay has none
	run           *Run
	key           Key               // the key that the Run certifies
	wire          devices.WireCount // counters at the start of the Run
	observerError error             // panic of the observer
	proven        bool              // a restart has shown that the chip at the probe is the board on the UART
	unproven      bool              // the probe flashed or read a board that was silent, so nothing has shown yet that it is the one on the UART
	probeSerial   string            // of the probe that was asked, also if the chip did not answer
	step          string            // the one at work
	resetByProbe  bool              // the probe may have reset the board, so a new boot id is no sign of a disturbance
}

// Enrol does the steps of a Run that are not done yet. Enrol skips a step whose result the
// Run already holds, except identify. After a nil error the Run is closed: Ending is set, and
// Reason and Err are set unless Ending is Pass. (At a Pass, Err can still report an observer
// that panicked.) A non-nil error is a mistake of the caller; then Enrol did nothing.
//
// Stopping: after Drain, a Run that has reached sign goes to its end (bounded by
// Timeouts.Run), and every other Run ends as Aborted. A cancelled ctx ends the Run as
// Aborted at any step. In both cases Enrol closes the Run's record with a fresh
// context of at most Timeouts.Close. If a certificate was signed but not delivered, the next
// Run of the board delivers it (I9).
func (s *Station) Enrol(ctx context.Context, board Board, run *Run) error {
	return s.EnrolWith(ctx, board, nil, run)
}

// EnrolWith is Enrol for a board in a bay with a debug port; port may be nil.
func (s *Station) EnrolWith(ctx context.Context, board Board, port DebugPort, run *Run) error {
	if err := s.enrollable(board, port, run); err != nil {
		return fmt.Errorf("enrolling: %w", err)
	}
	key, err := s.keyOf(run)
	if err != nil {
		return fmt.Errorf("enrolling: %w", err)
	}
	a := &attempt{Station: s, board: board, run: run, key: key, wire: wireOf(board)}
	if port != nil {
		a.port = &bayPort{port, run.Bay, s.probes}
	}
	run.Started = s.config.Now()
	a.emit(RunStarted, "")
	bounded, cancel := context.WithTimeoutCause(ctx, s.config.Timeouts.Run+a.flashLimit()+a.lockLimit(), fmt.Errorf("%w for the whole Run", ErrTimeout))
	defer cancel()
	err = a.walk(bounded)
	a.close(ctx, err)
	a.emit(RunEnded, "")
	run.Err = errors.Join(run.Err, a.observerError)
	return nil
}

func (s *Station) enrollable(board Board, port DebugPort, run *Run) error {
	switch {
	case board == nil:
		return errBoardNil
	case run == nil || run.ID == [16]byte{}:
		return errNoRun
	case run.Ending != "":
		return errRunEnded
	case s.config.LockDebugPort && (port == nil || port.Setup().Lock == nil):
		return errNoLock
	}
	return nil
}

// walk does the steps in order and stops at the first step that fails.
func (a *attempt) walk(ctx context.Context) error {
	for _, step := range a.steps {
		if step.Done != nil && step.Done(a.run) || step.Last && !a.last() || step.Here != nil && !step.Here(a) {
			continue
		}
		if err := a.timed(ctx, step); err != nil {
			return fmt.Errorf("%s: %w", step.Name, a.recheckBoard(ctx, err))
		}
		if step.Done != nil && !step.Done(a.run) {
			return fmt.Errorf("%s: %w: the step left no result", step.Name, ErrPanic)
		}
	}
	return nil
}

// last reports whether this is the board's last Run: the Run for the last configured key.
func (a *attempt) last() bool { return a.isLast(a.run.Purpose) }

func (s *Station) isLast(purpose devices.Purpose) bool {
	return s.config.Keys[len(s.config.Keys)-1].Purpose == purpose
}

// slot returns the slot of the certificate that the Run delivers.
func (a *attempt) slot() devices.Slot { return a.run.Purpose.Slot() }

// timed does one step within its time-out, and notes the time and the retries of the step.
func (a *attempt) timed(ctx context.Context, step Step) error {
	ctx, cancel := a.within(ctx, step)
	defer cancel()
	begun, waited, retries := a.config.Now(), waitedFor(a.board), wireOf(a.board).Retries
	a.step = step.Name
	a.emit(StepStarted, step.Name)
	err := a.guarded(ctx, step)
	a.run.Steps = append(a.run.Steps, StepTime{
		Name:    step.Name,
		Took:    a.config.Now().Sub(begun),
		Outside: waitedFor(a.board) - waited,
		Retries: wireOf(a.board).Retries - retries,
	})
	a.emit(StepEnded, step.Name)
	if err != nil && ctx.Err() != nil {
		return &stopped{cause: context.Cause(ctx), err: err}
	}
	return err
}

// within returns a context for a step. The context ends at the step's time-out and, before
// sign, also at a drain.
func (a *attempt) within(ctx context.Context, step Step) (context.Context, context.CancelFunc) {
	bound := cmp.Or(step.Bound, a.config.Timeouts.Step)
	if step.Extra != nil {
		bound += step.Extra(a)
	}
	if named, ok := a.config.Timeouts.Named[step.Name]; ok {
		bound = named
	}
	ctx, cancelTimeout := context.WithTimeoutCause(ctx, bound, fmt.Errorf("%w after %v", ErrTimeout, bound))
	if step.Committed {
		return ctx, cancelTimeout
	}
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(a.draining, func() { cancel(ErrDraining) })
	return ctx, func() { stop(); cancel(nil); cancelTimeout() }
}

// guarded does a step if the step may still begin. A panic of the step becomes an error.
func (a *attempt) guarded(ctx context.Context, step Step) error {
	return caught(func() error {
		if err := a.mayBegin(ctx, step); err != nil {
			return err
		}
		return step.do(a, ctx)
	})
}

// caught calls do. A panic of do becomes a PanicError.
func caught(do func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &PanicError{Value: value, Stack: debug.Stack()}
		}
	}()
	return do()
}

// mayBegin returns an error if a step must not begin any more: because ctx has ended, or
// because of a drain before sign, the first committed step. A Run that has begun sign goes
// to its end.
func (a *attempt) mayBegin(ctx context.Context, step Step) error {
	if step.Committed && a.run.Certificate == nil && a.draining.Err() != nil {
		return ErrDraining
	}
	return ctx.Err()
}

// recheckBoard asks for the identity again after an error that would be a Reject. If another
// board answers, or the board restarted, recheckBoard returns that error instead: a Reject
// condemns the identified board, so the identified board must have caused the error.
func (a *attempt) recheckBoard(ctx context.Context, err error) error {
	if a.run.Identity == nil || reason.Of(err).Ending != Reject {
		return err
	}
	var now devices.Identity
	silent := caught(func() (err error) { now, err = a.present(ctx); return err })
	if silent != nil {
		return err // the board does not answer any more, so the first error stands
	}
	if other := a.sameBoard(now); other != nil {
		return fmt.Errorf("%w (before that: %v)", other, err)
	}
	return err
}

// close decides the ending and closes the Run's record with a fresh context.
func (a *attempt) close(ctx context.Context, err error) {
	run := a.run
	a.measure()
	row := endingOf(ctx, err)
	run.Finished = a.config.Now()
	run.Ending, run.Reason, run.StopBay, run.Err = row.Ending, row.Word, row.StopBay, err
	if !run.metBoard() {
		return
	}
	fresh, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.config.Timeouts.Close)
	defer cancel()
	failed := a.closeRecord(fresh)
	if row := reason.Of(failed); run.Ending == Pass && row.Ending == Reject && !errors.Is(failed, ErrRegistry) {
		// A person revoked, held or scrapped since the step record. So the board does not pass, and the record says why.
		run.Ending, run.Reason, run.StopBay, run.Err = row.Ending, row.Word, row.StopBay, fmt.Errorf("closing the Run's record as a Pass: %w", failed)
		failed = a.closeRecord(fresh)
	}
	if failed != nil {
		// The evidence is not durable, so the Run is a Fault whatever its verdict
		// was. The board is enrolled again and gets the stored certificate (I9).
		failed = fmt.Errorf("closing the Run's record: %w", registryError(failed))
		run.Err = errors.Join(run.Err, failed)
		run.Ending, run.Outcome, run.Reason = Fault, "", reason.Of(failed).Word
	}
}

func (a *attempt) closeRecord(ctx context.Context) error {
	return caught(func() (err error) { a.run.Outcome, err = a.config.Registry.Close(ctx, a.run); return err })
}

// metBoard reports whether a board took part in the Run: it said who it is, it did something
// for which the Run condemns it, or the station may have changed its flash.
func (r *Run) metBoard() bool {
	return r.Identity != nil || r.Ending == Reject || r.Flash != nil && !r.Flash.Held || needsFlash(r.Err)
}

// measure notes the octets and retries of the Run on the wire, and the board's console text.
func (a *attempt) measure() {
	now := wireOf(a.board)
	a.run.Wire = devices.WireCount{
		Sent:     now.Sent - a.wire.Sent,
		Received: now.Received - a.wire.Received,
		Retries:  now.Retries - a.wire.Retries,
	}
	if counters, ok := a.board.(BoardCounters); ok {
		a.run.Console = counters.Console()
	}
}

// waits tells the observer what the step waits for.
func (a *attempt) waits(what Wait) {
	a.emitEvent(Event{Kind: StepMoved, Step: a.step, Waits: what})
}

func (a *attempt) emit(kind EventKind, step string) {
	a.emitEvent(Event{Kind: kind, Step: step})
}

func (a *attempt) emitEvent(e Event) {
	if err := a.notify(e, a.run); a.observerError == nil {
		a.observerError = err // only the first: the others are like it
	}
}

// notify sends an event to the observer. A panic of the observer becomes an error, because
// the panic must not end a Run in this bay or in another bay.
func (s *Station) notify(e Event, run *Run) error {
	err := caught(func() error {
		e.At, e.Run, e.Bay, e.Snap = s.config.Now(), run.ID, run.Bay, *run
		s.config.Events(e)
		return nil
	})
	if err != nil {
		return fmt.Errorf("telling the observer %s %s: %w", e.Kind, e.Step, err)
	}
	return nil
}

func wireOf(board Board) devices.WireCount {
	if counters, ok := board.(BoardCounters); ok {
		return counters.Wire()
	}
	return devices.WireCount{}
}

func waitedFor(board Board) time.Duration {
	if waits, ok := board.(BoardWaits); ok {
		return waits.Waited()
	}
	return 0
}
