package registry

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"hallmark/devices"
	"hallmark/station"
	"hallmark/station/audit"
)

// This file has the questions that the screen asks while boards are enrolled. Each
// answer is one short query.

// OrderRow is one work order.
type OrderRow struct {
	ID, Product    string
	Quota, Counted int64  // Counted: boards for which a certificate was signed
	Closed         string // RFC 3339; empty: the order is open
}

// Order gives one work order, or ErrUnknownOrder.
func (r *Reader) Order(ctx context.Context, id string) (OrderRow, error) {
	o := OrderRow{ID: id}
	err := r.db.QueryRowContext(ctx, `SELECT product, quota, counted, coalesce(closed, '') FROM work_orders WHERE id = ?`, id).Scan(&o.Product, &o.Quota, &o.Counted, &o.Closed)
	if none(err) {
		return OrderRow{}, fmt.Errorf("%q: %w", id, ErrUnknownOrder)
	} else if err != nil {
		return OrderRow{}, fmt.Errorf("reading work order %q: %w", id, err)
	}
	return o, nil
}

// OrderReport is one work order with the outcomes of its Runs.
type OrderReport struct {
	OrderRow
	Opened                      string // RFC 3339
	Lot, Until                  string // Until: RFC 3339, no Run begins then or later; empty: none
	Issued, Reworked, Confirmed int64  // Runs that passed; the first two count for the order
	Firmware                    string // SHA-256 of the images that boards may run, with commas; empty: any image
	Boards                      OrderSums
	NotBefore                   string // RFC 3339, no Run begins before; empty: any time
	Revision                    int64  // of the file that the owner has signed; 0: nobody has signed the order
	SHA256, OwnerSHA256         string // of that file, and of the owner's public key
	Profiles                    string // SHA-256 of the profiles by which certificates may be signed, with commas; empty: any
}

// Orders lists work orders in the order in which they were opened. Since and Until of the Filter are about that time, the
// operator is one of its Runs.
func (r *Reader) Orders(ctx context.Context, f Filter) ([]OrderReport, error) {
	run := Filter{Operator: f.Operator, Bay: f.Bay, Reason: f.Reason, Ending: f.Ending}.run()
	run.add(!f.BoardID.IsZero(), `board_id = ?`, f.boardID())
	run.add(f.Serial != "", `id IN (SELECT run FROM certificates WHERE serial = unhex(?))`, f.Serial)
	fits := run.has("o.id", "work_order")
	fits.add(f.Order != "", `o.id = ? COLLATE NOCASE`, f.Order)
	fits.add(f.Status == StatusOpen, `o.closed IS NULL`)
	fits.add(f.Status == StatusClosed, `o.closed IS NOT NULL`)
	fits.add(!f.Since.IsZero(), `o.opened >= ?`, stamp(f.Since))
	fits.add(!f.Until.IsZero(), `o.opened < ?`, stamp(f.Until))
	rows, err := r.db.QueryContext(ctx, `SELECT o.id, o.product, o.quota, o.counted, o.opened, coalesce(o.closed, ''),
		count(*) FILTER (WHERE r.outcome = 'issued'), count(*) FILTER (WHERE r.outcome = 'reworked'), count(*) FILTER (WHERE r.outcome = 'confirmed')
		FROM work_orders o LEFT JOIN runs r ON r.work_order = o.id WHERE TRUE`+fits.and()+` GROUP BY o.id ORDER BY o.opened, o.id LIMIT ?`, append(fits.args, f.limit())...)
	if err != nil {
		return nil, fmt.Errorf("listing the work orders: %w", err)
	}
	orders, err := collect(rows, func(o *OrderReport) []any {
		return []any{&o.ID, &o.Product, &o.Quota, &o.Counted, &o.Opened, &o.Closed, &o.Issued, &o.Reworked, &o.Confirmed}
	})
	if err != nil {
		return nil, err
	}
	history, err := audit.OrderHistory(ctx, r.db, "", 0)
	for i := range orders {
		if err == nil {
			err = orders[i].addBoards(ctx, r.db)
		}
	}
	for _, e := range history {
		if i := slices.IndexFunc(orders, func(o OrderReport) bool { return o.ID == orderID(e) }); i >= 0 && hasTerms(e) {
			orders[i].setTerms(termsOf(e))
		}
	}
	return orders, err
}

// hasTerms reports whether an entry opens or revises a work order.
func hasTerms(e audit.Entry) bool {
	return e.Type == audit.TypeOrderOpened || e.Type == audit.TypeOrderRevised
}

func (o *OrderReport) setTerms(t terms) {
	o.Firmware, o.Lot, o.Until, o.NotBefore = t.images, t.lot, t.until, t.notBefore
	o.Revision, o.SHA256, o.OwnerSHA256, o.Profiles = t.number(), t.file, t.owner, t.profiles
}

