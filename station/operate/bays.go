package operate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"hallmark/devices"
	"hallmark/station"
	"hallmark/station/audit"
	"hallmark/station/instance"
	"hallmark/station/reason"
)

// A bayState is a bay with its state in the Controller, whose mu covers the fields.
type bayState struct {
	spec  instance.BaySpec
	place *station.Bay

	board     int // number of the emulated board that sits in the bay
	used      bool
	skipped   string // the reason, empty when the bay takes part
	outFor    string // the reason word of the last Fault, when automatic start took the bay out of work
	expect    string // BoardID of the scanned label
	running   bool
	question  *identityQuestion // the station asks the board who it is, without a Run; nil: it does not
	asked     answer            // of the board that is asked
	committed bool              // the Run has reached sign: it goes to its end
	cancel    context.CancelFunc
	last      station.Ending
	passed    time.Time // end of the last Run
	unwritten error     // why the last Run was not recorded
	faults    int       // how many Runs of automatic start ended as Fault in a row
	faulty    string    // reason word of the last of them
	presence  presence
	lastBoard string       // BoardID of the last Run, empty if the board did not say
	lost      *lostRun     // the Run that a lost HSM ended, to be started again
	label     *passedLabel // of the board that passed; nil: the bay waits for none
	resumed   int          // how often in a row a lost Run was started again
}

// A lostRun is a Run that a lost HSM ended, with the request that starts it again.
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
	if c.options.Boards != nil {
		b.place.Debug = c.options.Boards.DebugPort(spec)
	}
	return b
}

// advance chooses the emulated board for a Run. The caller holds mu.
func (b *bayState) advance(ask Start) {
	if b.used && (ask.NextBoard || b.last == station.Pass && ask.Rework == "" && !ask.marked) {
		b.board++
	}
	b.used = true
}

// isMarked reports whether a person has marked the board of the bay's last Run for a rework: an emulated board then stays for it.
func (c *Controller) isMarked(ctx context.Context, b *bayState) (bool, error) {
	c.mu.Lock()
	last := b.lastBoard
	c.mu.Unlock()
	if last == "" || b.spec.Kind == nil {
		return false, nil
	}
	id, err := devices.ParseBoardID(last)
	if err != nil {
		return false, err
	}
	for _, purpose := range []devices.Purpose{devices.PurposeTLS, devices.PurposeCOSE} {
		if why, err := c.record.Registry.Marked(ctx, id, purpose); why != "" || err != nil {
			return why != "", err
		}
	}
	return false, nil
}

// nextBoard returns the board that sits in the bay. If a label was scanned, the returned board
// must have the BoardID of the label.
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

// labelled is a board with a scanned label. It refuses the board if the BoardID differs from
// the label, before the station asks for more than the identity.
type labelled struct {
	*devices.Client
	want devices.BoardID
}

// Identify returns a station.SwappedError for another BoardID than the label's.
func (b labelled) Identify(ctx context.Context) (devices.Identity, error) {
	id, err := b.Client.Identify(ctx)
	if err == nil && id.ID != b.want {
		err = fmt.Errorf("comparing the board with its label: %w", &station.SwappedError{Want: b.want, Got: id.ID})
	}
	return id, err
}

// presence says whether a board sits in the bay, as far as the serial port shows it. The
// port of a USB board appears in /dev with the board. A port that always exists shows nothing. The
// port of a board also disappears while the board restarts, which is no removal.
type presence struct {
	now      Presence
	appeared bool // a board appeared after the last Run
	doubtful bool // the port disappeared during the last Run, so the board may be the board of that Run

	questions int // to a doubtful board that did not answer
}

// seen returns the new presence; there says whether the port exists now, and running whether the bay has a Run.
func (p presence) seen(there, running bool) presence {
	switch {
	case !there:
		return presence{now: BoardAbsent, doubtful: running || p.doubtful && p.now == BoardAbsent}
	case p.now == BoardAbsent:
		return presence{now: BoardPresent, appeared: !running, doubtful: !running && p.doubtful}
	}
	return p
}

// checkPorts notes which ports exist.
func (c *Controller) checkPorts() {
	present := c.options.Boards.Sight()
	for _, b := range c.bays { // needs no lock: the list does not change
		if b.spec.Kind != nil {
			continue // an emulated board is always there
		}
		there := present(b.spec)
		c.mu.Lock()
		b.presence = b.presence.seen(there, b.running)
		c.mu.Unlock()
	}
}

// keepLost keeps a Run that a lost HSM may have ended, and has the Supervisor probe the HSM.
// The caller holds mu.
func (c *Controller) keepLost(b *bayState, run *station.Run, ask Start) {
	if !mayBeLost(run) {
		b.resumed = 0
		return
	}
	if c.draining || c.closed {
		return
	}
	ask.Expect, ask.NextBoard = run.Identity.ID.String(), false // the same board: an operator starts another board by hand
	ask.from, ask.again = run.Purpose, true
	b.lost = &lostRun{ask, run}
	c.suspected = true
	c.wakeUp()
}

// mayBeLost reports whether a lost HSM can have ended a Run.
func mayBeLost(run *station.Run) bool {
	row, known := reason.For(run.Reason)
	steps := len(run.Steps)
	return known && row.HSM && run.Ending == station.Fault && steps > 0 && run.Steps[steps-1].Name == "sign"
}

// Skip takes a bay out of work, or back into work when why is empty.
func (c *Controller) Skip(ctx context.Context, bay, why, operator string) error {
	if err := reason.CheckOptional("reason of the skip", why); err != nil {
		return err
	}
	what := "bay.skipped"
	if why == "" {
		what = "bay.returned"
	}
	return c.change(ctx, what, bay, operator, map[string]string{"reason": why}, func(b *bayState) error {
		if b.running {
			return fmt.Errorf("%s: %w", bay, ErrBusy)
		}
		b.skipped, b.lost, b.faults, b.outFor = why, nil, 0, ""
		c.tellChange()
		return nil
	})
}

// change records a change of a bay, and then does the change.
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
	if on { // the Runs that start by themselves are those of the operator
		if err := mayStart(ctx, c.record, Start{Operator: operator, Order: c.OrderID()}); err != nil {
			return err
		}
	}
	if err := c.record.NoteBy(ctx, "line.automatic", audit.Success, operator, map[string]string{"on": fmt.Sprint(on)}); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.automatic, c.operator = on, operator
	return nil
}

// stopAutomatic switches automatic start off and forgets lost Runs, because no operator is there.
func (c *Controller) stopAutomatic() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.automatic = false
	for _, b := range c.bays {
		b.lost = nil
	}
	c.tellChange()
}
