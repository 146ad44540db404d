package operate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"hallmark/station"
	"hallmark/station/instance"
	"hallmark/station/reason"
	"hallmark/station/registry"
	"hallmark/station/workorder"
)

// CheckBatch refuses, as an error of usage, a batch that the role of its person does not allow, and what CheckOrder refuses.
func CheckBatch(ctx context.Context, record *instance.Record, b Batch, quota int64) error {
	ask := Start{Operator: localPerson(record, b.Operator), Order: b.Order, Rework: b.Rework}
	if err := mayStart(ctx, record, ask); err != nil {
		return reason.Usage(err)
	}
	return CheckOrder(ctx, record, b.Order, quota)
}

// CheckOrder refuses, as an error of usage, a work order that a batch could not count for: an
// order that is not open, unless a quota opens it, an order for another product, or an open
// order with another quota. A complete order is not refused, because boards that it counted
// already may have a Run. An empty id is no order, and is
// refused where the configuration demands an order.
func CheckOrder(ctx context.Context, record *instance.Record, id string, quota int64) error {
	if id == "" && record.Config.NeedsOrder() {
		return reason.Usage(fmt.Errorf("--order: %w", station.ErrOrderNeeded))
	}
	if id == "" {
		return nil
	}
	row, err := record.Registry.Order(ctx, id)
	switch product := record.Profile.Name(); {
	case errors.Is(err, station.ErrUnknownOrder) && quota > 0 && record.Config.Orders.SignedOnly:
		return orderMisuse(fmt.Errorf("--quota: %w: %q", station.ErrOrderUnsigned, id))
	case errors.Is(err, station.ErrUnknownOrder) && quota > 0:
		return nil
	case errors.Is(err, station.ErrUnknownOrder):
		return reason.Usage(fmt.Errorf("--order: %w", err))
	case err != nil:
		return err
	case row.Product != product:
		return reason.Usage(fmt.Errorf("--order: %w: %q, not %q", ErrOtherProduct, row.Product, product))
	case row.Closed != "":
		return orderMisuse(fmt.Errorf("--order: %q: %w at %s", id, station.ErrOrderClosed, row.Closed))
	case quota > 0 && row.Quota != quota:
		return orderMisuse(fmt.Errorf("--quota: %w: %q, %s", registry.ErrOrderOpen, row.Product, reason.Count(row.Quota, "board", "boards")))
	}
	if err := record.Registry.AllowsOrder(ctx, id); err != nil {
		return orderMisuse(fmt.Errorf("--order: %w", err))
	}
	return nil
}

// OpenOrder opens a work order for so many boards, if it is not open yet. A quota of 0 opens none. allow are the
// firmware images that its boards may run; none: any image.
func OpenOrder(ctx context.Context, record *instance.Record, id string, quota int64, operator string, allow Images) error {
	if quota == 0 {
		return nil
	}
	return asCommand(ctx, record, ActOpenOrder, operator, func(person string) error {
		return orderMisuse(record.Registry.OpenOrder(ctx, registry.NewOrder{ID: id, Product: record.Profile.Name(), Quota: quota, Firmware: allow}, person))
	})
}

// orderMisuse marks a refusal of the work order itself as an error of usage, and says what to do next. A full disk or a registry
// that was changed is none.
func orderMisuse(err error) error {
	if errors.Is(err, station.ErrUnknownOrder) {
		return reason.Usage(err) // its text says what to do
	}
	if slices.ContainsFunc(orderRefusals, func(refusal error) bool { return errors.Is(err, refusal) }) {
		return reason.Usage(reason.WithNext(err))
	}
	return err
}

// orderRefusals are refusals of a work order, or of the file that opens one.
var orderRefusals = []error{registry.ErrOrderOpen, registry.ErrOrderQuota, registry.ErrOrderReplayed, registry.ErrOrderRevision,
	station.ErrOrderClosed, station.ErrOrderExpired, station.ErrOrderNotYet, station.ErrOrderUnsigned, station.ErrOrderOwner, station.ErrOrderProfile,
	workorder.ErrFile, workorder.ErrForged, workorder.ErrOwner, workorder.ErrElsewhere, ErrOtherProduct}

// Images are the firmware images on the command line: SHA-256 values as boards report them.
type Images [][sha256.Size]byte

var errImages = errors.New("want SHA-256 values of 64 hexadecimal digits, as `station audit show --type board.admitted` prints them, with commas between them")

// String implements pflag.Value.
func (i *Images) String() string {
	var list []string
	for _, image := range *i {
		list = append(list, hex.EncodeToString(image[:]))
	}
	return strings.Join(list, ",")
}

// Set implements pflag.Value.
func (i *Images) Set(text string) error {
	for word := range strings.SplitSeq(text, ",") {
		image, err := hex.DecodeString(word)
		if err != nil || len(image) != sha256.Size {
			return errImages
		}
		*i = append(*i, [sha256.Size]byte(image))
	}
	return nil
}

// Type implements pflag.Value.
func (i *Images) Type() string { return "sha256" }