// OrderReport gives one work order, or ErrUnknownOrder.
func (r *Reader) OrderReport(ctx context.Context, id string) (OrderReport, error) {
	orders, err := r.Orders(ctx, Filter{Order: id})
	if err != nil {
		return OrderReport{}, err
	}
	i := slices.IndexFunc(orders, func(o OrderReport) bool { return o.ID == id })
	if i < 0 {
		return OrderReport{}, fmt.Errorf("%q: %w", id, ErrUnknownOrder)
	}
	return orders[i], nil
}

func (o *OrderReport) addBoards(ctx context.Context, q querier) (err error) {
	o.Boards, err = sumsOf(o.Quota, q.QueryRowContext(ctx, orderSums, o.ID).Scan)
	return err
}

// OrderSums are the boards that a work order ordered. Their sum is the quota.
type OrderSums struct {
	Certified  int64 // boards with a certificate
	Unresolved int64 // boards for which it is not known whether the HSM signed
	Revoked    int64 // boards whose certificates were all revoked or scrapped
	Unused     int64
}

// orderSums takes for each board of the order the best state of its certificates.
const orderSums = `SELECT count(*) FILTER (WHERE best = 3), count(*) FILTER (WHERE best = 2), count(*) FILTER (WHERE best = 1) FROM (
	SELECT max(CASE WHEN status IN ('issued', 'delivered', 'active', 'superseded') THEN 3 WHEN status IN ('intended', 'unresolved') THEN 2 ELSE 1 END) AS best
	FROM certificates WHERE work_order = ? AND status != 'failed' GROUP BY board_id)`

// sumsOf scans the row of orderSums.
func sumsOf(quota int64, scan func(...any) error) (s OrderSums, err error) {
	if err = scan(&s.Certified, &s.Unresolved, &s.Revoked); err != nil {
		return s, fmt.Errorf("counting the boards of a work order: %w", err)
	}
	s.Unused = quota - s.Certified - s.Unresolved - s.Revoked
	return s, nil
}

func (s OrderSums) details() map[string]string {
	return map[string]string{"certified": fmt.Sprint(s.Certified), "unresolved": fmt.Sprint(s.Unresolved), "revoked": fmt.Sprint(s.Revoked), "unused": fmt.Sprint(s.Unused)}
}

// Search selects Runs. A field with its zero value selects all.
type Search struct {
	Text   string // part of a BoardID, of a serial number in hex, or of a work order; or a day of the local time, such as 2026-11-29
	Run    string // only the Run with this id; the other fields are then not used
	Ending station.Ending
	Since  time.Time // begun at this time or later
	Limit  int       // 0: no limit
}

// FoundRun is one Run, with the certificate that was signed in it if there is one.
type FoundRun struct {
	RunRow
	Serial string // hex, empty without a certificate
	Status string // of that certificate now
}

const foundQuery = `SELECT r.id, r.board_id, coalesce(lower(hex(r.hardware_id)), ''), r.bay, r.operator, coalesce(r.work_order, '') AS o, r.rework,
	r.purpose, r.begun, coalesce(r.closed, ''), coalesce(r.ending, ''), coalesce(r.outcome, ''), r.reason,
	coalesce((SELECT lower(hex(c.serial)) FROM certificates c WHERE c.board_id = r.board_id AND c.run = r.id ORDER BY c.id DESC LIMIT 1), '') AS s,
	coalesce((SELECT c.status FROM certificates c WHERE c.board_id = r.board_id AND c.run = r.id ORDER BY c.id DESC LIMIT 1), '')
	FROM runs r `

// SearchRuns finds Runs, the newest first. It reads no further than to the last Run
// that Limit allows.
func (r *Reader) SearchRuns(ctx context.Context, s Search) ([]FoundRun, error) {
	query, args := s.query()
	rows, err := r.db.QueryContext(ctx, foundQuery+query, args...)
	if err != nil {
		return nil, fmt.Errorf("searching Runs: %w", err)
	}
	return collect(rows, func(c *FoundRun) []any {
		return []any{&c.ID, board(&c.BoardID), &c.HardwareID, &c.Bay, &c.Operator, &c.Order, &c.Rework, purpose(&c.Purpose), &c.Begun, &c.Closed, &c.Ending, &c.Outcome, &c.Reason, &c.Serial, &c.Status}
	})
}

func (s *Search) query() (string, []any) {
	if s.Run != "" {
		return `WHERE r.id = ?`, []any{s.Run}
	}
	since, until, text := "", "", strings.ToLower(s.Text)
	if !s.Since.IsZero() {
		since = stamp(s.Since)
	}
	if day, err := time.ParseInLocation(time.DateOnly, s.Text, time.Local); err == nil { // the groups of a BoardID are longer
		since, until, text = max(since, stamp(day)), stamp(day.AddDate(0, 0, 1)), ""
	}
	return `WHERE (?1 = '' OR instr(coalesce(r.board_id, ''), ?1) OR instr(lower(o), ?1) OR instr(s, ?1))
		AND (?2 = '' OR r.ending = ?2) AND r.begun >= ?3 AND (?5 = '' OR r.begun < ?5) ORDER BY r.begun DESC, r.id LIMIT ?4`,
		[]any{text, string(s.Ending), since, Filter{Limit: s.Limit}.limit(), until}
}

