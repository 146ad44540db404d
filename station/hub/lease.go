package hub

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"hallmark/station/outbox"
	"hallmark/station/reason"
	"hallmark/station/workorder"
)

// A lease is an order file for one station that the hub has signed. Its share is what the station may ever certify for the order, so a station that is
// offline works off its lease, and cannot exceed it. A share never shrinks and is never given to somebody else, whatever the clock of a station says: what
// comes back is only the unused part of a station that has closed the order for good. So the sum of the shares never exceeds the quota.

// Errors of work orders.
var (
	// ErrOrderKnown: the order is open with other values.
	ErrOrderKnown = reason.New("hub-order-known", "the hub has a work order of this name with other values")
	// ErrNoOrder: the hub does not have the order.
	ErrNoOrder = reason.New("hub-no-order", "the hub has no open work order of this name")
)

// A PlantOrder is a work order for several stations.
type PlantOrder struct {
	workorder.Order
	Chunk    int64    // boards that a lease gives a station at most beyond those that it has certified
	Hours    int64    // how long a lease lasts
	Stations []string // names; empty: all
	Signed   *workorder.Signed
}

// bounds of leases.
const (
	maxQuota = 1_000_000 // as package workorder takes it
	maxChunk = 100_000
	maxHours = 24 * 366
)

func (o *PlantOrder) check() error {
	errs := []error{reason.CheckText(o.ID), reason.CheckText(o.Product), reason.CheckOptional("lot", o.Lot)}
	switch {
	case o.Quota < 1 || o.Quota > maxQuota:
		errs = append(errs, fmt.Errorf("quota %d: want 1 to %d boards", o.Quota, maxQuota))
	case o.Chunk < 1 || o.Chunk > maxChunk:
		errs = append(errs, fmt.Errorf("lease %d: want 1 to %d boards", o.Chunk, maxChunk))
	case o.Hours < 1 || o.Hours > maxHours:
		errs = append(errs, fmt.Errorf("hours %d: want 1 to %d", o.Hours, maxHours))
	case len(o.Profiles) == 0:
		errs = append(errs, errors.New("profile: want the SHA-256 of at least one"))
	case o.Until.IsZero():
		errs = append(errs, errors.New("until: want the time at which the order ends"))
	}
	if err := errors.Join(errs...); err != nil {
		return reason.Usage(fmt.Errorf("work order: %w", err))
	}
	return nil
}

// OpenOrder opens a work order of the plant. The same call again changes nothing.
func (s *Store) OpenOrder(ctx context.Context, o PlantOrder, operator, why string) error {
	if err := o.check(); err != nil {
		return err
	}
	var ids []int16
	for _, name := range o.Stations {
		one := s.Station(name)
		if one == nil {
			return reason.Usage(fmt.Errorf("station %q: want one of the configuration", name))
		}
		ids = append(ids, one.ID)
	}
	if len(ids) == 0 {
		for id := range s.stations {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	var file, signature []byte
	if o.Signed != nil {
		file, signature = o.Signed.File, o.Signed.Signature
	}
	err := s.inTx(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `INSERT INTO work_order (id, product, lot, quota, profiles, images, not_before, until, chunk, hours, file, signature, operator, reason)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) ON CONFLICT DO NOTHING`,
			o.ID, o.Product, o.Lot, o.Quota, hexes(o.Profiles), hexes(o.Firmware), optional(o.NotBefore), o.Until, o.Chunk, o.Hours, file, signature, operator, why)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return isSame(ctx, tx, &o, ids)
		}
		_, err = tx.Exec(ctx, `INSERT INTO work_order_station (work_order, station) SELECT $1, unnest($2::smallint[])`, o.ID, ids)
		return err
	})
	if err != nil {
		return fmt.Errorf("opening work order %q: %w", o.ID, err)
	}
	return nil
}

