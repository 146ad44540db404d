package registry

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"time"

	"hallmark/devices"
	"hallmark/station/audit"
)

// Entries about an update file that renews a board in the field. The details name the counter.
const (
	typeUpdateIntent = "board.update.intent"
	typeUpdateSigned = "board.update.signed"
	detailCounter    = "counter"
)

// UpdateCounter gives the counter for the next update of a board: greater than that of each intent on record, and not less than the
// time in seconds, so that it also grows where an older registry was accepted or another station made the update before. The caller has
// the station for itself until UpdateIntended.
func (r *Registry) UpdateCounter(ctx context.Context, id devices.BoardID, now time.Time) (uint32, error) {
	next := uint64(now.Unix())
	err := r.EachEntry(ctx, r.AuditSize(), Selection{BoardID: id, Type: typeUpdateIntent}, func(e *audit.Entry, _ []byte) error {
		used, err := strconv.ParseUint(e.Details[detailCounter], 10, 32)
		if err != nil {
			return fmt.Errorf("reading the counter of entry %d: %w", e.Seq, err)
		}
		next = max(next, used+1)
		return nil
	})
	if err == nil && next > 0xffffffff {
		err = fmt.Errorf("board %s has no counter left for an update", id)
	}
	return uint32(next), err
}

// KeyOwner gives the board to which the key with this SHA-256 of its SubjectPublicKeyInfo belongs, nil: the registry has no such key.
func (r *Registry) KeyOwner(ctx context.Context, spki [sha256.Size]byte, purpose devices.Purpose) (*devices.BoardID, error) {
	var id devices.BoardID
	err := r.db.QueryRowContext(ctx, `SELECT board_id FROM keys WHERE spki_sha256 = ? AND purpose = ?`, spki[:], purpose.String()).Scan(board(&id))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("looking for the owner of a key: %w", err)
	}
	return &id, nil
}

// UpdateIntended writes what the key of the trust anchor is about to sign, before it does. It refuses a board that the registry does not
// know, that is scrapped, or that is on hold.
func (r *Registry) UpdateIntended(ctx context.Context, id devices.BoardID, counter uint32, operator string, details map[string]string) error {
	return r.write(ctx, func(w *work) error {
		var scrapped sql.NullString
		err := w.row(`SELECT scrapped FROM boards WHERE id = ?`, []any{id.String()}, &scrapped)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return fmt.Errorf("%w: %s", ErrUnknownBoard, id)
		case err != nil:
			return err
		case scrapped.Valid:
			return fmt.Errorf("%w: %s at %s", ErrScrapped, id, scrapped.String)
		}
		if err := w.notHeld(id); err != nil {
			return err
		}
		_, err = w.append(updateEntry(typeUpdateIntent, id, counter, operator, details))
		return err
	})
}

// UpdateSigned writes that an update is signed and its file whole.
func (r *Registry) UpdateSigned(ctx context.Context, id devices.BoardID, counter uint32, operator string, details map[string]string) error {
	return r.note(ctx, updateEntry(typeUpdateSigned, id, counter, operator, details))
}

func updateEntry(kind string, id devices.BoardID, counter uint32, operator string, details map[string]string) audit.Entry {
	e := audit.Entry{Actor: actor(operator), Category: audit.CategoryStatus, Type: kind, Outcome: audit.Success,
		Board: &audit.Board{ID: id.String()}, Details: map[string]string{detailCounter: strconv.FormatUint(uint64(counter), 10)}}
	for name, value := range details {
		e.Details[name] = text(value)
	}
	return e
}
