package registry

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"strconv"

	"hallmark/devices"
	"hallmark/station"
	"hallmark/station/audit"
	"hallmark/station/issuance"
)

// This file marks boards for a rework: the next Run of a marked board gives it a new certificate.

// Entries about a mark. A mark that is spent is named by the entry of the certificate that becomes active (detailMark).
const (
	typeMarked    = "board.rework.marked"
	typeWithdrawn = "board.rework.withdrawn"

	detailMark    = "rework_entry" // number of the entry that marked the board
	detailPurpose = "purpose"
)

// StatusRework selects boards that wait for a rework in a Filter, whatever the status of their certificates.
const StatusRework = "rework"

// waits is the condition for the certificate that a waiting rework replaces.
const waits = `status IN ('active', 'revoked') AND EXISTS (SELECT 1 FROM reworks m JOIN boards b ON b.id = m.board_id
	WHERE m.board_id = certificates.board_id AND m.purpose = certificates.purpose AND m.since IS NOT NULL AND b.scrapped IS NULL)`

// replaceable is the condition for a certificate that a rework can replace. A key that others may know gets no certificate any more.
const replaceable = `(c.status = 'active' OR c.status = 'revoked' AND c.der IS NOT NULL)`

const compromised = `EXISTS (SELECT 1 FROM certificates k WHERE k.board_id = b.id AND k.status = 'revoked' AND k.reason = '` + ReasonKeyCompromise + `')`

// Reworkable lists the boards of a selection whose marks can be withdrawn (marked), or that can be marked: they are not scrapped, have a certificate
// that a rework can replace, and no mark.
func (r *Reader) Reworkable(ctx context.Context, which Which, marked bool) ([]Holdable, error) {
	rows, err := r.db.QueryContext(ctx, `SELECT b.id, b.type, coalesce(m.since, ''), coalesce(m.reason, '') FROM boards b
		LEFT JOIN (SELECT board_id, min(since) AS since, reason FROM reworks WHERE since IS NOT NULL GROUP BY board_id) m ON m.board_id = b.id
		WHERE (m.since IS NOT NULL) = ?6 AND (?6 OR b.scrapped IS NULL AND NOT `+compromised+` AND EXISTS (SELECT 1 FROM certificates c WHERE c.board_id = b.id AND `+replaceable+`))
		AND b.id IN (SELECT board_id FROM certificates WHERE `+selected+`) ORDER BY b.first_seen, b.id`,
		Filter{BoardID: which.BoardID}.boardID(), which.serial(), which.Order, stampOrNone(which.Since), stampOrNone(which.Until), marked)
	if err != nil {
		return nil, fmt.Errorf("looking for boards to rework: %w", err)
	}
	return collect(rows, func(b *Holdable) []any { return []any{board(&b.BoardID), &b.Type, &b.Since, &b.Reason} })
}

// Marked gives the reason of the mark of a board for a purpose. It is empty if the board has none.
func (r *Reader) Marked(ctx context.Context, id devices.BoardID, purpose devices.Purpose) (why string, err error) {
	err = r.db.QueryRowContext(ctx, `SELECT reason FROM reworks WHERE board_id = ? AND purpose = ? AND since IS NOT NULL`, id.String(), purpose.String()).Scan(&why)
	if err != nil && !none(err) {
		return "", fmt.Errorf("looking for a mark of board %s: %w", id, err)
	}
	return why, nil
}

// MarkForRework marks all boards of a selection, and gives their number. It refuses with ErrOtherSelection as Hold does, and a single board that
// nobody can mark with the reason: ErrUnknownBoard, ErrScrapped, ErrMarked, issuance.ErrKeyCompromised or ErrNothingToRework.
func (r *Registry) MarkForRework(ctx context.Context, which Which, seen [sha256.Size]byte, reason, operator string) (int, error) {
	all, err := r.Reworkable(ctx, which, false)
	if err != nil {
		return 0, err
	}
	if len(all) == 0 && which.OnlyBoard() {
		return 0, r.write(ctx, func(w *work) error { return w.whyNotMarked(which.BoardID) })
	}
	return r.eachBoard(ctx, all, seen, func(w *work, id devices.BoardID) error {
		purposes, err := w.purposes(`SELECT count(*) > 0 FROM certificates c JOIN boards b ON b.id = c.board_id WHERE b.id = ? AND c.purpose = ? AND b.scrapped IS NULL
			AND NOT `+compromised+` AND `+replaceable+` AND NOT EXISTS (SELECT 1 FROM reworks m WHERE m.board_id = b.id AND m.since IS NOT NULL)`, id)
		if err != nil {
			return err
		}
		return w.markEach(id, purposes, holdEntry(typeMarked, id, reason, operator))
	})
}

// WithdrawRework withdraws the marks of all boards of a selection, as MarkForRework does the opposite. A Run that is under way goes on.
func (r *Registry) WithdrawRework(ctx context.Context, which Which, seen [sha256.Size]byte, reason, operator string) (int, error) {
	all, err := r.Reworkable(ctx, which, true)
	if err != nil {
		return 0, err
	}
	return r.eachBoard(ctx, all, seen, func(w *work, id devices.BoardID) error {
		purposes, err := w.purposes(`SELECT count(*) > 0 FROM reworks WHERE board_id = ? AND purpose = ? AND since IS NOT NULL`, id)
		if err != nil {
			return err
		}
		return w.markEach(id, purposes, holdEntry(typeWithdrawn, id, reason, operator))
	})
}

