package registry

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"slices"

	"hallmark/devices"
	"hallmark/station"
	"hallmark/station/audit"
)

// This file puts boards on hold, and releases them.

// Entries about a hold.
const (
	typeHeld     = "board.held"
	typeReleased = "board.released"
)

// isHeld is the condition for a board on hold, with the name of the column that has the BoardID.
const isHeld = `EXISTS (SELECT 1 FROM holds h WHERE h.since IS NOT NULL AND h.board_id = `

// A Holdable is a board that can be put on hold, released, or scrapped.
type Holdable struct {
	BoardID devices.BoardID
	Type    string
	Since   string // RFC 3339, of the hold; empty: the board is not on hold
	Reason  string // of the newest hold or release, may be empty
}

// Holdable lists the boards of a selection of certificates that are on hold (held), or are not; a BoardID selects also a board without
// a certificate. A scrapped board is none of them.
func (r *Reader) Holdable(ctx context.Context, which Which, held bool) ([]Holdable, error) {
	return r.boardsOf(ctx, which, &held)
}

// Scrappable lists the boards of a selection that are not scrapped, on hold or not.
func (r *Reader) Scrappable(ctx context.Context, which Which) ([]Holdable, error) {
	return r.boardsOf(ctx, which, nil)
}

func (r *Reader) boardsOf(ctx context.Context, which Which, held *bool) ([]Holdable, error) {
	rows, err := r.db.QueryContext(ctx, `SELECT b.id, b.type, coalesce(h.since, ''), coalesce(h.reason, '') FROM boards b LEFT JOIN holds h ON h.board_id = b.id
		WHERE b.scrapped IS NULL AND (?6 IS NULL OR (h.since IS NOT NULL) = ?6) AND (b.id IN (SELECT board_id FROM certificates WHERE `+selected+`)
			OR b.id = ?1 AND ?2 IS NULL AND ?3 = '' AND ?4 = '' AND ?5 = '') ORDER BY b.first_seen, b.id`,
		Filter{BoardID: which.BoardID}.boardID(), which.serial(), which.Order, stampOrNone(which.Since), stampOrNone(which.Until), held)
	if err != nil {
		return nil, fmt.Errorf("looking for boards: %w", err)
	}
	return collect(rows, func(b *Holdable) []any { return []any{board(&b.BoardID), &b.Type, &b.Since, &b.Reason} })
}

// SeenBoards is the SHA-256 of the BoardIDs of a preview.
func SeenBoards(all []Holdable) [sha256.Size]byte {
	var ids []byte
	for _, b := range all {
		ids = append(ids, b.BoardID.String()...)
	}
	return sha256.Sum256(ids)
}

// Hold puts all boards of a selection on hold, and gives their number. It refuses with ErrOtherSelection if they are not those that the
// caller has seen. After an error, some may be on hold; a call after a new preview does the rest.
func (r *Registry) Hold(ctx context.Context, which Which, seen [sha256.Size]byte, reason, operator string) (int, error) {
	return r.eachHoldable(ctx, which, seen, false, func(w *work, id devices.BoardID) error {
		return w.hold(holdEntry(typeHeld, id, reason, operator))
	})
}

// Release lets all boards of a selection go on that are on hold, as Hold does the opposite.
func (r *Registry) Release(ctx context.Context, which Which, seen [sha256.Size]byte, reason, operator string) (int, error) {
	return r.eachHoldable(ctx, which, seen, true, func(w *work, id devices.BoardID) error {
		return w.hold(holdEntry(typeReleased, id, reason, operator))
	})
}

func (r *Registry) eachHoldable(ctx context.Context, which Which, seen [sha256.Size]byte, held bool, do func(*work, devices.BoardID) error) (int, error) {
	all, err := r.Holdable(ctx, which, held)
	if err != nil {
		return 0, err
	}
	return r.eachBoard(ctx, all, seen, do)
}

// eachBoard does something to each board of a selection, if these are the boards that a person has seen.
func (r *Registry) eachBoard(ctx context.Context, all []Holdable, seen [sha256.Size]byte, do func(*work, devices.BoardID) error) (number int, err error) {
	if SeenBoards(all) != seen {
		return 0, ErrOtherSelection
	}
	for part := range slices.Chunk(all, revokedAtOnce) {
		err := r.write(ctx, func(w *work) error {
			for _, b := range part {
				if err := do(w, b.BoardID); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return number, fmt.Errorf("%d of %d are done; the same command does the rest: %w", number, len(all), err)
		}
		number += len(part)
	}
	return number, nil
}

func holdEntry(kind string, id devices.BoardID, reason, operator string) audit.Entry {
	return audit.Entry{Actor: actor(operator), Category: audit.CategoryStatus, Type: kind, Outcome: audit.Success,
		Reason: text(reason), Board: &audit.Board{ID: id.String()}}
}

// hold writes the entry of a hold or a release, and then the row.
func (w *work) hold(e audit.Entry) error {
	var fits int
	err := w.row(`SELECT count(*) FROM boards b LEFT JOIN holds h ON h.board_id = b.id WHERE b.id = ? AND b.scrapped IS NULL AND (h.since IS NOT NULL) = ?`,
		[]any{e.Board.ID, e.Type == typeReleased}, &fits)
	if err != nil {
		return err
	}
	if fits == 0 { // somebody else was faster
		return ErrOtherSelection
	}
	written, err := w.append(e)
	if err != nil {
		return err
	}
	since := sql.NullString{String: written.Time.String(), Valid: e.Type == typeHeld}
	return w.exec(`INSERT INTO holds (board_id, since, reason) VALUES (?1, ?2, ?3) ON CONFLICT (board_id) DO UPDATE SET since = ?2, reason = ?3`,
		e.Board.ID, since, e.Reason)
}

// notHeld refuses a board that is on hold.
func (w *work) notHeld(id devices.BoardID) error {
	var since, why string
	err := w.row(`SELECT since, reason FROM holds WHERE board_id = ? AND since IS NOT NULL`, []any{id.String()}, &since, &why)
	if none(err) {
		return nil
	} else if err != nil {
		return err
	}
	return fmt.Errorf("%w: %s since %s, %q", station.ErrHeld, id, since, why)
}

// held follows the entries about holds.
func (s *replay) held(e audit.Entry) error {
	if e.Board == nil {
		return incomplete(e, "board")
	}
	if _, known := s.boards[e.Board.ID]; !known || s.isHeld(e.Board.ID) == (e.Type == typeHeld) || s.isScrapped(e.Board.ID) {
		return fmt.Errorf("%w: entry %d, %s, does not fit board %s", ErrDiffers, e.Seq, e.Type, e.Board.ID)
	}
	since := ""
	if e.Type == typeHeld {
		since = e.Time.String()
	}
	s.holds[e.Board.ID] = fields{since, e.Reason}
	return nil
}

func (s *replay) isHeld(board string) bool {
	f, known := s.holds[board]
	return known && f[0] != ""
}
