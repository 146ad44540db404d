package registry

import (
	"context"
	"fmt"
	"time"

	"hallmark/devices"
	"hallmark/station"
)

// This file has the lists of boards, certificates and Runs.

// BoardRow is one board with its certificate for one purpose: the active certificate,
// else the newest. A board has one row for each purpose for which it has a
// certificate, TLS first. A board without any certificate has one row, without a
// purpose.
type BoardRow struct {
	BoardID    devices.BoardID
	Purpose    devices.Purpose
	HardwareID string // hex
	Type       string
	FirstSeen  string         // RFC 3339
	Scrapped   string         // RFC 3339, empty if it was not scrapped
	Held       string         // RFC 3339, empty if it is not on hold
	Serial     string         // hex, empty without a certificate
	Status     string         // of the certificate, empty without one
	NotAfter   string         // RFC 3339
	Runs       int            // of all purposes
	LastEnding station.Ending // of the newest closed Run
	LastReason string
	// Marked is since when the board waits for a rework of this purpose (RFC 3339), and Rework the reason of the mark. Both are empty if it does not.
	Marked, Rework string
	// The debug port. All are empty for a board whose debug port the station never locked.
	Lock          station.LockState // as last read from the chip, or LockPending
	LockKind      string
	LockRecipe    string // SHA-256 in hex
	LockKey       string // fingerprint of the key that opens the port, may be empty
	Probe, Target string // probe and chip of the newest entry about the lock
}

// StatusHeld selects boards on hold in a Filter, whatever the status of their certificates.
const StatusHeld = "held"

// Filter selects rows of a list. A field with its zero value selects all.
type Filter struct {
	BoardID devices.BoardID
	Serial  string // of a certificate of the board (32 hexadecimal digits); of an order: signed in one of its Runs
	Status  string // of the certificate; of an order: StatusOpen or StatusClosed
	Limit   int    // 0: no limit

	// One Run fits all of these: a Run of the board, of the order, or the one in which the certificate was signed.
	Order, Operator, Bay, Reason string
	Ending                       station.Ending
	Since, Until                 time.Time // it began at Since or later, and before Until; an order was opened then
}

// Statuses of a work order in a Filter.
const (
	StatusOpen   = "open"
	StatusClosed = "closed"
)

// where collects conditions of SQL. Their values are all parameters.
type where struct {
	conditions []string
	args       []any
}

func (w *where) add(given bool, condition string, values ...any) {
	if given {
		w.conditions, w.args = append(w.conditions, condition), append(w.args, values...)
	}
}

// and gives the conditions behind others.
func (w *where) and() string {
	text := ""
	for _, condition := range w.conditions {
		text += " AND " + condition
	}
	return text
}

// ofRun gives the condition that a column, such as the BoardID, is in a Run that fits. column is its name in the table of Runs.
func (f Filter) ofRun(name, column string) where {
	run := f.run()
	return run.has(name, column)
}

// has gives the condition that a column is in a Run that fits these conditions.
func (run *where) has(name, column string) (w where) {
	w.add(len(run.args) > 0, name+` IN (SELECT `+column+` FROM runs WHERE TRUE`+run.and()+`)`, run.args...)
	return w
}

// run gives the conditions on one Run.
func (f Filter) run() (run where) {
	run.add(f.Order != "", `work_order = ? COLLATE NOCASE`, f.Order)
	run.add(f.Operator != "", `operator = ?`, f.Operator)
	run.add(f.Bay != "", `bay = ?`, f.Bay)
	run.add(f.Reason != "", `reason = ?`, f.Reason)
	run.add(f.Ending != "", `ending = ?`, string(f.Ending))
	run.add(!f.Since.IsZero(), `begun >= ?`, stamp(f.Since))
	run.add(!f.Until.IsZero(), `begun < ?`, stamp(f.Until))
	return run
}

