package registry

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"hallmark/devices"
	"hallmark/station/audit"
	"hallmark/station/issuance"
)

// This file changes the status of certificates, and of boards.

// ReasonKeyCompromise is the reason of a revocation after which the key gets no certificate any more (RFC 5280, 5.3.1).
const ReasonKeyCompromise = "keyCompromise"

// A Revocable is a certificate that can be revoked, or an unresolved serial number.
type Revocable struct {
	Serial  [16]byte
	BoardID devices.BoardID
	Purpose devices.Purpose
	Order   string // may be empty
	Status  string
	Since   string // RFC 3339, of the intent
}

// A Which selects certificates. At least one field is set.
type Which struct {
	BoardID      devices.BoardID
	Serial       [16]byte
	Order        string
	Since, Until time.Time // intended at Since or later, and before Until
}

// serial gives the value of the column; nil: any.
func (w Which) serial() []byte {
	if w.Serial == [16]byte{} {
		return nil
	}
	return w.Serial[:]
}

// serialColumn reads a serial number.
type serialColumn [16]byte

// Scan implements sql.Scanner.
func (s *serialColumn) Scan(value any) error {
	octets, ok := value.([]byte)
	if !ok || len(octets) != len(s) {
		return fmt.Errorf("%w: a serial number is %v", ErrDiffers, value)
	}
	copy(s[:], octets)
	return nil
}

// IsEmpty reports whether nothing is named.
func (w Which) IsEmpty() bool { return w == Which{} }

// OnlyBoard reports whether nothing but a board is named.
func (w Which) OnlyBoard() bool { return w == Which{BoardID: w.BoardID} && !w.IsEmpty() }

// selected is the condition for the certificates of a Which.
const selected = `(?1 = '' OR board_id = ?1) AND (?2 IS NULL OR serial = ?2) AND (?3 = '' OR work_order = ?3)
		AND (?4 = '' OR intended >= ?4) AND (?5 = '' OR intended < ?5)`

// Revocable lists the certificates that a revocation of a selection revokes, in the order of their intents. With ReasonKeyCompromise these
// are all certificates of the keys of the selection, also those that were revoked for another reason: a key that others may
// know is no secret in any of them.
func (r *Reader) Revocable(ctx context.Context, which Which, reason string) ([]Revocable, error) {
	rows, err := r.db.QueryContext(ctx, `SELECT serial, board_id, purpose, coalesce(work_order, ''), status, intended FROM certificates
		WHERE (status IN ('unresolved', 'issued', 'delivered', 'active', 'superseded') OR ?6 AND status = 'revoked' AND reason <> '`+ReasonKeyCompromise+`')
		AND (`+selected+` OR ?6 AND spki_sha256 IN (SELECT spki_sha256 FROM certificates WHERE `+selected+`)) ORDER BY id`,
		Filter{BoardID: which.BoardID}.boardID(), which.serial(), which.Order, stampOrNone(which.Since), stampOrNone(which.Until), reason == ReasonKeyCompromise)
	if err != nil {
		return nil, fmt.Errorf("looking for certificates to revoke: %w", err)
	}
	return collect(rows, func(c *Revocable) []any {
		return []any{(*serialColumn)(&c.Serial), board(&c.BoardID), purpose(&c.Purpose), &c.Order, &c.Status, &c.Since}
	})
}

// SeenOf is the SHA-256 of the serial numbers of a preview.
func SeenOf(all []Revocable) [sha256.Size]byte {
	var serials []byte
	for _, c := range all {
		serials = append(serials, c.Serial[:]...)
	}
	return sha256.Sum256(serials)
}

func stampOrNone(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return stamp(t)
}

// revokedAtOnce is the most certificates that one transaction revokes: Runs wait for the transaction.
const revokedAtOnce = 256

// RevokeAll revokes all certificates of a selection, and gives their number. It refuses with ErrOtherSelection if they are not those that the
// caller has seen. After an error, some may be revoked; a call after a new preview revokes the rest.
func (r *Registry) RevokeAll(ctx context.Context, which Which, seen [sha256.Size]byte, reason, operator string) (int, error) {
	all, err := r.Revocable(ctx, which, reason)
	if err != nil {
		return 0, err
	}
	if SeenOf(all) != seen {
		return 0, ErrOtherSelection
	}
	return r.revokeEach(ctx, all, func(w *work, serial [16]byte) error { return w.revoke(serial, reason, operator, nil) })
}

