package operate

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"hallmark/station/audit"
	"hallmark/station/control"
	"hallmark/station/instance"
	"hallmark/station/reason"
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
		order, err := record.ImportOrder(ctx, workorder.Signed{File: ask.File, Signature: ask.Signature}, ask.Operator)
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
