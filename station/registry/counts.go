package registry

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"hallmark/station/audit"
)

// This file counts Runs and certificates for a server that is asked every few seconds, for years.

// Counts is what the registry has, at one moment.
type Counts struct {
	Runs         map[RunKind]int64 // Runs that have ended
	OpenRuns     int64
	Certificates map[string]int64 // by their status in the registry, such as "active"
	StoppedBays  int64
	HeldBoards   int64
	Entries      int64     // of the audit log
	Covered      int64     // entries under the newest checkpoint
	CoveredUntil time.Time // when the newest of these was written; zero: there is no checkpoint, or the entry is in an archive
	Schema       int64
}

// A RunKind is how a Run ended.
type RunKind struct{ Ending, Reason string }

// A Counter counts all rows once. Then it reads only the entries that the audit log got since, because each change of a row has one in
// the same transaction: the cost does not grow with the registry. It keeps one octet for each certificate. Its methods are safe for
// concurrent use.
type Counter struct {
	follower *Follower

	mu       sync.Mutex
	seen     int64 // number of entries that are counted; 0: nothing is
	runs     map[RunKind]int64
	statuses []byte   // by the id of a certificate: 1 + index in names; 0: no such row
	names    []string // of the statuses
}

// Counter makes a Counter.
func (f *Follower) Counter() *Counter { return &Counter{follower: f} }

// catchUp is the largest number of new entries that are read one by one. Counting all rows costs less than more of them.
const catchUp = 20_000

// Counts gives the numbers of now.
func (c *Counter) Counts(ctx context.Context) (n Counts, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.follower.Follows(); err != nil {
		return n, err
	}
	tx, err := c.follower.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true}) // all of one moment
	if err != nil {
		return n, fmt.Errorf("counting: %w", err)
	}
	defer func() { err = errors.Join(err, tx.Rollback()) }()
	if n, err = c.count(ctx, tx); err != nil {
		c.seen = 0 // what was counted in part is counted anew
		err = fmt.Errorf("counting: %w", err)
	}
	return n, err
}

func (c *Counter) count(ctx context.Context, tx *sql.Tx) (n Counts, err error) {
	err = tx.QueryRowContext(ctx, `SELECT (SELECT coalesce(max(seq) + 1, 0) FROM audit_entry), (SELECT coalesce(max(size), 0) FROM audit_checkpoint),
		(SELECT count(*) FROM runs WHERE ending IS NULL), (SELECT count(*) FROM bays WHERE stopped IS NOT NULL), (SELECT count(*) FROM holds WHERE since IS NOT NULL),
		(SELECT user_version FROM pragma_user_version)`).
		Scan(&n.Entries, &n.Covered, &n.OpenRuns, &n.StoppedBays, &n.HeldBoards, &n.Schema)
	if err != nil {
		return n, err
	}
	if n.CoveredUntil, err = writtenAt(ctx, tx, n.Covered-1); err != nil {
		return n, err
	}
	if err := c.bringUpTo(ctx, tx, n.Entries); err != nil {
		return n, err
	}
	n.Runs, n.Certificates = map[RunKind]int64{}, map[string]int64{}
	for kind, number := range c.runs {
		n.Runs[kind] = number
	}
	sums := make([]int64, len(c.names)+1)
	for _, status := range c.statuses {
		sums[status]++
	}
	for i, name := range c.names {
		n.Certificates[name] = sums[i+1]
	}
	return n, nil
}

// writtenAt gives the time of an entry; zero: there is no such entry, or its body is in an archive.
func writtenAt(ctx context.Context, tx *sql.Tx, seq int64) (time.Time, error) {
	var body []byte
	err := tx.QueryRowContext(ctx, `SELECT body FROM audit_entry WHERE seq = ?`, seq).Scan(&body)
	if none(err) || err == nil && len(body) == 0 {
		return time.Time{}, nil
	} else if err != nil {
		return time.Time{}, err
	}
	e, err := audit.Decode(body)
	return e.Time.Time, err
}