func (r *Registry) revokeEach(ctx context.Context, all []Revocable, do func(*work, [16]byte) error) (number int, err error) {
	for part := range slices.Chunk(all, revokedAtOnce) {
		err := r.write(ctx, func(w *work) error {
			for _, c := range part {
				if err := do(w, c.Serial); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return number, fmt.Errorf("%d of %d are revoked; the same command revokes the rest: %w", number, len(all), err)
		}
		number += len(part)
	}
	return number, nil
}

// revoke revokes a certificate, or an unresolved serial number, for which the HSM may
// have signed one (I10). A second revoke changes nothing, unless its reason is ReasonKeyCompromise: the
// certificate gets this reason, and keeps the time of its first revocation.
func (w *work) revoke(serial [16]byte, reason, operator string, details map[string]string) error {
	in, err := w.bySerial(serial)
	switch {
	case none(err):
		return fmt.Errorf("revoking %x: %w", serial, ErrNoCertificate)
	case err != nil:
		return err
	case in.status == "revoked" && (reason != ReasonKeyCompromise || in.reason == ReasonKeyCompromise):
		return nil
	case in.status == "intended" || in.status == "failed" || in.status == "scrapped":
		return fmt.Errorf("revoking %x: %w: it is %s", serial, ErrWrongStatus, in.status)
	}
	e := in.entry("cert.revoked", audit.Success)
	e.Actor, e.Category, e.Cert.Status, e.Reason = actor(operator), audit.CategoryStatus, "revoked", text(reason)
	e.Details = details
	if in.status == "revoked" {
		return w.changeReason(in.id, e)
	}
	return w.changeStatus(in.id, e)
}

// unfit says why a certificate is refused in its status. A person may have revoked it while its Run was under way: that is
// a refusal of the board, as at the board's next Run. Any other status is a mistake of the caller.
func (r *row) unfit() error {
	switch {
	case r.status == "revoked" && r.reason == ReasonKeyCompromise:
		return fmt.Errorf("%w (serial number %x)", issuance.ErrKeyCompromised, r.serial)
	case r.status == "revoked":
		return fmt.Errorf("%w (serial number %x, %q)", issuance.ErrRevoked, r.serial, r.reason)
	}
	return fmt.Errorf("%w: it is %s", ErrWrongStatus, r.status)
}

// changeReason writes the audit entry, and then its reason into the row. Status and time stay.
func (w *work) changeReason(id int64, e audit.Entry) error {
	if _, err := w.append(e); err != nil {
		return err
	}
	return w.exec(`UPDATE certificates SET reason = ? WHERE id = ?`, e.Reason, id)
}

// Scrap notes that all boards of a selection were destroyed, and gives their number. Their certificates get the status scrapped, and no
// Run admits the boards any more. It refuses with ErrOtherSelection as Hold does, and with ErrUnknownBoard or ErrScrapped a single board
// that nobody can scrap.
func (r *Registry) Scrap(ctx context.Context, which Which, seen [sha256.Size]byte, reason, operator string) (int, error) {
	all, err := r.Scrappable(ctx, which)
	if err != nil {
		return 0, err
	}
	if len(all) == 0 && which.OnlyBoard() {
		return 0, r.write(ctx, func(w *work) error { return w.whyNotScrapped(which.BoardID) })
	}
	return r.eachBoard(ctx, all, seen, func(w *work, id devices.BoardID) error { return w.scrap(id, reason, operator) })
}

func (w *work) scrap(boardID devices.BoardID, reason, operator string) error {
	e := audit.Entry{Actor: actor(operator), Category: audit.CategoryLine, Type: "board.scrapped", Outcome: audit.Success,
		Reason: text(reason), Board: &audit.Board{ID: boardID.String()}}
	written, err := w.append(e)
	if err != nil {
		return err
	}
	n, err := w.change(`UPDATE boards SET scrapped = ? WHERE id = ? AND scrapped IS NULL`, written.Time.String(), boardID.String())
	if err == nil && n == 0 {
		err = w.whyNotScrapped(boardID)
	}
	if err != nil {
		return err
	}
	return w.scrapCertificates(boardID, e)
}

// whyNotScrapped returns the refusal of a board that cannot be scrapped.
func (w *work) whyNotScrapped(boardID devices.BoardID) error {
	var at string
	err := w.row(`SELECT scrapped FROM boards WHERE id = ?`, []any{boardID.String()}, &at)
	if none(err) {
		return fmt.Errorf("%w: %s", ErrUnknownBoard, boardID)
	} else if err != nil {
		return err
	}
	return fmt.Errorf("%w: %s at %s", ErrScrapped, boardID, at)
}

func (w *work) scrapCertificates(boardID devices.BoardID, why audit.Entry) error {
	for {
		var in row
		err := w.row(rowColumns+`WHERE board_id = ? AND status IN ('issued', 'delivered', 'active') ORDER BY id LIMIT 1`, []any{boardID.String()}, in.into()...)
		if none(err) {
			return nil
		} else if err != nil {
			return err
		}
		e := in.entry("cert.scrapped", audit.Success)
		e.Actor, e.Category, e.Cert.Status, e.Reason = why.Actor, audit.CategoryStatus, "scrapped", why.Reason
		if err := w.changeStatus(in.id, e); err != nil {
			return err
		}
	}
}

// scrapIssued scraps the certificate that the HSM signed while the board was scrapped.
func (w *work) scrapIssued(boardID devices.BoardID) error {
	var scrapped sql.NullString
	if err := w.row(`SELECT scrapped FROM boards WHERE id = ?`, []any{boardID.String()}, &scrapped); err != nil || !scrapped.Valid {
		return err
	}
	return w.scrapCertificates(boardID, audit.Entry{Actor: audit.Itself(), Reason: ErrScrapped.Word()})
}