func isSame(ctx context.Context, tx pgx.Tx, o *PlantOrder, stations []int16) error {
	var same bool
	err := tx.QueryRow(ctx, `SELECT product = $2 AND quota = $3 AND lot = $4 AND until = $5 AND chunk = $6 AND hours = $7 AND profiles = $8 AND images = $9
		AND not_before IS NOT DISTINCT FROM $10 AND (SELECT array_agg(station ORDER BY station) FROM work_order_station WHERE work_order = id) = $11 FROM work_order WHERE id = $1`,
		o.ID, o.Product, o.Quota, o.Lot, o.Until, o.Chunk, o.Hours, hexes(o.Profiles), hexes(o.Firmware), optional(o.NotBefore), stations).Scan(&same)
	if err == nil && !same {
		err = ErrOrderKnown
	}
	return err
}

// CloseOrder ends an order: no further lease is given. Leases that were given stay until they end.
func (s *Store) CloseOrder(ctx context.Context, id, operator, why string) error {
	tag, err := s.pool.Exec(ctx, `INSERT INTO work_order_closed (work_order, operator, reason) SELECT id, $2, $3 FROM work_order WHERE id = $1 ON CONFLICT DO NOTHING`, id, operator, why)
	if err == nil && tag.RowsAffected() == 0 {
		err = ErrNoOrder
	}
	if err != nil {
		return fmt.Errorf("closing work order %q: %w", id, err)
	}
	return nil
}

func hexes(sums [][32]byte) []string {
	texts := []string{}
	for _, sum := range sums {
		texts = append(texts, fmt.Sprintf("%x", sum))
	}
	return texts
}

func optional(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	return &at
}

// An account is what the hub knows of one station and one order.
type account struct {
	order            string
	counted, share   int64 // as the log of the station says; 0: it has not opened the order
	revision         int64 // that the station has opened
	leased, last     int64 // the greatest share, and the greatest revision, of its leases
	until            time.Time
	quota, given     int64 // of the order; given to all stations
	chunk, hours     int64
	product, lot     string
	profiles, images []string
	notBefore        *time.Time
	ends             time.Time
}

// orders renews the leases of the station where that is due, and gives those that the station has not opened yet.
func (t *taking) orders() ([]outbox.Order, error) {
	rows, err := t.tx.Query(t.ctx, `SELECT w.id, coalesce(o.counted, 0), coalesce(o.share, 0), coalesce(o.revision, 0), coalesce(l.share, 0), coalesce(l.revision, 0), coalesce(l.until, 'epoch'),
			w.quota, (SELECT coalesce(sum(share), 0) FROM order_share WHERE work_order = w.id), w.chunk, w.hours, w.product, w.lot, w.profiles, w.images, w.not_before, w.until
		FROM work_order w JOIN work_order_station m ON m.work_order = w.id AND m.station = $1
		LEFT JOIN station_order o ON o.station = $1 AND o.work_order = w.id
		LEFT JOIN order_share l ON l.station = $1 AND l.work_order = w.id
		WHERE w.until > $2 AND NOT EXISTS (SELECT 1 FROM work_order_closed c WHERE c.work_order = w.id) AND o.closed_at IS NULL ORDER BY w.id`, t.from.ID, t.now())
	if err != nil {
		return nil, fmt.Errorf("reading orders: %w", err)
	}
	accounts, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (a account, err error) {
		return a, row.Scan(&a.order, &a.counted, &a.share, &a.revision, &a.leased, &a.last, &a.until, &a.quota, &a.given, &a.chunk, &a.hours, &a.product, &a.lot, &a.profiles, &a.images, &a.notBefore, &a.ends)
	})
	if err != nil || len(accounts) == 0 {
		return nil, err
	}
	for i := range accounts {
		if !t.state.frozen {
			if err := t.renew(&accounts[i]); err != nil {
				return nil, err
			}
		}
	}
	return t.unopened(accounts)
}

// renew gives a lease when less than half of the newest one is left, in boards or in time. It gives none to a station whose log was forked or rolled back.
func (t *taking) renew(a *account) error {
	now := t.now().UTC().Truncate(time.Second)
	left := a.leased - a.counted
	more := min(a.counted+a.chunk, a.leased+a.quota-a.given) // the share that the station would have
	gains := left*2 <= a.chunk && more > a.leased
	lasts := a.leased > 0 && a.until.Sub(now)*2 <= time.Duration(a.hours)*time.Hour && left > 0
	if a.revision < a.last || !gains && !lasts { // the station has not opened the newest one
		return nil
	}
	if t.state.stopped || t.isBroken() {
		return nil
	}
	until := now.Add(time.Duration(a.hours) * time.Hour)
	if until.After(a.ends) {
		until = a.ends
	}
	if !gains {
		more = a.leased
		if !until.After(a.until) {
			return nil
		}
	}
	return t.lease(a, more, until)
}

