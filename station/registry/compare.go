package registry

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"hallmark/station/audit"
)

// A start writes to rows that it finds: it closes open Runs and intents, and notes the entry of
// the newest start. This file compares these rows with the log before, because a start would
// hide that somebody changed them.

// stillOpen refuses an intent or a Run that is open although the log has its end.
func stillOpen(ctx context.Context, q audit.Querier) error {
	for _, open := range []struct {
		what, runs string
		ends       []string
	}{
		{"an intent of Run", `SELECT run FROM certificates WHERE status = 'intended'`, []string{"cert.issued", "cert.issue.failed", "cert.issue.unresolved"}},
		{"Run", `SELECT id FROM runs WHERE ending IS NULL`, slices.Collect(maps.Keys(endings))},
	} {
		rows, err := q.QueryContext(ctx, open.runs)
		if err != nil {
			return fmt.Errorf("looking for what is open: %w", named(err))
		}
		runs, err := collect(rows, func(run *string) []any { return []any{run} })
		if err != nil {
			return err
		}
		for _, run := range runs {
			if err := noEnd(ctx, q, run, open.ends); err != nil {
				return fmt.Errorf("%s %s: %w", open.what, run, err)
			}
		}
	}
	return nil
}

// noEnd refuses an entry of these types about the Run.
func noEnd(ctx context.Context, q audit.Querier, run string, ends []string) error {
	for _, end := range ends {
		var seq int64
		err := q.QueryRowContext(ctx, `SELECT e.seq FROM runs r JOIN audit_entry e ON e.seq >= r.first_entry
			WHERE r.id = ?1 AND instr(e.body, ?2) AND instr(e.body, ?3) LIMIT 1`,
			run, []byte(run), []byte(`"type":"`+end+`"`)).Scan(&seq)
		if err == nil {
			return fmt.Errorf("%w: entry %d is %s; restore registry.db from its backup", ErrReopened, seq, end)
		}
		if !none(err) {
			return err
		}
	}
	return nil
}

// stillStopped refuses a bay that is free although nobody acknowledged since the Run that stopped it (I13).
func stillStopped(ctx context.Context, q audit.Querier, version int64) error {
	if version == oldestSchema {
		return nil // it had no bays
	}
	rows, err := q.QueryContext(ctx, `SELECT name, run FROM bays WHERE stopped IS NULL`)
	if err != nil {
		return fmt.Errorf("looking for bays that go on: %w", named(err))
	}
	type bay struct{ name, run string }
	bays, err := collect(rows, func(b *bay) []any { return []any{&b.name, &b.run} })
	if err != nil {
		return err
	}
	for _, b := range bays {
		if found, err := acknowledged(ctx, q, b.name, b.run); err != nil {
			return err
		} else if !found {
			return fmt.Errorf("bay %s: %w; restore registry.db from its backup", b.name, ErrReleased)
		}
	}
	return nil
}

// acknowledged reports whether the log has an acknowledgement of the bay since the Run. It reads no further than that.
func acknowledged(ctx context.Context, q audit.Querier, bay, run string) (bool, error) {
	rows, err := q.QueryContext(ctx, `SELECT e.body FROM runs r JOIN audit_entry e ON e.seq >= r.first_entry
		WHERE r.id = ?1 AND instr(e.body, ?2)`, run, []byte(`"type":"`+typeBayAcknowledged+`"`))
	if err != nil {
		return false, fmt.Errorf("looking for an acknowledgement: %w", named(err))
	}
	defer rows.Close()
	for rows.Next() {
		var body []byte
		if err := rows.Scan(&body); err != nil {
			return false, fmt.Errorf("reading an acknowledgement: %w", err)
		}
		e, err := audit.Decode(body)
		if err != nil {
			return false, fmt.Errorf("reading an acknowledgement: %w", err)
		}
		if e.Type == typeBayAcknowledged && e.Details["bay"] == bay {
			return true, nil
		}
	}
	return false, rows.Err()
}

// newestStartup gives the number that the row about the newest start names. Without a row it is
// -1, as in schema 2 and in a log without a start.
func newestStartup(ctx context.Context, q querier) (int64, error) {
	var value string
	err := q.QueryRowContext(ctx, `SELECT value FROM state WHERE key = 'startup'`).Scan(&value)
	if none(err) {
		return -1, nil
	} else if err != nil {
		return 0, fmt.Errorf("reading the row about the newest start: %w", named(err))
	}
	seq, err := strconv.ParseInt(value, 10, 62)
	if err != nil || strconv.FormatInt(seq, 10) != value {
		return 0, fmt.Errorf("%w: it says %q", ErrStartup, value)
	}
	e, err := entryAt(ctx, q, seq)
	if none(err) || err == nil && e.Type != typeStartup {
		return 0, fmt.Errorf("%w: entry %d is of no start", ErrStartup, seq)
	}
	return seq, err
}

// compareStartup refuses a row about the newest start that does not name the newest entry
// log.startup. newer are the entries after the one that the row names.
func compareStartup(version, named int64, newer []audit.Entry) error {
	if version == oldestSchema || len(newer) == 0 {
		return nil
	}
	return fmt.Errorf("%w: it names entry %d, the newest is %d", ErrStartup, named, newer[len(newer)-1].Seq)
}

// entryAt reads one entry. The error is sql.ErrNoRows when there is none.
func entryAt(ctx context.Context, q querier, seq int64) (e audit.Entry, err error) {
	var body []byte
	if err = q.QueryRowContext(ctx, `SELECT body FROM audit_entry WHERE seq = ?`, seq).Scan(&body); err != nil {
		return e, err
	}
	if e, err = audit.Decode(body); err != nil {
		err = fmt.Errorf("reading entry %d: %w: %w", seq, audit.ErrEntry, err)
	}
	return e, err
}