// bringUpTo counts what the entries before size did.
func (c *Counter) bringUpTo(ctx context.Context, tx *sql.Tx, size int64) error {
	changed, whole, err := c.newEntries(ctx, tx, size)
	if err != nil {
		return err
	}
	if !whole {
		err = c.countAll(ctx, tx)
	}
	if err == nil {
		err = c.readStatuses(ctx, tx, changed)
	}
	c.seen = size
	return err
}

// newEntries counts the Runs that the new entries end, and gives the serial numbers that they name. whole is false if all rows must be
// counted.
func (c *Counter) newEntries(ctx context.Context, tx *sql.Tx, size int64) (changed map[string]bool, whole bool, err error) {
	if c.seen == 0 || size-c.seen > catchUp || size < c.seen {
		return nil, false, nil
	}
	rows, err := tx.QueryContext(ctx, `SELECT body FROM audit_entry WHERE seq >= ? ORDER BY seq`, c.seen)
	if err != nil {
		return nil, false, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	changed = map[string]bool{}
	for rows.Next() {
		var body sql.RawBytes
		if err := rows.Scan(&body); err != nil {
			return nil, false, err
		}
		if len(body) == 0 {
			return nil, false, nil // archived meanwhile
		}
		serialsIn(body, changed)
		if err := c.countEnd(body); err != nil {
			return nil, false, err
		}
	}
	return changed, true, rows.Err()
}

// countEnd counts a Run if the entry ends one. Most entries end none, and are not decoded.
func (c *Counter) countEnd(body []byte) error {
	if !bytes.Contains(body, []byte(`"type":"run.`)) {
		return nil
	}
	e, err := audit.Decode(body)
	if ending, ended := endings[e.Type]; ended && err == nil {
		c.runs[RunKind{string(ending), e.Reason}]++
	}
	return err
}

// serialsIn adds all serial numbers that an entry has under a key of this name. An entry has no blanks outside of texts, and in a text
// each quotation mark has a backslash, so no serial number of a certificate is missed.
func serialsIn(body []byte, all map[string]bool) {
	const digits = 32
	for {
		_, rest, found := bytes.Cut(body, []byte(`"serial":"`))
		if !found {
			return
		}
		if len(rest) > digits && rest[digits] == '"' {
			all[string(rest[:digits])] = true
		}
		body = rest
	}
}

// readStatuses reads the status of the certificates that have changed.
func (c *Counter) readStatuses(ctx context.Context, tx *sql.Tx, serials map[string]bool) (err error) {
	if len(serials) == 0 {
		return nil
	}
	read, err := tx.PrepareContext(ctx, `SELECT id, status FROM certificates WHERE serial = unhex(?)`)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, read.Close()) }()
	for serial := range serials {
		var id int64
		var status string
		err := read.QueryRowContext(ctx, serial).Scan(&id, &status)
		switch {
		case err == nil:
			c.set(id, status)
		case !none(err): // an entry can name a serial number that no certificate has
			return err
		}
	}
	return nil
}

func (c *Counter) countAll(ctx context.Context, tx *sql.Tx) (err error) {
	c.runs, c.statuses = map[RunKind]int64{}, c.statuses[:0]
	rows, err := tx.QueryContext(ctx, `SELECT ending, reason, count(*) FROM runs WHERE ending IS NOT NULL GROUP BY ending, reason`)
	if err != nil {
		return err
	}
	type kind struct {
		RunKind
		number int64
	}
	all, err := collect(rows, func(k *kind) []any { return []any{&k.Ending, &k.Reason, &k.number} })
	for _, k := range all {
		c.runs[k.RunKind] = k.number
	}
	if err != nil {
		return err
	}
	if rows, err = tx.QueryContext(ctx, `SELECT id, status FROM certificates`); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var id int64
		var status string
		if err := rows.Scan(&id, &status); err != nil {
			return err
		}
		c.set(id, status)
	}
	return rows.Err()
}

func (c *Counter) set(id int64, status string) {
	i := slices.Index(c.names, status)
	if i < 0 {
		i, c.names = len(c.names), append(c.names, status)
	}
	for int64(len(c.statuses)) <= id {
		c.statuses = append(c.statuses, 0)
	}
	c.statuses[id] = byte(i + 1)
}
