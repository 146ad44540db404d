package registry

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"hallmark/devices"
	"hallmark/station"
	"hallmark/station/audit"
)

// A Question asks which boards are affected, for example by a firmware with a hole (CRA Article
// 14). A field with its zero value does not narrow the answer.
type Question struct {
	Firmware string // version, or SHA-256 of the image in hex
	Key      string // SHA-256 of the public key of a board (SPKI) in hex
	Operator string
	Profile  string // SHA-256 of the profile in hex
	Order    string
	HSM      string    // serial number of the token that signed a certificate of the board
	Since    time.Time // the Run began at this time or later
	Until    time.Time // the Run began before this time
}

// AffectedRow is one Run that fits a Question, with the newest certificate of its board. A board
// has a row for each Run that fits.
type AffectedRow struct {
	BoardID                                         devices.BoardID
	Purpose                                         devices.Purpose
	HardwareID, Type, Firmware, FirmwareSHA256, HUK string
	Run, Begun, Operator, Order                     string
	Ending                                          station.Ending
	Serial, Status, Profile, ProfileSHA256          string // of the certificate that was signed in the Run, else of the newest one
	Last                                            int64  // entry with which the Run ended, or -1
	First                                           int64  // entry with which the Run began, or the Run in which the certificate was signed if that is older
}

// Affected answers a Question from the rows of Runs, the oldest first. Boards that were refused
// are in the answer, because they exist; boards that did not say who they are, are not.
func (r *Reader) Affected(ctx context.Context, q Question) ([]AffectedRow, error) {
	fits, err := r.conditions(ctx, q)
	if err != nil {
		return nil, err
	}
	rows, err := r.db.QueryContext(ctx, `SELECT r.board_id, r.purpose, lower(hex(r.hardware_id)), r.board_type, r.firmware, r.firmware_sha256, r.huk,
		r.id, r.begun, r.operator, coalesce(r.work_order, ''), coalesce(r.ending, ''),
		coalesce(lower(hex(c.serial)), ''), coalesce(c.status, ''), coalesce(c.profile, ''), coalesce(lower(hex(c.profile_sha256)), ''),
		coalesce(r.last_entry, -1), min(r.first_entry, coalesce((SELECT first_entry FROM runs WHERE id = c.run), r.first_entry))
		FROM runs r LEFT JOIN certificates c ON c.id = (SELECT id FROM certificates
			WHERE board_id = r.board_id AND purpose = r.purpose ORDER BY run = r.id DESC, id DESC LIMIT 1)
		WHERE r.board_id IS NOT NULL`+fits.and()+` ORDER BY r.first_entry`, fits.args...)
	if err != nil {
		return nil, fmt.Errorf("looking for affected boards: %w", err)
	}
	return collect(rows, func(a *AffectedRow) []any {
		return []any{board(&a.BoardID), purpose(&a.Purpose), &a.HardwareID, &a.Type, &a.Firmware, &a.FirmwareSHA256, &a.HUK, &a.Run, &a.Begun, &a.Operator,
			&a.Order, &a.Ending, &a.Serial, &a.Status, &a.Profile, &a.ProfileSHA256, &a.Last, &a.First}
	})
}

// Behind is what the entries behind the newest checkpoint are about: a bundle of today does not have them.
type Behind struct {
	size int64           // entries under the checkpoint
	said map[string]bool // ids of Runs, serial numbers and BoardIDs
}

// BehindCheckpoint reads the entries behind the newest checkpoint.
func (r *Reader) BehindCheckpoint(ctx context.Context) (*Behind, error) {
	size, err := r.CoveredSize(ctx)
	if err != nil {
		return nil, err
	}
	b := &Behind{size, map[string]bool{}}
	return b, r.eachBody(ctx, `SELECT seq, body FROM audit_entry WHERE seq >= ? ORDER BY seq`, []any{size}, func(seq int64, body []byte) error {
		e, err := audit.Decode(body)
		if err != nil {
			return fmt.Errorf("reading audit entry %d: %w", seq, err)
		}
		if e.Run != nil {
			b.said[e.Run.ID] = true
		}
		if e.Cert != nil {
			b.said[e.Cert.Serial] = true
		}
		if e.Board != nil {
			b.said[e.Board.ID] = true
		}
		return nil
	})
}

