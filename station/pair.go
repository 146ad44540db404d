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

// A Pair is a probe, and a board that answers on a UART.
type Pair struct {
	Port DebugPort
	// Ask asks the board who it is, for a short time. The result is nil if the board is silent.
	Ask   func(context.Context) (*devices.Identity, error)
	Board RestartingBoard // nil: its port stays when the board restarts
	Boot  time.Duration   // from a restart to the first answer, at most
	Stale time.Duration   // how long answers of the old start count as delayed

	probes *probes // of all bays, whose turn the caller has; nil: no other bay is at work
}

// Proves shows that the chip at the probe is the board on the UART: the probe restarts the chip, and the board must answer with
// another boot id than before. It returns what the board says after the restart. If the board did not restart, the error is
// ErrProbeElsewhere. If it stays silent, the error is devices.ErrNoAnswer; if it restarts by itself, ErrRestarted. before is what the board
// said last.
func (p *Pair) Proves(ctx context.Context, before *devices.Identity) (*devices.Identity, error) {
	if p.probes == nil {
		return p.proof(ctx, before)
	}
	return p.probes.repeated(func() (*devices.Identity, error) {
		now, err := p.proof(ctx, before)
		if err == nil {
			before = now
		}
		return now, err
	})
}

// proof is one restart of the board.
func (p *Pair) proof(ctx context.Context, before *devices.Identity) (*devices.Identity, error) {
	before, err := p.stays(ctx, before)
	if err != nil {
		return nil, err
	}
	defer p.mayRestart(ctx)()
	if err := p.Port.Restart(ctx); err != nil {
		return nil, fmt.Errorf("restarting the board by its probe: %w", err)
	}
	now, err := p.answers(ctx, before)
	switch {
	case err != nil:
		return nil, err
	case now == nil:
		return nil, fmt.Errorf("after a restart by the probe: %w", devices.ErrNoAnswer)
	case now.ID != before.ID:
		return nil, &SwappedError{Want: before.ID, Got: now.ID}
	}
	return now, nil
}

// stays asks the board immediately before the restart, because it may have restarted since its last answer. A boot id that is another one at each
// question shows nothing.
func (p *Pair) stays(ctx context.Context, before *devices.Identity) (*devices.Identity, error) {
	for range 2 {
		now, err := p.Ask(ctx)
		switch {
		case err != nil:
			return nil, err
		case now == nil:
			return nil, cmp.Or(ctx.Err(), fmt.Errorf("before a restart by the probe: %w", devices.ErrNoAnswer))
		case now.ID != before.ID:
			return nil, &SwappedError{Want: before.ID, Got: now.ID}
		case now.Boot == before.Boot:
			return now, nil
		}
		before = now
	}
	return nil, fmt.Errorf("%w, so no restart shows that the probe is connected to it", ErrRestarted)
}

// bootPause is the time between two questions to a board that answers something else.
const bootPause = 50 * time.Millisecond

// answers asks until the board answers, because a board that starts may lose a question. The result is nil if it stays silent. If the
// board said something before the restart, the answer must have another boot id: the same one says that the board did not restart.
func (p *Pair) answers(ctx context.Context, before *devices.Identity) (*devices.Identity, error) {
	boot, cancel := context.WithTimeout(ctx, p.Boot)
	defer cancel()
	stale := time.Now().Add(p.Stale)
	for {
		now, err := p.Ask(boot)
		switch {
		case boot.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			return nil, err
		case now == nil:
		case before == nil || now.Boot != before.Boot:
			return now, nil
		case time.Now().After(stale):
			return nil, fmt.Errorf("%w: board %s did not restart with the chip at the probe", ErrProbeElsewhere, now.ID)
		}
		select {
		case <-time.After(bootPause):
		case <-boot.Done():
		}
	}
}

// portGone is how long the port of a board with USB of its own may be gone when a probe restarts the board, if ctx does not say it. It counts
// from the start of the programmer, which may take 90 s until it resets the board.
const portGone = 2 * time.Minute

// mayRestart says that the probe may restart the board, until the end of ctx or until over is called.
func (p *Pair) mayRestart(ctx context.Context) (over func()) {
	if p.Board == nil {
		return func() {}
	}
	within := portGone
	if end, bounded := ctx.Deadline(); bounded {
		within = time.Until(end)
	}
	p.Board.ExpectRestart(within)
	return func() { p.Board.ExpectRestart(0) }
}

