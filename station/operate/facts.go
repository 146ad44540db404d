package operate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"hallmark/station"
	"hallmark/station/audit"
	"hallmark/station/instance"
	"hallmark/station/reason"
)

// Facts returns the state of the station, from memory.
func (c *Controller) Facts(context.Context) (Facts, error) {
	clock := c.record.CheckClock(c.record.Now())
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watched = true
	facts := Facts{
		Order: c.order, HSM: c.hsm(), Entries: c.record.Registry.AuditSize(), Checkpointed: c.checkpointed, AuditBad: cmp.Or(c.unwritten, c.auditBad),
		Automatic: c.automatic, Draining: c.draining, ScanBack: c.record.Config.RequireScanBack,
	}
	if c.options.Report != nil {
		if err := c.options.Report(); err != nil {
			facts.ReportBad = reason.OneLine(err)
		}
	}
	if c.opened != nil {
		facts.Unwitnessed = c.opened.instance.WitnessWarning()
	}
	if clock != nil {
		facts.ClockBad = reason.OneLine(clock)
	}
	if c.away != nil {
		facts.Paused = "HSM: " + reason.Sentence(c.away)
	}
	for _, b := range c.bays {
		bay := BayFacts{Name: b.spec.Name, Skipped: b.skipped, Present: b.presence.now, Stopped: b.place.StoppedFor()}
		if b.outFor != "" {
			bay.Faults, bay.Fault = maxFaults, b.outFor
		}
		if b.label != nil {
			bay.Label, bay.WrongLabel = b.label.board, b.label.wrong
		}
		facts.Bays = append(facts.Bays, bay)
	}
	return facts, nil
}

func (c *Controller) isWatched() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.watched
}

// hsm returns the state of the token. The caller holds mu.
func (c *Controller) hsm() HSM {
	if c.opened == nil {
		return HSM{State: HSMClosed}
	}
	info := c.opened.instance.Token.Info()
	state := HSM{State: HSMReady, Detail: info.Label + " " + info.Serial}
	switch {
	case c.away != nil:
		state = HSM{State: HSMAway, Detail: reason.Sentence(c.away), Word: reason.Of(c.away).Word}
	case info.Software:
		state.State = HSMSoftware
	}
	return state
}

// Refresh reads the facts of a screen that was just opened from the registry: the stopped bays,
// the count of the work order and the newest checkpoint.
func (c *Controller) Refresh(ctx context.Context) {
	if err := c.restoreStops(ctx); err != nil { // Ready tries again, and refuses to begin
		c.record.Log.Error("reading the facts of the screen", "error", err)
	}
	c.mu.Lock()
	c.watched = true
	c.mu.Unlock()
	c.refresh(ctx)
}

func (c *Controller) refresh(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	c.mu.Lock()
	id := c.order.ID
	c.mu.Unlock()
	var order Order
	var err error
	if id != "" {
		order, err = c.orderNow(ctx, id)
	}
	checkpointed, more := c.record.Registry.LastCheckpointTime(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.auditBad = ""; errors.Join(err, more) != nil {
		c.auditBad = reason.OneLine(errors.Join(err, more))
		c.record.Log.Error("reading the facts of the screen", "error", c.auditBad)
		return
	}
	if c.checkpointed = checkpointed; c.order.ID == id && id != "" {
		c.order = order
	}
}

// orderNow reads a work order with its present count.
func (c *Controller) orderNow(ctx context.Context, id string) (Order, error) {
	row, err := c.record.Registry.Order(ctx, id)
	return Order{ID: row.ID, Product: row.Product, Quota: row.Quota, Count: row.Counted, Closed: row.Closed}, err
}

// openOrder reads a work order, and refuses a closed order, a complete order and an order for another product.
func (c *Controller) openOrder(ctx context.Context, id string) (Order, error) {
	order, err := c.orderNow(ctx, id)
	switch {
	case err != nil:
		return Order{}, err
	case order.Closed != "":
		return Order{}, fmt.Errorf("%q: %w at %s", id, station.ErrOrderClosed, order.Closed)
	case order.Count >= order.Quota:
		return Order{}, fmt.Errorf("%w: %d of %d", station.ErrQuota, order.Count, order.Quota)
	case order.Product != c.record.Profile.Name():
		return Order{}, fmt.Errorf("%w: %q, not %q", ErrOtherProduct, order.Product, c.record.Profile.Name())
	}
	return order, nil
}

// Switch selects the work order for the next Runs. It refuses an order that was never opened with
// station.ErrUnknownOrder, a closed order with station.ErrOrderClosed, a complete order with station.ErrQuota, and an order for another
// profile with ErrOtherProduct.
func (c *Controller) Switch(ctx context.Context, id, operator string) (Order, error) {
	if err := reason.CheckText(id); err != nil {
		return Order{}, fmt.Errorf("work order %w", err)
	}
	order, err := c.openOrder(ctx, id)
	if err == nil {
		err = c.record.Registry.AllowsOrder(ctx, id)
	}
	if err != nil {
		return Order{}, errors.Join(err, c.record.NoteBy(ctx, "line.order", audit.Denied, operator, map[string]string{"order": id, "why": err.Error()}))
	}
	if err := c.record.NoteBy(ctx, "line.order", audit.Success, operator, map[string]string{"order": id}); err != nil {
		return Order{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.order = order
	return order, nil
}

// ChangeOrder opens, raises or closes a work order for the operator at the screen, as act says: ActOpenOrder, ActRaiseOrder or
// ActCloseOrder.
func (c *Controller) ChangeOrder(ctx context.Context, act string, ask OrderChange) (string, error) {
	if err := mayDo(ctx, c.record, act, ask.Operator); err != nil {
		return "", err
	}
	if err := ask.check(); err != nil {
		return "", err
	}
	do := map[string]func(context.Context, *instance.Record, OrderChange) (string, error){ActOpenOrder: opensOrder, ActRaiseOrder: raisesOrder, ActCloseOrder: closesOrder}[act]
	return do(ctx, c.record, ask)
}

// OrderID returns the id of the selected work order, or the empty string.
func (c *Controller) OrderID() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.order.ID
}