// purposes gives the purposes of a board for which the query is true, TLS first.
func (w *work) purposes(query string, id devices.BoardID) (all []devices.Purpose, err error) {
	for _, purpose := range []devices.Purpose{devices.PurposeTLS, devices.PurposeCOSE} {
		var fits bool
		if err := w.row(query, []any{id.String(), purpose.String()}, &fits); err != nil {
			return nil, err
		}
		if fits {
			all = append(all, purpose)
		}
	}
	return all, nil
}

// markEach writes the entry of a mark, or of its withdrawal, and then the row, for each purpose of a board.
func (w *work) markEach(id devices.BoardID, purposes []devices.Purpose, e audit.Entry) error {
	if len(purposes) == 0 { // somebody else was faster
		return ErrOtherSelection
	}
	for _, purpose := range purposes {
		e.Details = map[string]string{detailPurpose: purpose.String()}
		written, err := w.append(e)
		if err != nil {
			return err
		}
		since := sql.NullString{String: written.Time.String(), Valid: e.Type == typeMarked}
		err = w.exec(`INSERT INTO reworks (board_id, purpose, since, reason, entry) VALUES (?1, ?2, ?3, ?4, ?5)
			ON CONFLICT (board_id, purpose) DO UPDATE SET since = ?3, reason = ?4, entry = ?5`, id.String(), purpose.String(), since, written.Reason, written.Seq)
		if err != nil {
			return err
		}
	}
	return nil
}

// whyNotMarked returns the refusal of a board that cannot be marked.
func (w *work) whyNotMarked(id devices.BoardID) error {
	var scrapped, since sql.NullString
	var lost bool
	err := w.row(`SELECT b.scrapped, (SELECT min(since) FROM reworks WHERE board_id = b.id), `+compromised+` FROM boards b WHERE b.id = ?`, []any{id.String()}, &scrapped, &since, &lost)
	switch {
	case none(err):
		return fmt.Errorf("%w: %s", ErrUnknownBoard, id)
	case err != nil:
		return err
	case scrapped.Valid:
		return fmt.Errorf("%w: %s at %s", ErrScrapped, id, scrapped.String)
	case since.Valid:
		return fmt.Errorf("%w: %s since %s", ErrMarked, id, since.String)
	case lost:
		return fmt.Errorf("%w: %s", issuance.ErrKeyCompromised, id)
	}
	return fmt.Errorf("%w: %s", ErrNothingToRework, id)
}

// spendMark ends the mark of a board whose new certificate becomes active, and gives the number of the entry that marked the board; -1: there is
// no mark that this Run spends. A mark that was made after the Run was admitted is for the next Run.
func (w *work) spendMark(in row, run *station.Run) (entry int64, err error) {
	err = w.row(`SELECT m.entry FROM reworks m WHERE m.board_id = ?1 AND m.purpose = ?2 AND m.since IS NOT NULL
		AND m.entry < (SELECT first_entry FROM runs WHERE id = ?3 AND rework <> '')`, []any{in.boardID.String(), in.purpose.String(), run.ID.String()}, &entry)
	if none(err) {
		return -1, nil
	} else if err != nil {
		return -1, err
	}
	return entry, w.exec(`UPDATE reworks SET since = NULL WHERE board_id = ? AND purpose = ?`, in.boardID.String(), in.purpose.String())
}

// Columns of a row of reworks, without the primary key.
const markSince, markReason, markEntry = 0, 1, 2

// marked follows the entries about marks.
func (s *replay) marked(e audit.Entry) error {
	if e.Board == nil || e.Details[detailPurpose] == "" {
		return incomplete(e, "board or purpose")
	}
	key := e.Board.ID + " " + e.Details[detailPurpose]
	_, known := s.boards[e.Board.ID]
	if !known || s.isMarked(key) == (e.Type == typeMarked) || e.Type == typeMarked && s.isScrapped(e.Board.ID) {
		return fmt.Errorf("%w: entry %d, %s, does not fit board %s", ErrDiffers, e.Seq, e.Type, e.Board.ID)
	}
	since := ""
	if e.Type == typeMarked {
		since = e.Time.String()
	}
	s.reworks[key] = fields{since, e.Reason, strconv.FormatInt(e.Seq, 10)}
	return nil
}

func (s *replay) isMarked(key string) bool {
	f, known := s.reworks[key]
	return known && f[markSince] != ""
}

// spent follows the entry of a certificate that became active: the entry names the mark that its Run has spent, and no other.
func (s *replay) spent(e audit.Entry, board, purpose string) error {
	key, named, run := board+" "+purpose, e.Details[detailMark], fields(nil)
	if e.Run != nil {
		run = s.runs[e.Run.ID]
	}
	want := ""
	if s.isMarked(key) && run != nil && run[runRework] != "" && number(run[runFirst]) > number(s.reworks[key][markEntry]) {
		want = s.reworks[key][markEntry]
	}
	if named != want {
		return fmt.Errorf("%w: entry %d spends the mark of entry %q, want %q", ErrDiffers, e.Seq, named, want)
	}
	if want != "" {
		s.reworks[key][markSince] = ""
	}
	return nil
}

// number reads a number that a replay has written.
func number(text string) int64 {
	n, _ := strconv.ParseInt(text, 10, 64) // the replay wrote it with FormatInt
	return n
}
