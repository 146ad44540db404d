package registry

import (
	"context"
	"fmt"
	"strings"
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
}

// Affected answers a Question from the rows of Runs, the oldest first. Boards that were refused
// are in the answer, because they exist; boards that did not say who they are, are not.
func (r *Reader) Affected(ctx context.Context, q Question) ([]AffectedRow, error) {
	where, args := q.conditions()
	rows, err := r.db.QueryContext(ctx, `SELECT r.board_id, r.purpose, lower(hex(r.hardware_id)), r.board_type, r.firmware, r.firmware_sha256, r.huk,
		r.id, r.begun, r.operator, coalesce(r.work_order, ''), coalesce(r.ending, ''),
		coalesce(lower(hex(c.serial)), ''), coalesce(c.status, ''), coalesce(c.profile, ''), coalesce(lower(hex(c.profile_sha256)), '')
		FROM runs r LEFT JOIN certificates c ON c.id = (SELECT id FROM certificates
			WHERE board_id = r.board_id AND purpose = r.purpose ORDER BY run = r.id DESC, id DESC LIMIT 1)
		WHERE `+where+` ORDER BY r.first_entry`, args...)
	if err != nil {
		return nil, fmt.Errorf("looking for affected boards: %w", err)
	}
	return collect(rows, func(a *AffectedRow) []any {
		return []any{board(&a.BoardID), purpose(&a.Purpose), &a.HardwareID, &a.Type, &a.Firmware, &a.FirmwareSHA256, &a.HUK, &a.Run, &a.Begun, &a.Operator,
			&a.Order, &a.Ending, &a.Serial, &a.Status, &a.Profile, &a.ProfileSHA256}
	})
}

// conditions gives the condition of SQL, whose values are all parameters.
func (q *Question) conditions() (where string, args []any) {
	parts := []string{"r.board_id IS NOT NULL"}
	add := func(given bool, condition string, values ...any) {
		if given {
			parts, args = append(parts, condition), append(args, values...)
		}
	}
	add(q.Firmware != "", "? IN (r.firmware, r.firmware_sha256)", q.Firmware)
	add(q.Operator != "", "r.operator = ?", q.Operator)
	add(q.Order != "", "r.work_order = ?", q.Order)
	add(!q.Since.IsZero(), "r.begun >= ?", stamp(q.Since))
	add(!q.Until.IsZero(), "r.begun < ?", stamp(q.Until))
	add(q.Key != "", "EXISTS (SELECT 1 FROM keys k WHERE k.board_id = r.board_id AND k.purpose = r.purpose AND lower(hex(k.spki_sha256)) = ?)", q.Key)
	add(q.Profile != "", "EXISTS (SELECT 1 FROM certificates p WHERE p.board_id = r.board_id AND p.purpose = r.purpose AND lower(hex(p.profile_sha256)) = ?)", q.Profile)
	return strings.Join(parts, " AND "), args
}

// An Answer is a reader whose bundle has the entries that an answer rests on: for each Run the
// entry with what the board said of itself, and the entry that closed the Run. It implements
// evidence.PartSource.
type Answer struct {
	*Reader
	Question Question
}

// Hashes implements evidence.PartSource.
func (a *Answer) Hashes(ctx context.Context) tlog.HashReader { return audit.HashReader(ctx, a.db) }

// EachSelected implements evidence.PartSource.
func (a *Answer) EachSelected(ctx context.Context, size int64, each func(seq int64, body []byte) error) error {
	where, args := a.Question.conditions()
	return a.eachBody(ctx, `SELECT DISTINCT e.seq, e.body FROM runs r JOIN audit_entry e ON e.seq IN (r.first_entry, r.last_entry)
		WHERE `+where+` AND e.seq < ? ORDER BY e.seq`, append(args, size), each)
}
