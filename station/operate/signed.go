package operate

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"hallmark/station"
	"hallmark/station/audit"
	"hallmark/station/control"
	"hallmark/station/instance"
	"hallmark/station/reason"
	"hallmark/station/registry"
	"hallmark/station/workorder"
)

// An OrderFile has the arguments of the action that opens or revises a work order by a file that its owner has signed.
type OrderFile struct {
	File      []byte `json:"file"`
	Signature []byte `json:"signature"`
	Operator  string `json:"operator"`
}

// A ClosureRequest has the arguments of the action that signs the closure of a work order.
type ClosureRequest struct {
	ID       string `json:"id"`
	Operator string `json:"operator"`
}

// importRefused is the entry about an order file that was refused.
const importRefused = "import.refused"

func importsOrder(record *instance.Record) act {
	return func(ctx context.Context, arguments json.RawMessage) (string, error) {
		ask, err := control.Argument[OrderFile](arguments)
		if err != nil {
			return "", err
		}
		if err := reason.CheckText(ask.Operator); err != nil {
			return "", reason.Usage(fmt.Errorf("operator %w", err))
		}
		order, err := importOrder(ctx, record, ask)
		if refusal := orderMisuse(err); reason.ExitOf(refusal) == reason.ExitUsage {
			details := map[string]string{"sha256": fmt.Sprintf("%x", sha256.Sum256(ask.File)), "reason": reason.Of(err).Word}
			return "", errors.Join(refusal, record.NoteBy(ctx, importRefused, audit.Denied, ask.Operator, details))
		}
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("work order %s, revision %d, is open for %s of %s, until %s", order.ID, order.Signed.Revision,
			reason.Count(order.Quota, "board", "boards"), order.Product, order.Until.Format(time.RFC3339)), nil
	}
}

// importOrder verifies an order file, and opens or revises its work order with the share of this station.
func importOrder(ctx context.Context, record *instance.Record, ask OrderFile) (registry.NewOrder, error) {
	file, owner, err := workorder.Signed{File: ask.File, Signature: ask.Signature}.Verify("the order file", record.Owners)
	if err != nil {
		return registry.NewOrder{}, err
	}
	order, err := shareOf(ctx, record, file)
	if err != nil {
		return order, err
	}
	order.Signed.Owner, order.Signed.Signature = owner.SPKI, ask.Signature
	return order, record.Registry.ImportOrder(ctx, order, ask.Operator)
}

// shareOf gives the work order for this station. It refuses an order that the station could not work off.
func shareOf(ctx context.Context, record *instance.Record, file *workorder.Order) (o registry.NewOrder, err error) {
	key, err := record.Registry.VerifierKey(ctx)
	if err != nil {
		return o, err
	}
	share, err := file.Share(key)
	switch product := record.Profile.Name(); {
	case err != nil:
		return o, err
	case file.Product != product:
		return o, fmt.Errorf("%w: %q, not %q", ErrOtherProduct, file.Product, product)
	case !file.Until.After(record.Now()):
		return o, fmt.Errorf("%w: %q, %s", station.ErrOrderExpired, file.ID, file.Until.Format(time.RFC3339))
	}
	for _, profile := range record.Profiles() {
		if !file.Allows(profile.SHA256()) {
			return o, fmt.Errorf("%w: %q does not name the profile %s with SHA-256 %x", station.ErrOrderProfile, file.ID, profile.Name(), profile.SHA256())
		}
	}
	return registry.NewOrder{ID: file.ID, Product: file.Product, Quota: share, Lot: file.Lot, Until: file.Until, Firmware: file.Firmware,
		Signed: &registry.SignedOrder{Revision: file.Revision, Total: file.Quota, NotBefore: file.NotBefore, Profiles: file.Profiles, File: file.SHA256}}, nil
}

func (r ClosureRequest) by() string { return r.Operator }

// signsClosure gives the closure with its signature as JSON: a person gets both as files.
func signsClosure(ctx context.Context, keys *instance.Keys, ask ClosureRequest) (string, error) {
	made, err := keys.SignClosure(ctx, ask.ID, ask.Operator)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(made)
	return string(text), err
}