// Boards lists boards in the order in which they were first seen.
func (r *Reader) Boards(ctx context.Context, f Filter) ([]BoardRow, error) {
	runs := f.ofRun("b.id", "board_id")
	rows, err := r.db.QueryContext(ctx, `SELECT b.id, lower(hex(b.hardware_id)), b.type, b.first_seen, coalesce(b.scrapped, ''), coalesce(h.since, ''),
		c.purpose, coalesce(lower(hex(c.serial)), ''), coalesce(c.status, ''), coalesce(c.not_after, ''),
		coalesce(l.runs, 0), coalesce(l.ending, ''), coalesce(l.reason, ''), coalesce(d.state, ''), coalesce(d.kind, ''),
		coalesce(lower(hex(d.recipe_sha256)), ''), coalesce(d.key, ''), coalesce(d.probe, ''), coalesce(d.target, ''), coalesce(m.since, ''), iif(m.since IS NULL, '', m.reason)
		FROM boards b
		LEFT JOIN holds h ON h.board_id = b.id
		LEFT JOIN locks d ON d.board_id = b.id
		LEFT JOIN certificates c ON c.board_id = b.id AND c.id = (SELECT id FROM certificates
			WHERE board_id = b.id AND purpose = c.purpose ORDER BY status = 'active' DESC, id DESC LIMIT 1)
		LEFT JOIN reworks m ON m.board_id = b.id AND m.purpose = c.purpose AND b.scrapped IS NULL
		LEFT JOIN (SELECT board_id, count(*) AS runs, max(closed), ending, reason FROM runs
			WHERE admitted AND (?1 = '' OR board_id = ?1) GROUP BY board_id) l ON l.board_id = b.id
		WHERE (?1 = '' OR b.id = ?1) AND (?2 = '' OR c.status = ?2 OR ?2 = '`+StatusHeld+`' AND h.since IS NOT NULL OR ?2 = '`+StatusRework+`' AND m.since IS NOT NULL)
			AND (?4 = '' OR b.id IN (SELECT board_id FROM certificates WHERE serial = unhex(?4)))`+runs.and()+` ORDER BY b.first_seen, b.id, c.purpose DESC LIMIT ?3`,
		append([]any{f.boardID(), f.Status, f.limit(), f.Serial}, runs.args...)...)
	if err != nil {
		return nil, fmt.Errorf("listing boards: %w", err)
	}
	return collect(rows, func(b *BoardRow) []any {
		return []any{board(&b.BoardID), &b.HardwareID, &b.Type, &b.FirstSeen, &b.Scrapped, &b.Held, purpose(&b.Purpose), &b.Serial, &b.Status, &b.NotAfter, &b.Runs, &b.LastEnding, &b.LastReason,
			&b.Lock, &b.LockKind, &b.LockRecipe, &b.LockKey, &b.Probe, &b.Target, &b.Marked, &b.Rework}
	})
}

// boardID gives the BoardID as the column has it, and the empty string for all boards.
func (f Filter) boardID() string {
	if f.BoardID.IsZero() {
		return ""
	}
	return f.BoardID.String()
}

func (f Filter) limit() int {
	if f.Limit <= 0 {
		return -1
	}
	return f.Limit
}

// CertificateRow is one certificate, or one serial number without a certificate.
type CertificateRow struct {
	Serial, Profile, Status, Reason, Run   string
	BoardID                                devices.BoardID
	Purpose                                devices.Purpose
	NotBefore, NotAfter, Intended, Changed string // RFC 3339
	SHA256                                 string // hex, empty without a certificate
	Rework                                 bool
	Held                                   bool // the board is on hold
	DER                                    []byte
}

// Certificates lists certificates in the order of their intents.
func (r *Reader) Certificates(ctx context.Context, f Filter) ([]CertificateRow, error) {
	runs := f.ofRun("run", "id")
	rows, err := r.db.QueryContext(ctx, `SELECT lower(hex(serial)), board_id, purpose, profile, status, reason, run,
		not_before, not_after, intended, changed, coalesce(lower(hex(sha256)), ''), rework, `+isHeld+`certificates.board_id), der
		FROM certificates WHERE (?1 = '' OR board_id = ?1) AND (?2 = '' OR status = ?2 OR ?2 = '`+StatusHeld+`' AND `+isHeld+`certificates.board_id) OR ?2 = '`+StatusRework+`' AND `+waits+`)
			AND (?4 = '' OR serial = unhex(?4))`+runs.and()+` ORDER BY id LIMIT ?3`,
		append([]any{f.boardID(), f.Status, f.limit(), f.Serial}, runs.args...)...)
	if err != nil {
		return nil, fmt.Errorf("listing certificates: %w", err)
	}
	return collect(rows, func(c *CertificateRow) []any {
		return []any{&c.Serial, board(&c.BoardID), purpose(&c.Purpose), &c.Profile, &c.Status, &c.Reason, &c.Run,
			&c.NotBefore, &c.NotAfter, &c.Intended, &c.Changed, &c.SHA256, &c.Rework, &c.Held, &c.DER}
	})
}

// RunRow is one Run.
type RunRow struct {
	ID, HardwareID, Bay, Operator, Order, Rework string
	BoardID                                      devices.BoardID // zero: the board did not say
	Purpose                                      devices.Purpose
	Begun, Closed                                string // RFC 3339, Closed is empty while the Run is open
	Ending                                       station.Ending
	Outcome                                      station.Outcome
	Reason                                       string
}
