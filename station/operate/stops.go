package operate

import (
	"context"
	"errors"
	"fmt"

	"hallmark/station"
	"hallmark/station/audit"
	"hallmark/station/reason"
	"hallmark/station/registry"
)

// A bay that a clone or a known identity stopped (I4) stays stopped over a restart, until the
// acknowledgement of an operator is on record (I13).

// restoreStops stops the bays that were stopped before this start and were not acknowledged.
func (c *Controller) restoreStops(ctx context.Context) error {
	stopped, err := c.record.Registry.StoppedBays(ctx)
	for _, stop := range stopped {
		if b, err := c.find(stop.Name); err == nil { // other bays are not among those of this start
			b.place.Stop(stop.Reason)
		}
	}
	return err
}

// stopped returns nil, or why the bay is stopped and what to do.
func (b *bayState) stopped() error {
	why := b.place.Stopped()
	if why == nil {
		return nil
	}
	return fmt.Errorf("%s: %w: %s", b.spec.Name, why, station.ErrBayStopped.Row().Next)
}

// Acknowledge lets a bay start Runs again that stopped because of a clone or a known identity (I4).
// The acknowledgement is on record before the bay is free.
func (c *Controller) Acknowledge(ctx context.Context, bay, operator string) error {
	b, err := c.find(bay)
	if err != nil {
		return err
	}
	if err := CheckAcknowledgement(bay, operator); err != nil {
		return err
	}
	if err := mayDo(ctx, c.record, ActAcknowledge, operator); err != nil {
		return err
	}
	err = c.record.Registry.AcknowledgeBay(ctx, bay, operator)
	if errors.Is(err, registry.ErrBayFree) && b.place.Stopped() != nil { // the registry could not record the stop
		err = c.record.NoteBy(ctx, "line.acknowledged", audit.Success, operator, map[string]string{"bay": bay, "reason": b.place.StoppedFor()})
	}
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	b.place.Acknowledge()
	c.tellChange()
	return nil
}

var errNoOperator = reason.New("no-operator", "want the name of the person who acknowledges")

// CheckAcknowledgement refuses an acknowledgement that would not say who has seen the board.
func CheckAcknowledgement(bay, operator string) error {
	if operator == "" {
		return errNoOperator
	}
	return errors.Join(reason.CheckPath(bay), reason.CheckOptional("operator", operator))
}
