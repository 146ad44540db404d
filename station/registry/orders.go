package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"hallmark/station"
	"hallmark/station/audit"
	"hallmark/station/reason"
)

// This file opens, raises and closes work orders.

// Details of the entries that open and revise a work order. A detail that is absent does not bound the order.
const (
	detailFirmware = "firmware_allow" // SHA-256 values as boards report them, with commas between them
	detailLot      = "lot"
	detailUntil    = "until" // RFC 3339
)

// maxImages is the most images of a work order: their hashes are one text of the entry.
const maxImages = (maxText + 1) / (2*sha256.Size + 1)

// A NewOrder is what a work order is opened with.
type NewOrder struct {
	ID, Product string
	Quota       int64               // boards, 1 or more
	Lot         string              // name of the lot, may be empty
	Until       time.Time           // no Run of the order begins at this time or later; zero: no end
	Firmware    [][sha256.Size]byte // images that its boards may run; none: any image
	Signed      *SignedOrder        // what the owner of the product has signed beyond that; nil: nobody has signed the order
}

func (o NewOrder) check() error {
	if o.ID == "" || o.ID != text(o.ID) || o.Product != text(o.Product) || o.Lot != text(o.Lot) || o.Quota < 1 || len(o.Firmware) > maxImages {
		return reason.Usage(fmt.Errorf("opening work order %q for %s with %d firmware images: want an id, a quota of 1 or more and at most %d images",
			o.ID, reason.Count(o.Quota, "board", "boards"), len(o.Firmware), maxImages))
	}
	return nil
}

// terms are what a work order was opened or last revised with, beyond product and quota. They are in these entries only.
type terms struct {
	images, lot, until string
	signedTerms
}

func (o NewOrder) terms() terms {
	t := terms{images: listOf(o.Firmware), lot: o.Lot, until: timeOrNone(o.Until)}
	if o.Signed != nil {
		t.signedTerms = o.Signed.terms()
	}
	return t
}

// listOf gives SHA-256 values in hexadecimal, in ascending order, with commas between them.
func listOf(sums [][sha256.Size]byte) string {
	var list []string
	for _, sum := range sums {
		list = append(list, hex.EncodeToString(sum[:]))
	}
	slices.Sort(list)
	return strings.Join(slices.Compact(list), ",")
}

