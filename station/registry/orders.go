package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"hallmark/station"
	"hallmark/station/audit"
	"hallmark/station/reason"
)

// detailFirmware names the firmware images of a work order in its first entry: SHA-256 values as boards report
// them, with commas between them. Without this detail, the boards of the order may run any image.
const detailFirmware = "firmware_allow"

// maxImages is the most images of a work order: their hashes are one text of the entry.
const maxImages = (maxText + 1) / (2*sha256.Size + 1)

// OpenOrder opens a work order for a number of boards, 1 or more. allow are the SHA-256 values of the firmware
// images that boards of the order may run; none: any image. A second OpenOrder with the same values changes nothing.
func (r *Registry) OpenOrder(ctx context.Context, id, product string, quota int64, operator string, allow ...[sha256.Size]byte) error {
	if id == "" || id != text(id) || product != text(product) || quota < 1 || len(allow) > maxImages {
		return fmt.Errorf("opening work order %q for %s with %d firmware images: want an id, a quota of 1 or more and at most %d images", id, reason.Count(quota, "board", "boards"), len(allow), maxImages)
	}
	images := imageList(allow)
	logged, err := r.searchOrder(ctx, id)
	if err != nil {
		return err
	}
	return r.write(ctx, func(w *work) error {
		known, err := w.orderOnRecord(id, logged)
		if err == nil && (known.Product != product || known.Quota != quota || w.imagesOf(id) != images) {
			return fmt.Errorf("%w: %q, %s, firmware %q", ErrOrderOpen, known.Product, reason.Count(known.Quota, "board", "boards"), w.imagesOf(id))
		}
		if err == nil || !none(err) {
			return err
		}
		e := audit.Entry{Actor: actor(operator), Category: audit.CategoryConfig, Type: audit.TypeOrderOpened,
			Outcome: audit.Success, WorkOrder: &audit.WorkOrder{ID: id, Product: product, Quota: quota}}
		if images != "" {
			e.Details = map[string]string{detailFirmware: images}
		}
		written, err := w.append(e)
		if err != nil {
			return err
		}
		w.orders.Delete(id) // of an order whose transaction was undone
		return w.exec(`INSERT INTO work_orders (id, product, quota, opened) VALUES (?, ?, ?, ?)`, id, product, quota, written.Time.String())
	})
}

// imageList is the list of images as the entry has it.
func imageList(allow [][sha256.Size]byte) string {
	var list []string
	for _, image := range allow {
		list = append(list, hex.EncodeToString(image[:]))
	}
	slices.Sort(list)
	return strings.Join(slices.Compact(list), ",")
}

// imagesOf gives the list of images of an order that orderOnRecord returned.
func (w *work) imagesOf(id string) string {
	images, _ := w.orders.Load(id)
	text, _ := images.(string)
	return text
}

// firmwareOf gives the list of images of an order from the entry that opened it, among the entries from a number on:
// a row could be changed.
func firmwareOf(ctx context.Context, q audit.Querier, order audit.WorkOrder, from int64) (string, error) {
	opened, err := audit.OrderOpened(ctx, q, order, from)
	if err != nil {
		return "", err
	}
	if opened == nil {
		return "", fmt.Errorf("%w: no entry opens work order %q for %s of %q", ErrDiffers, order.ID, reason.Count(order.Quota, "board", "boards"), order.Product)
	}
	return opened.Details[detailFirmware], nil
}

// firmwareAllowed refuses a board whose image is not on the list of its order.
func (w *work) firmwareAllowed(run *station.Run) error {
	images, id := w.imagesOf(run.Order), run.Identity
	if image := hex.EncodeToString(id.FirmwareHash[:]); images != "" && !slices.Contains(strings.Split(images, ","), image) {
		return fmt.Errorf("%w: work order %q, version %s, SHA-256 %s", station.ErrFirmware, run.Order, id.Firmware, image)
	}
	return nil
}
