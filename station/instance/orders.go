package instance

import (
	"context"
	"fmt"
	"time"

	"hallmark/station"
	"hallmark/station/reason"
	"hallmark/station/registry"
	"hallmark/station/workorder"
)

// ErrOtherProduct: a work order is for another product than this station's profile.
var ErrOtherProduct = reason.New("other-product", "work order is for another product than this station's profile")

// ImportOrder verifies an order file, and opens or revises its work order with the share of this station.
func (r *Record) ImportOrder(ctx context.Context, signed workorder.Signed, operator string) (registry.NewOrder, error) {
	file, owner, err := signed.Verify("the order file", r.Owners)
	if err != nil {
		return registry.NewOrder{}, err
	}
	order, err := r.shareOf(ctx, file)
	if err != nil {
		return order, err
	}
	order.Signed.Owner, order.Signed.Signature = owner.SPKI, signed.Signature
	return order, r.Registry.ImportOrder(ctx, order, operator)
}

// shareOf gives the work order for this station. It refuses an order that the station could not work off.
func (r *Record) shareOf(ctx context.Context, file *workorder.Order) (o registry.NewOrder, err error) {
	key, err := r.Registry.VerifierKey(ctx)
	if err != nil {
		return o, err
	}
	share, err := file.Share(key)
	switch product := r.Profile.Name(); {
	case err != nil:
		return o, err
	case file.Product != product:
		return o, fmt.Errorf("%w: %q, not %q", ErrOtherProduct, file.Product, product)
	case !file.Until.After(r.Now()):
		return o, fmt.Errorf("%w: %q, %s", station.ErrOrderExpired, file.ID, file.Until.Format(time.RFC3339))
	}
	for _, profile := range r.Profiles() {
		if !file.Allows(profile.SHA256()) {
			return o, fmt.Errorf("%w: %q does not name the profile %s with SHA-256 %x", station.ErrOrderProfile, file.ID, profile.Name(), profile.SHA256())
		}
	}
	return registry.NewOrder{ID: file.ID, Product: file.Product, Quota: share, Lot: file.Lot, Until: file.Until, Firmware: file.Firmware,
		Signed: &registry.SignedOrder{Revision: file.Revision, Total: file.Quota, NotBefore: file.NotBefore, Profiles: file.Profiles, File: file.SHA256}}, nil
}