func timeOrNone(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func termsOf(e audit.Entry) terms {
	return terms{e.Details[detailFirmware], e.Details[detailLot], e.Details[detailUntil], signedTermsOf(e)}
}

// details gives the details of the entry; nil: none.
func (t terms) details() map[string]string {
	details := t.signedTerms.details()
	for name, value := range map[string]string{detailFirmware: t.images, detailLot: t.lot, detailUntil: t.until} {
		details[name] = value
	}
	maps.DeleteFunc(details, func(_, value string) bool { return value == "" })
	if len(details) == 0 {
		return nil
	}
	return details
}

func (t terms) String() string {
	return fmt.Sprintf("lot %q, until %q, firmware %q", t.lot, t.until, t.images) + t.signedTerms.text()
}

// ended returns ErrOrderExpired at the end of the order, and later.
func (t terms) ended(id string, now func() time.Time) error {
	if t.until == "" {
		return nil
	}
	until, err := time.Parse(time.RFC3339, t.until)
	if err != nil {
		return fmt.Errorf("%w: work order %q is valid until %q", ErrDiffers, id, t.until)
	}
	if !now().Before(until) {
		return fmt.Errorf("%w: %q, %s", station.ErrOrderExpired, id, t.until)
	}
	return nil
}

// OpenOrder opens a work order. A second OpenOrder with the same values changes nothing.
func (r *Registry) OpenOrder(ctx context.Context, o NewOrder, operator string) error {
	if err := o.check(); err != nil {
		return err
	}
	if r.config.SignedOnly {
		return fmt.Errorf("%w: %q", station.ErrOrderUnsigned, o.ID)
	}
	return r.withOrder(ctx, o.ID, func(w *work, known *orderRow) error {
		if known != nil {
			if has := w.termsOf(o.ID); known.Product != o.Product || known.Quota != o.Quota || has != o.terms() {
				return fmt.Errorf("%w: %q, %s, %s", ErrOrderOpen, known.Product, reason.Count(known.Quota, "board", "boards"), has)
			}
			return known.isOpen()
		}
		return w.openOrder(o, operator)
	})
}

func (w *work) openOrder(o NewOrder, operator string) error {
	written, err := w.append(audit.Entry{Actor: actor(operator), Category: audit.CategoryConfig, Type: audit.TypeOrderOpened,
		Outcome: audit.Success, WorkOrder: &audit.WorkOrder{ID: o.ID, Product: o.Product, Quota: o.Quota}, Details: o.terms().details()})
	if err != nil {
		return err
	}
	w.orders.Delete(o.ID) // of an order whose transaction was undone
	return w.exec(`INSERT INTO work_orders (id, product, quota, opened) VALUES (?, ?, ?, ?)`, o.ID, o.Product, o.Quota, written.Time.String())
}

// RaiseOrder gives an open work order a greater quota. An order that its owner has signed is raised by ImportOrder alone.
func (r *Registry) RaiseOrder(ctx context.Context, id string, quota int64, operator string) error {
	return r.withOrder(ctx, id, func(w *work, known *orderRow) error {
		if err := known.isOpen(); err != nil {
			return fmt.Errorf("%q: %w", id, err)
		}
		if r.config.SignedOnly || w.termsOf(id).isSigned() {
			return fmt.Errorf("%w: %q changes only by a file with a greater revision", station.ErrOrderUnsigned, id)
		}
		if quota <= known.Quota {
			return fmt.Errorf("%w: %q has %s, want more than that, not %d", ErrOrderQuota, id, reason.Count(known.Quota, "board", "boards"), quota)
		}
		now := known.WorkOrder
		now.Quota = quota
		_, err := w.append(audit.Entry{Actor: actor(operator), Category: audit.CategoryConfig, Type: audit.TypeOrderRaised, Outcome: audit.Success,
			WorkOrder: &now, Details: map[string]string{"from": fmt.Sprint(known.Quota)}})
		if err != nil {
			return err
		}
		return w.exec(`UPDATE work_orders SET quota = ? WHERE id = ?`, quota, id)
	})
}

// CloseOrder closes an open work order for good: no further Run begins for it, and no further board is counted.
func (r *Registry) CloseOrder(ctx context.Context, id, operator string) error {
	return r.withOrder(ctx, id, func(w *work, known *orderRow) error {
		if err := known.isOpen(); err != nil {
			return fmt.Errorf("%q: %w", id, err)
		}
		sums, err := sumsOf(known.Quota, func(into ...any) error { return w.row(orderSums, []any{id}, into...) })
		if err != nil {
			return err
		}
		written, err := w.append(audit.Entry{Actor: actor(operator), Category: audit.CategoryConfig, Type: audit.TypeOrderClosed, Outcome: audit.Success,
			WorkOrder: &known.WorkOrder, Details: sums.details()})
		if err != nil {
			return err
		}
		return w.exec(`UPDATE work_orders SET closed = ? WHERE id = ?`, written.Time.String(), id)
	})
}

// withOrder calls do in a transaction, with the row of the order after its comparison with the log; nil: there is none.
func (r *Registry) withOrder(ctx context.Context, id string, do func(*work, *orderRow) error) error {
	logged, err := r.searchOrder(ctx, id)
	if err != nil {
		return err
	}
	return r.write(ctx, func(w *work) error {
		known, err := w.orderOnRecord(id, logged)
		if none(err) {
			return do(w, nil)
		} else if err != nil {
			return err
		}
		return do(w, known)
	})
}

// isOpen refuses an order that does not exist or is closed.
func (o *orderRow) isOpen() error {
	switch {
	case o == nil:
		return ErrUnknownOrder
	case o.closed.Valid:
		return fmt.Errorf("%w at %s", station.ErrOrderClosed, o.closed.String)
	}
	return nil
}

// termsOf gives the terms of an order that orderOnRecord returned.
func (w *work) termsOf(id string) terms {
	known, _ := w.orders.Load(id)
	t, _ := known.(terms)
	return t
}

// firmwareAllowed refuses a board whose image is not on the list of its order.
func (w *work) firmwareAllowed(run *station.Run) error {
	id, t := run.Identity, w.termsOf(run.Order)
	if !t.allows(id.FirmwareHash) {
		return fmt.Errorf("%w: version %s, the board reports %x; work order %q has %.300s", station.ErrFirmware, id.Firmware, id.FirmwareHash, run.Order, t.images)
	}
	return nil
}

// allows reports whether boards of the order may run an image.
func (t terms) allows(image [sha256.Size]byte) bool {
	return t.images == "" || slices.Contains(strings.Split(t.images, ","), hex.EncodeToString(image[:]))
}

// ImageAllowed implements station.Registry. It writes nothing, and does not compare the order with the log: Admit does.
func (r *Registry) ImageAllowed(ctx context.Context, run *station.Run, image [sha256.Size]byte) error {
	known, compared := r.orders.Load(run.Order)
	now, _ := known.(terms)
	if !compared {
		logged, err := r.searchOrder(ctx, run.Order)
		if err != nil {
			return err
		}
		now = logged.terms
	}
	if !now.allows(image) {
		return fmt.Errorf("%w: work order %q, SHA-256 %x", station.ErrImageNotAllowed, run.Order, image)
	}
	return nil
}
