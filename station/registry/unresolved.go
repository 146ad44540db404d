package registry

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
)

// This file closes unresolved serial numbers: nobody knows whether the HSM has signed a certificate with such a number (I10).

// Details of the entry cert.revoked that closes an unresolved serial number.
const (
	detailWas     = "was"     // the status before
	detailFinding = "finding" // what the person has found out
)

// reasonClosed is the reason of RFC 5280, 5.3.1 with which a serial number is closed: what happened to it fits no other.
const reasonClosed = "unspecified"

// Unresolved lists the unresolved serial numbers of a selection, in the order of their intents.
func (r *Reader) Unresolved(ctx context.Context, which Which) ([]Revocable, error) {
	all, err := r.Revocable(ctx, which, reasonClosed)
	return slices.DeleteFunc(all, func(c Revocable) bool { return c.Status != "unresolved" }), err
}

// CloseUnresolved revokes the unresolved serial numbers of a selection, with what a person has found out, and gives their number. A CRL
// has them from then on, so a certificate that the HSM has signed after all is worth nothing. It refuses with ErrOtherSelection as RevokeAll does.
func (r *Registry) CloseUnresolved(ctx context.Context, which Which, seen [sha256.Size]byte, finding, operator string) (int, error) {
	all, err := r.Unresolved(ctx, which)
	if err != nil {
		return 0, err
	}
	if SeenOf(all) != seen {
		return 0, ErrOtherSelection
	}
	return r.revokeEach(ctx, all, func(w *work, serial [16]byte) error {
		in, err := w.bySerial(serial)
		switch {
		case err != nil:
			return fmt.Errorf("closing %x: %w", serial, err)
		case in.status != "unresolved": // somebody else was faster
			return ErrOtherSelection
		}
		return w.revoke(serial, reasonClosed, operator, map[string]string{detailWas: in.status, detailFinding: text(finding)})
	})
}
