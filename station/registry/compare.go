package registry

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"hallmark/station/audit"
)

// A start writes to rows that it finds: it closes open Runs and intents, and notes the entry of
// the newest start. This file compares these rows with the log before, because a start would
// hide that somebody changed them.

// An openRow is a row that a start would close: a Run, or an intent.
type openRow struct {
	run    string
	first  int64  // the entry that begins the Run, as the row of the Run says; -1: there is no such row
	serial string // of the intent; empty for a Run
}

const (
	openIntents = `SELECT c.run, coalesce(r.first_entry, -1), lower(hex(c.serial)) FROM certificates c LEFT JOIN runs r ON r.id = c.run WHERE c.status = 'intended'`
	openRuns    = `SELECT id, first_entry, '' FROM runs WHERE ending IS NULL`
)

// stillOpen refuses an intent or a Run that is open although the log has its end. To find the end, it
// needs the beginning: a row that names another beginning than the log is refused, too.
func stillOpen(ctx context.Context, q audit.Querier) error {
	for _, query := range []string{openIntents, openRuns} {
		rows, err := q.QueryContext(ctx, query)
		if err != nil {
			return fmt.Errorf("looking for what is open: %w", named(err))
		}
		open, err := collect(rows, func(o *openRow) []any { return []any{&o.run, &o.first, &o.serial} })
		if err != nil {
			return err
		}
		for _, o := range open {
			if err := o.compare(ctx, q); err != nil {
				return fmt.Errorf("%s: %w; restore registry.db from its backup", o, err)
			}
		}
	}
	return nil
}

func (o openRow) String() string {
	if o.serial == "" {
		return "Run " + o.run
	}
	return "the intent " + o.serial + " of Run " + o.run
}

// compare refuses the row if the log does not have its beginning, or if the log has its end.
func (o openRow) compare(ctx context.Context, q audit.Querier) error {
	e, err := entryAt(ctx, q, o.first)
	if err != nil && !none(err) {
		return err
	}
	if err != nil || e.Type != typeAdmitted || e.Run == nil || e.Run.ID != o.run {
		return fmt.Errorf("%w: entry %d does not begin this Run", ErrDiffers, o.first)
	}
	if o.serial == "" {
		return o.noEnd(ctx, q, o.run, slices.Collect(maps.Keys(endings)))
	}
	intent := `"serial":"` + o.serial + `"`
	if _, err := o.find(ctx, q, intent, "cert.issue.intent"); none(err) {
		return fmt.Errorf("%w: this Run has no such intent", ErrDiffers)
	} else if err != nil {
		return err
	}
	return o.noEnd(ctx, q, intent, []string{"cert.issued", "cert.issue.failed", "cert.issue.unresolved"})
}

// noEnd refuses an entry of these types that names the Run and about.
func (o openRow) noEnd(ctx context.Context, q audit.Querier, about string, ends []string) error {
	for _, end := range ends {
		seq, err := o.find(ctx, q, about, end)
		if err == nil {
			return fmt.Errorf("%w: entry %d is %s", ErrReopened, seq, end)
		}
		if !none(err) {
			return err
		}
	}
	return nil
}

// find gives the first entry of this type since the Run began that names the Run and about. The error is
// sql.ErrNoRows when there is none.
func (o openRow) find(ctx context.Context, q audit.Querier, about, kind string) (seq int64, err error) {
	err = q.QueryRowContext(ctx, `SELECT seq FROM audit_entry WHERE seq >= ? AND instr(body, ?) AND instr(body, ?) AND instr(body, ?) LIMIT 1`,
		o.first, []byte(o.run), []byte(about), []byte(`"type":"`+kind+`"`)).Scan(&seq)
	return seq, err
}

// ErrNoStart: no start of the station is on record.
var ErrNoStart = errors.New("no start of this station is on record yet")

// newestStartup gives the number that the row about the newest start names. Without a row it is
// -1, as in schema 2 and in a log without a start.
func newestStartup(ctx context.Context, q audit.Querier) (int64, error) {
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

// NewestStart gives the entry of the newest start. Without a start it gives ErrNoStart.
func (r *Reader) NewestStart(ctx context.Context) (audit.Entry, error) {
	seq, err := newestStartup(ctx, r.db)
	if err != nil {
		return audit.Entry{}, err
	}
	if seq < 0 {
		return audit.Entry{}, ErrNoStart
	}
	return entryAt(ctx, r.db, seq)
}

// compareStartup refuses a row about the newest start that does not name the newest entry
// log.startup. newer are the entries after the one that the row names.
func compareStartup(version, named int64, newer []audit.Entry) error {
	if version == oldestSchema || len(newer) == 0 {
		return nil
	}
	return fmt.Errorf("%w: it names entry %d, the newest is %d", ErrStartup, named, newer[len(newer)-1].Seq)
}

// entryAt reads one entry, and proves that it is in the tree. The error is sql.ErrNoRows when there is none.
func entryAt(ctx context.Context, q audit.Querier, seq int64) (e audit.Entry, err error) {
	var body []byte
	if err = q.QueryRowContext(ctx, `SELECT body FROM audit_entry WHERE seq = ?`, seq).Scan(&body); err != nil {
		return e, err
	}
	if e, err = audit.Decode(body); err != nil {
		return e, fmt.Errorf("reading entry %d: %w: %w", seq, audit.ErrEntry, err)
	}
	return e, audit.Prove(ctx, q, seq, body)
}