// GoesOn reports whether something about the Run, its certificate or its board lies behind the checkpoint, or can come there because
// the Run has no end.
func (b *Behind) GoesOn(a *AffectedRow) bool {
	return a.Last < 0 || a.Last >= b.size || b.said[a.Run] || a.Serial != "" && b.said[a.Serial] || b.said[a.BoardID.String()]
}

// signedHere is the condition for boards with a certificate that was signed, or may have been (I10).
const signedHere = `EXISTS (SELECT 1 FROM certificates h WHERE h.board_id = r.board_id AND h.purpose = r.purpose AND h.status <> 'failed')`

func (r *Reader) conditions(ctx context.Context, q Question) (w where, err error) {
	if q.HSM == "" {
		return q.conditions(""), nil
	}
	// The keys of a station never leave the token that the genesis names: a key from a restored
	// backup is refused. So the token has signed all certificates of this log, or none.
	here, err := r.tokenSerial(ctx)
	if err != nil {
		return w, err
	}
	if here == q.HSM {
		return q.conditions(signedHere), nil
	}
	return q.conditions("FALSE"), nil
}

// tokenSerial gives the serial number of the token in entry 0.
func (r *Reader) tokenSerial(ctx context.Context) (serial string, err error) {
	err = r.EachBody(ctx, 1, func(_ int64, body []byte) error {
		genesis, err := audit.Decode(body)
		serial = genesis.Details["hsm_serial"]
		return err
	})
	return serial, err
}

// conditions takes the condition about the token, or nothing.
func (q *Question) conditions(hsm string) (w where) {
	w.add(q.Firmware != "", "? IN (r.firmware, r.firmware_sha256)", q.Firmware)
	w.add(q.Operator != "", "r.operator = ?", q.Operator)
	w.add(q.Order != "", "r.work_order = ?", q.Order)
	w.add(!q.Since.IsZero(), "r.begun >= ?", stamp(q.Since))
	w.add(!q.Until.IsZero(), "r.begun < ?", stamp(q.Until))
	w.add(q.Key != "", "EXISTS (SELECT 1 FROM keys k WHERE k.board_id = r.board_id AND k.purpose = r.purpose AND lower(hex(k.spki_sha256)) = ?)", q.Key)
	w.add(q.Profile != "", "EXISTS (SELECT 1 FROM certificates p WHERE p.board_id = r.board_id AND p.purpose = r.purpose AND lower(hex(p.profile_sha256)) = ?)", q.Profile)
	w.add(hsm != "", hsm)
	return w
}

// An Answer is a reader whose bundle has the entries that an answer rests on: all entries of the Runs, all entries
// about the certificates of the answer, also from before and after these Runs, and what happened to the boards
// outside of Runs. A question about the token also needs entry 0. It implements evidence.PartSource.
type Answer struct {
	*Reader
	Question Question
}

// Hashes implements evidence.PartSource.
func (a *Answer) Hashes(ctx context.Context) tlog.HashReader { return audit.HashReader(ctx, a.db) }

// EachSelected implements evidence.PartSource. It reads the log from the first entry that can belong to the
// answer, so that an answer about new Runs needs no archive.
func (a *Answer) EachSelected(ctx context.Context, size int64, each func(seq int64, body []byte) error) error {
	rows, err := a.Affected(ctx, a.Question)
	if err != nil || len(rows) == 0 {
		return err
	}
	first, wanted := rows[0].First, map[string]bool{}
	for i := range rows {
		first = min(first, rows[i].First)
		wanted[rows[i].Run], wanted[rows[i].Serial], wanted[rows[i].BoardID.String()] = true, true, true
	}
	if a.Question.HSM != "" && first > 0 {
		if err := a.EachBody(ctx, 1, each); err != nil {
			return err
		}
	}
	return a.eachBody(ctx, `SELECT seq, body FROM audit_entry WHERE seq >= ? AND seq < ? ORDER BY seq`, []any{first, size}, func(seq int64, body []byte) error {
		e, err := audit.Decode(body)
		if err != nil {
			return fmt.Errorf("reading audit entry %d: %w", seq, err)
		}
		if e.Run != nil && wanted[e.Run.ID] || e.Cert != nil && e.Cert.Serial != "" && wanted[e.Cert.Serial] || e.Run == nil && e.Board != nil && wanted[e.Board.ID] {
			return each(seq, body)
		}
		return nil
	})
}