// isBroken reports whether this Push shows a fork or a rollback.
func (t *taking) isBroken() bool {
	return slices.ContainsFunc(t.findings, func(f newFinding) bool { return f.kind == outbox.FindingFork || f.kind == outbox.FindingRollback })
}

// lease signs and stores a lease. It is durable before the station gets it, because the transaction is committed before the answer is sent.
func (t *taking) lease(a *account, share int64, until time.Time) error {
	var known int64
	if err := t.tx.QueryRow(t.ctx, `SELECT coalesce(max(number), 0) FROM lease`).Scan(&known); err != nil {
		return err
	}
	number := max(known, t.mark.value()) + 1
	revision := max(a.last, a.revision) + 1 // the hub may have forgotten the newest leases in a restore
	file := leaseFile(a, t.from.Key, share, revision, until)
	signed, _, err := workorder.Sign("the lease", file, t.key, rand.Reader, t.now())
	if err != nil {
		return fmt.Errorf("signing a lease: %w", err)
	}
	// The trigger of the table compares the sum with the quota again, under a lock.
	save, err := t.tx.Begin(t.ctx)
	if err != nil {
		return err
	}
	_, err = save.Exec(t.ctx, `INSERT INTO lease (number, work_order, station, revision, share, until, file, signature) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		number, a.order, t.from.ID, revision, share, until, signed.File, signed.Signature)
	var refused *pgconn.PgError
	if errors.As(err, &refused) && (refused.Code == "23514" || refused.Code == "23505") { // the sum is too great, or another lease was faster: the next Push asks again
		t.log.Info("no lease", "station", t.from.Name, "order", a.order, "why", refused.Message)
		return save.Rollback(t.ctx)
	} else if err != nil {
		return fmt.Errorf("storing a lease: %w", err)
	}
	return save.Commit(t.ctx)
}

// leaseFile is the order file of a lease, see package workorder.
func leaseFile(a *account, station string, share, revision int64, until time.Time) []byte {
	var text strings.Builder
	fmt.Fprintf(&text, "order: %s\nrevision: %d\nproduct: %s\n", strconv.Quote(a.order), revision, strconv.Quote(a.product))
	if a.lot != "" {
		fmt.Fprintf(&text, "lot: %s\n", strconv.Quote(a.lot))
	}
	fmt.Fprintf(&text, "profiles: [%s]\nfirmware: [%s]\nquota: %d\n", strings.Join(a.profiles, ", "), strings.Join(a.images, ", "), a.quota)
	if a.notBefore != nil {
		fmt.Fprintf(&text, "not_before: %s\n", a.notBefore.UTC().Format(time.RFC3339))
	}
	fmt.Fprintf(&text, "until: %s\nstations:\n  - {key: %s, share: %d}\n", until.UTC().Format(time.RFC3339), strconv.Quote(station), share)
	return []byte(text.String())
}

// unopened gives the newest lease of each order that the station has not opened. Those that do not fit into the Answer come when the station has opened the others.
func (t *taking) unopened(accounts []account) ([]outbox.Order, error) {
	rows, err := t.tx.Query(t.ctx, `SELECT DISTINCT ON (l.work_order) l.number, l.file, l.signature FROM lease l LEFT JOIN station_order o ON o.station = l.station AND o.work_order = l.work_order
		WHERE l.station = $1 AND l.work_order = ANY($2) AND l.revision > coalesce(o.revision, 0) AND l.until > $3 ORDER BY l.work_order, l.revision DESC LIMIT $4`,
		t.from.ID, column(accounts, func(a *account) string { return a.order }), t.now(), outbox.MaxOrders)
	if err != nil {
		return nil, fmt.Errorf("reading leases: %w", err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (o outbox.Order, err error) {
		var number int64
		err = row.Scan(&number, &o.File, &o.Signature)
		t.lastLease = max(t.lastLease, number)
		return o, err
	})
}