// EntriesOf gives the audit entries that name the Run and were written while it was
// open, the oldest first. An unknown Run has none. EntriesOf does not verify the log;
// VerifyAudit does.
func (r *Reader) EntriesOf(ctx context.Context, run string) ([]audit.Entry, error) {
	return r.entries(ctx, "of Run "+run, `SELECT e.body FROM runs r JOIN audit_entry e
		ON e.seq BETWEEN r.first_entry AND coalesce(r.last_entry, ?2) AND instr(e.body, ?3)
		WHERE r.id = ?1 ORDER BY e.seq`, run, int64(math.MaxInt64), []byte(run))
}

// WantedLabels gives the entries label.wanted of the bays that wait for the label of a board, the oldest first: of each bay the
// newest one, unless the right label was read since. It looks at one entry for each Pass. An archive leaves these entries in the registry,
// see staying.
func (r *Reader) WantedLabels(ctx context.Context) ([]audit.Entry, error) {
	return r.entries(ctx, "about labels", `WITH wanted AS (SELECT r.bay, max(e.seq) AS seq FROM runs r JOIN main.audit_entry e ON e.seq = r.last_entry + 1
			WHERE r.ending = 'pass' AND instr(e.body, ?1) GROUP BY r.bay)
		SELECT body FROM main.audit_entry WHERE seq IN (SELECT seq FROM wanted w WHERE NOT EXISTS (SELECT 1 FROM main.audit_entry e
			WHERE e.seq > w.seq AND instr(e.body, ?2) AND e.body ->> '$.details.bay' = w.bay AND e.body ->> '$.outcome' = ?3)) ORDER BY seq`,
		[]byte(`"type":"`+typeLabelWanted+`"`), []byte(`"type":"`+typeLabelRead+`"`), string(audit.Success))
}

// SerialsOnLabel gives the serial numbers in hex that the label of a board may have.
func (r *Reader) SerialsOnLabel(ctx context.Context, id devices.BoardID) ([]string, error) {
	var serials string
	err := r.db.QueryRowContext(ctx, serialsOnLabel, id.String()).Scan(&serials)
	if err != nil {
		return nil, fmt.Errorf("reading the serial numbers of board %s: %w", id, err)
	}
	return strings.Fields(serials), nil
}

// EndsSince gives the entries that closed Runs, the oldest first, for the Runs that
// began at this time or later. Each entry has the Run's ending, its reason and
// the time of each step.
func (r *Reader) EndsSince(ctx context.Context, since time.Time) ([]audit.Entry, error) {
	return r.entries(ctx, "that closed Runs", `SELECT e.body FROM runs r JOIN audit_entry e ON e.seq = r.last_entry
		WHERE r.begun >= ? ORDER BY e.seq`, stamp(since))
}

func (r *Reader) entries(ctx context.Context, which, query string, args ...any) (entries []audit.Entry, err error) {
	defer func() { err = r.Why(err) }()
	rows, err := r.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("reading the audit entries %s: %w", which, err)
	}
	bodies, err := collect(rows, func(b *[]byte) []any { return []any{b} })
	for _, body := range bodies {
		entry, bad := audit.Decode(body)
		if bad != nil {
			return nil, fmt.Errorf("reading the audit entries %s: %w", which, bad)
		}
		entries = append(entries, entry)
	}
	return entries, err
}

// AuditSize gives the number of committed entries. It answers from memory.
func (r *Registry) AuditSize() int64 { return r.log.Head().Size }

// ClockStep gives an error that wraps audit.ErrClockBack while the clock is so far
// behind the newest audit entry that the registry refuses to write. It answers from
// memory.
func (r *Registry) ClockStep() error { return r.log.ClockStep() }

// LastCheckpointTime gives the time of the newest checkpoint, or the zero time.
func (r *Reader) LastCheckpointTime(ctx context.Context) (time.Time, error) {
	size, _, err := audit.Newest(ctx, r.db)
	if none(err) {
		return time.Time{}, nil
	} else if err != nil {
		return time.Time{}, fmt.Errorf("reading the newest checkpoint: %w", err)
	}
	var body []byte
	if err := r.db.QueryRowContext(ctx, `SELECT body FROM audit_entry WHERE seq = ?`, size-1).Scan(&body); err != nil {
		return time.Time{}, fmt.Errorf("reading the entry of the newest checkpoint: %w", err)
	}
	entry, err := audit.Decode(body)
	return entry.Time.Time, err
}
