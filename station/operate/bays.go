package operate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"hallmark/devices"
	"hallmark/station"
	"hallmark/station/audit"
	"hallmark/station/instance"
)

// A bayState is one place on the bench with what was asked of it. The Controller's mu covers its fields.
type bayState struct {
	spec  instance.BaySpec
	place *station.Bay

	board     int // number of the emulated board that sits in the bay
	used      bool
	skipped   string // the reason, empty when the bay takes part
	expect    string // BoardID of the scanned label
	running   bool
	committed bool // the Run has reached sign: it goes to its end
	cancel    context.CancelFunc
	last      station.Ending
	passed    time.Time // end of the last Run
	presence  presence
	lost      *lostRun // the Run that a lost HSM ended, to be started again
	resumed   int      // how often in a row that was done
}

// A lostRun is what starts a Run again.
type lostRun struct {
	ask Start
	run *station.Run
}

func (c *Controller) newBay(spec instance.BaySpec) *bayState {
	b := &bayState{spec: spec, board: 1}
	if spec.Kind != nil {
		b.presence.now = BoardPresent
	}
	b.place = &station.Bay{Name: spec.Name, Next: func(ctx context.Context) (station.Board, io.Closer, error) { return c.nextBoard(ctx, b) }}
	return b
}

// advance needs mu. It chooses the emulated board for a Run.
func (b *bayState) advance(ask Start) {
	if b.used && (ask.NextBoard || b.last == station.Pass && ask.Rework == "") {
		b.board++
	}
	b.used = true
}

// nextBoard gives the board that sits in the bay, and holds it to the label that was scanned.
func (c *Controller) nextBoard(ctx context.Context, b *bayState) (station.Board, io.Closer, error) {
	c.mu.Lock()
	number, expect := b.board, b.expect
	c.mu.Unlock()
	board, closer, err := c.options.Boards.Open(ctx, b.spec, number)
	if err != nil {
		return nil, nil, err
	}
	if expect == "" {
		return board, closer, nil
	}
	want, err := devices.ParseBoardID(expect)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("reading the scanned label: %w", err), closer.Close())
	}
	return labelled{board, want}, closer, nil
}

// labelled refuses a board whose BoardID is not the one of its label, before anything
// but its identity was asked.
type labelled struct {
	*devices.Client
	want devices.BoardID
}

// Identify refuses with a station.SwappedError.
func (b labelled) Identify(ctx context.Context) (devices.Identity, error) {
	id, err := b.Client.Identify(ctx)
	if err == nil && id.ID != b.want {
		err = fmt.Errorf("comparing the board with its label: %w", &station.SwappedError{Want: b.want, Got: id.ID})
	}
	return id, err
}

// presence is what a bay knows of a board beside its Runs. A port that comes with its
// board (USB) comes and goes in /dev; a port that is always there tells nothing.
type presence struct {
	now      Presence
	appeared bool // came since the last Run
}

// seen takes notice of whether the port is there.
func (p presence) seen(there bool) presence {
	switch {
	case !there:
		return presence{now: BoardAbsent}
	case p.now == BoardAbsent:
		return presence{now: BoardPresent, appeared: true}
	}
	return p
}

// checkPorts notes which ports are there.
func (c *Controller) checkPorts() {
	for _, b := range c.bays { // the list itself does not change
		if b.spec.Kind != nil {
			continue // always there
		}
		_, err := os.Stat(b.spec.Port)
		c.mu.Lock()
		b.presence = b.presence.seen(err == nil)
		c.mu.Unlock()
	}
}

// hsmReasons are the reasons of a Fault in the step sign that a lost HSM may be behind.
var hsmReasons = []string{"signing", "not-signed", "timeout", "unresolved"}

// keepLost needs mu. A Run that a lost HSM may have ended is kept, and the HSM is probed.
func (c *Controller) keepLost(b *bayState, run *station.Run, ask Start) {
	steps := len(run.Steps)
	if run.Ending != station.Fault || steps == 0 || run.Steps[steps-1].Name != "sign" || !slices.Contains(hsmReasons, run.Reason) {
		b.resumed = 0
		return
	}
	if c.draining || c.closed {
		return
	}
	ask.Expect, ask.NextBoard = run.Identity.ID.String(), false // whoever changes the board meanwhile starts it himself
	b.lost = &lostRun{ask, run}
	c.suspected = true
	c.wakeUp()
}

// Skip takes a bay out, or back in when reason is empty.
func (c *Controller) Skip(ctx context.Context, bay, reason, operator string) error {
	what := "bay.skipped"
	if reason == "" {
		what = "bay.returned"
	}
	return c.change(ctx, what, bay, operator, map[string]string{"reason": reason}, func(b *bayState) error {
		if b.running {
			return fmt.Errorf("%s: %w", bay, ErrBusy)
		}
		b.skipped, b.lost = reason, nil
		c.tellChange()
		return nil
	})
}

// Acknowledge lets a bay go on that stopped because of a clone or a known identity (I4).
func (c *Controller) Acknowledge(ctx context.Context, bay, operator string) error {
	return c.change(ctx, "bay.acknowledged", bay, operator, nil, func(b *bayState) error { b.place.Acknowledge(); return nil })
}

// change puts on record what is then done to a bay.
func (c *Controller) change(ctx context.Context, what, bay, operator string, details map[string]string, do func(*bayState) error) error {
	b, err := c.find(bay)
	if err != nil {
		return err
	}
	all := map[string]string{"bay": bay}
	for name, value := range details {
		if value != "" {
			all[name] = value
		}
	}
	if err := c.record.NoteBy(ctx, what, audit.Success, operator, all); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return do(b)
}

// Automatic switches whether a Run starts by itself when a board appears.
func (c *Controller) Automatic(ctx context.Context, on bool, operator, _ string) error {
	if err := c.record.NoteBy(ctx, "line.automatic", audit.Success, operator, map[string]string{"on": fmt.Sprint(on)}); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.automatic, c.operator = on, operator
	return nil
}

// leaveAlone starts nothing more by itself: nobody is there.
func (c *Controller) leaveAlone() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.automatic = false
	for _, b := range c.bays {
		b.lost = nil
	}
	c.tellChange()
}
