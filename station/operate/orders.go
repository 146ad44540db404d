package operate

import (
	"context"
	"errors"
	"fmt"

	"hallmark/station"
	"hallmark/station/instance"
	"hallmark/station/reason"
	"hallmark/station/registry"
)

// CheckOrder refuses, as an error of usage, a work order that a batch could not count for: an
// order that is not open, unless a quota opens it, an order for another product, or an open
// order with another quota. A complete order is not refused, because boards that it counted
// already may have a Run. An empty id is no order.
func CheckOrder(ctx context.Context, record *instance.Record, id string, quota int64) error {
	if id == "" {
		return nil
	}
	row, err := record.Registry.Order(ctx, id)
	switch product := record.Profile.Name(); {
	case errors.Is(err, station.ErrUnknownOrder) && quota > 0:
		return nil
	case errors.Is(err, station.ErrUnknownOrder):
		return reason.Usage(fmt.Errorf("--order: %w", err))
	case err != nil:
		return err
	case row.Product != product:
		return reason.Usage(fmt.Errorf("--order: %w: %q, not %q", ErrOtherProduct, row.Product, product))
	case quota > 0 && row.Quota != quota:
		return reason.Usage(fmt.Errorf("--quota: %w: %q, %d boards", registry.ErrOrderOpen, row.Product, row.Quota))
	}
	return nil
}

// OpenOrder opens a work order for so many boards, if it is not open yet. A quota of 0 opens none.
func OpenOrder(ctx context.Context, record *instance.Record, id string, quota int64, operator string) error {
	if quota == 0 {
		return nil
	}
	return reason.Usage(record.Registry.OpenOrder(ctx, id, record.Profile.Name(), quota, operator))
}