// pair is the probe and the board of this bay.
func (a *attempt) pair() *Pair {
	board, _ := a.board.(RestartingBoard)
	return &Pair{Port: a.port.DebugPort, probes: a.probes, Board: board, Boot: a.config.Timeouts.Boot, Stale: a.config.Timeouts.Ask,
		Ask: func(ctx context.Context) (*devices.Identity, error) { return a.whoAnswers(ctx, a.config.Timeouts.Ask) }}
}

// restart resets a board by its probe, and waits for its answer.
func (a *attempt) restart(ctx context.Context) (*devices.Identity, error) {
	pair := a.pair()
	defer pair.mayRestart(ctx)()
	a.waits(WaitStart)
	if err := a.inTurn(ctx, a.port.Restart); err != nil {
		return nil, err
	}
	return pair.answers(ctx, nil)
}

// prove shows that the chip at the probe is the board that said before, and returns what the board says now. It costs a restart, so only
// work that cannot be undone, and evidence that a probe read, ask for it.
func (a *attempt) prove(ctx context.Context, before *devices.Identity) (now *devices.Identity, err error) {
	err = a.inTurn(ctx, func(ctx context.Context) error {
		now, err = a.proveInTurn(ctx, before)
		return err
	})
	return now, err
}

// inTurn does work while no other bay proves, locks or restarts its board.
func (a *attempt) inTurn(ctx context.Context, do func(context.Context) error) error {
	over, err := a.probes.takes(ctx)
	if err != nil {
		return err
	}
	defer over()
	return do(ctx)
}

func (a *attempt) proveInTurn(ctx context.Context, before *devices.Identity) (*devices.Identity, error) {
	a.resetByProbe = true
	a.waits(WaitProof)
	now, err := a.pair().Proves(ctx, before)
	if err != nil {
		if errors.Is(err, devices.ErrNoAnswer) {
			err = withComponent(ErrLine, err)
		}
		if a.run.Identity == nil {
			a.run.Identity = before // for the record of the refused Run
		}
		return nil, err
	}
	a.proven, a.unproven = true, false
	a.resetByProbe = a.run.Boot != nil // before the step reset, the Run goes on with this boot id
	return now, nil
}

// proofLimit is the time that a proof in the step identify may take.
func (a *attempt) proofLimit() time.Duration {
	if !a.unproven {
		return 0
	}
	return portGone + a.config.Timeouts.Boot
}

// provesLate shows that a board which was silent after the step flash is the chip at the probe, and returns what the board says then. A chip in
// which the probe found the image needs no proof if the board's own word is enough.
func (a *attempt) provesLate(ctx context.Context, id *devices.Identity) (*devices.Identity, error) {
	switch {
	case !a.unproven || a.run.Flash.Held && a.believed(id):
		return id, nil
	case a.run.Flash.Held:
		return a.prove(ctx, id)
	}
	now, err := a.prove(ctx, id)
	return now, flashedElsewhere(err)
}

// flashedElsewhere says which chip was flashed, if the board on the UART was not.
func flashedElsewhere(err error) error {
	if !errors.Is(err, ErrProbeElsewhere) {
		return err
	}
	return fmt.Errorf("the chip at the probe was flashed, and that is another board: %w", err)
}

// provesDifference shows that a store which differs is that of the board on the UART: the probe may have read another board, which says nothing
// against this one.
func (a *attempt) provesDifference(ctx context.Context, differs error) error {
	now, err := a.present(ctx)
	if err != nil {
		return fmt.Errorf("%w (before that: %v)", withComponent(ErrLine, err), differs)
	}
	if _, err := a.prove(ctx, &now); err != nil {
		return fmt.Errorf("%w (before that: %v)", err, differs)
	}
	return differs
}

// provesLock shows that a locked chip is the board that said before. The registry has only an intent to lock that board, so the locked
// chip at the probe could be another one. A chip that no probe can restart while it is locked gives no proof.
func (a *attempt) provesLock(ctx context.Context, before *devices.Identity) (*devices.Identity, error) {
	now, err := a.prove(ctx, before)
	if err != nil && (errors.Is(err, ErrProbeElsewhere) || reason.Of(err).Word == lockedWord || reason.Of(err).Word == cannotWord) {
		return nil, fmt.Errorf("%w: %w", ErrLockUnproven, err)
	}
	return now, err
}

// cannotWord is the reason with which a probe refuses work that nobody described.
const cannotWord = "tool-cannot"
