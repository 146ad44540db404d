package registry

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"hallmark/station/audit"
	"hallmark/station/reason"
)

// This file compares the rows of bays with the log at a start: a bay that a Run stopped stays
// stopped until somebody acknowledges (I13).

// A stop is a Run that stopped its bay, as the row of the Run says.
type stop struct {
	bay, run string
	end      int64 // number of the entry that ends the Run
}

// A bayRow is a row of the table bays.
type bayRow struct {
	name, run string
	stopped   bool
}

// keptBays refuses a bay whose row is missing, names another Run than the newest one that stopped
// the bay, or is free although nobody acknowledged since that Run.
func keptBays(ctx context.Context, q audit.Querier, version int64) error {
	if version == oldestSchema {
		return nil // it had no bays
	}
	newest, err := newestStops(ctx, q)
	if err != nil {
		return err
	}
	rows, err := q.QueryContext(ctx, `SELECT name, run, stopped IS NOT NULL FROM bays`)
	if err != nil {
		return fmt.Errorf("reading the bays: %w", named(err))
	}
	bays, err := collect(rows, func(b *bayRow) []any { return []any{&b.name, &b.run, &b.stopped} })
	if err != nil {
		return err
	}
	for _, bay := range bays {
		if err := bay.compare(ctx, q, newest[bay.name]); err != nil {
			return fmt.Errorf("bay %s: %w; restore registry.db from its backup", bay.name, err)
		}
		delete(newest, bay.name)
	}
	for _, s := range newest {
		return fmt.Errorf("bay %s: %w: Run %s stopped it; restore registry.db from its backup", s.bay, ErrBayMissing, s.run)
	}
	return nil
}

// compare compares a row with the newest Run that stopped the bay. The zero stop is no such Run.
func (b bayRow) compare(ctx context.Context, q audit.Querier, newest stop) error {
	if newest.run != "" && newest.run != b.run {
		return fmt.Errorf("%w: its row names Run %s, and Run %s stopped it last", ErrDiffers, b.run, newest.run)
	}
	if b.stopped {
		return nil
	}
	found, err := acknowledged(ctx, q, b.name, b.run)
	if err == nil && !found {
		err = ErrReleased
	}
	return err
}

// newestStops gives, for each bay, the newest Run that stopped the bay. The rows of the Runs say which
// Runs these may be, and the log says which Runs did.
func newestStops(ctx context.Context, q audit.Querier) (map[string]stop, error) {
	var words []any
	for _, row := range reason.Rows() {
		if row.StopBay {
			words = append(words, row.Word)
		}
	}
	oneOf := strings.TrimPrefix(strings.Repeat(", ?", len(words)), ", ")
	rows, err := q.QueryContext(ctx, `SELECT bay, id, last_entry FROM runs WHERE reason IN (`+oneOf+`) AND ending IS NOT NULL ORDER BY last_entry DESC`, words...)
	if err != nil {
		return nil, fmt.Errorf("looking for Runs that stopped a bay: %w", named(err))
	}
	stops, err := collect(rows, func(s *stop) []any { return []any{&s.bay, &s.run, &s.end} })
	if err != nil {
		return nil, err
	}
	newest := map[string]stop{}
	for _, s := range stops {
		if _, known := newest[s.bay]; known {
			continue
		}
		if found, err := stoppedItsBay(ctx, q, s.run, s.end); err != nil {
			return nil, err
		} else if found {
			newest[s.bay] = s
		}
	}
	return newest, nil
}

// stoppedItsBay reports whether the log says that the Run stopped its bay: the entry stands beside
// the entry that ends the Run. A Run of schema 2 has no such entry.
func stoppedItsBay(ctx context.Context, q audit.Querier, run string, end int64) (bool, error) {
	rows, err := q.QueryContext(ctx, `SELECT seq, body FROM main.audit_entry WHERE seq BETWEEN ?1 - 1 AND ?1 + 1 AND body <> x''`, end)
	if err != nil {
		return false, fmt.Errorf("looking for a bay that was stopped: %w", named(err))
	}
	beside, err := provenEntries(ctx, q, rows)
	if err != nil {
		return false, fmt.Errorf("looking for a bay that was stopped: %w", err)
	}
	return slices.ContainsFunc(beside, func(e audit.Entry) bool { return e.Type == typeBayStopped && e.Run != nil && e.Run.ID == run }), nil
}

// provenEntries reads rows of numbers and bodies, and proves that each entry is in the tree.
func provenEntries(ctx context.Context, q audit.Querier, rows *sql.Rows) (entries []audit.Entry, err error) {
	type row struct {
		seq  int64
		body []byte
	}
	all, err := collect(rows, func(r *row) []any { return []any{&r.seq, &r.body} })
	for _, r := range all {
		e, bad := audit.Decode(r.body)
		if bad == nil {
			bad = audit.Prove(ctx, q, r.seq, r.body)
		}
		if bad != nil {
			return nil, fmt.Errorf("reading entry %d: %w: %w", r.seq, audit.ErrEntry, bad)
		}
		entries = append(entries, e)
	}
	return entries, err
}

// acknowledged reports whether the log has an acknowledgement of the bay since the end of the Run. It reads no
// further than that.
func acknowledged(ctx context.Context, q audit.Querier, bay, run string) (bool, error) {
	rows, err := q.QueryContext(ctx, `SELECT e.seq, e.body FROM runs r JOIN audit_entry e ON e.seq >= r.last_entry
		WHERE r.id = ?1 AND instr(e.body, ?2)`, run, []byte(`"type":"`+typeBayAcknowledged+`"`))
	if err != nil {
		return false, fmt.Errorf("looking for an acknowledgement: %w", named(err))
	}
	seq, body, err := firstAcknowledgement(rows, bay)
	if err == nil && body != nil {
		err = audit.Prove(ctx, q, seq, body)
	}
	if err != nil {
		return false, fmt.Errorf("reading an acknowledgement: %w", err)
	}
	return body != nil, nil
}

// firstAcknowledgement reads rows of numbers and bodies up to the first one that acknowledges the bay.
func firstAcknowledgement(rows *sql.Rows, bay string) (seq int64, body []byte, err error) {
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(&seq, &body); err != nil {
			return 0, nil, err
		}
		e, err := audit.Decode(body)
		if err != nil {
			return 0, nil, err
		}
		if e.Type == typeBayAcknowledged && e.Details["bay"] == bay {
			return seq, body, nil
		}
	}
	return 0, nil, rows.Err()
}
