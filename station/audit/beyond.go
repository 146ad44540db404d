package audit

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// The entries behind the newest checkpoint continue the tree, and nobody has signed them: whoever can write to the database can add
// some. This file reads all of them at a start, so that the caller can tell which of them it believes.

// beyond hands each entry behind the first from entries to visit, in order. It makes their hashes anew, so each entry that visit gets
// is in the tree of this head.
func beyond(ctx context.Context, q Querier, from int64, head Head, visit func(Entry)) error {
	at, err := edgeAt(ctx, q, from)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrHash, err)
	}
	rows, err := q.QueryContext(ctx, `SELECT seq, body, hashes FROM main.audit_entry WHERE seq >= ? ORDER BY seq`, from)
	if err != nil {
		return fmt.Errorf("reading the entries behind the newest checkpoint: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var seq int64
		var body, hashes sql.RawBytes
		if err := rows.Scan(&seq, &body, &hashes); err != nil {
			return fmt.Errorf("reading the entries behind the newest checkpoint: %w", err)
		}
		e, err := at.grow(seq, body, hashes)
		if err != nil {
			return err
		}
		visit(e)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("reading the entries behind the newest checkpoint: %w", err)
	}
	if at.head() != head {
		return fmt.Errorf("%w: the entries behind the newest checkpoint do not lead to the root of the log", ErrHash)
	}
	return nil
}

// grow adds the next entry, whose stored hashes must be those that the entry makes.
func (e *edge) grow(seq int64, body, hashes []byte) (Entry, error) {
	if seq != e.size {
		return Entry{}, fmt.Errorf("%w: entry %d comes after entry %d", ErrGap, seq, e.size-1)
	}
	entry, err := Decode(body)
	if err != nil {
		return entry, fmt.Errorf("reading entry %d: %w: %w", seq, ErrEntry, err)
	}
	if entry.Seq != seq {
		return entry, fmt.Errorf("reading entry %d: %w: it says it is entry %d", seq, ErrEntry, entry.Seq)
	}
	if !bytes.Equal(e.addHash(tlog.RecordHash(body)), hashes) {
		return entry, fmt.Errorf("entry %d: %w, or the entry was", seq, ErrHash)
	}
	return entry, nil
}

// highWaterAt gives the time that the clock must not be far behind after the first size entries: the time of the newest of them
// that is not a refused step of the clock. It proves that this entry is in the tree. Without such an entry it is the zero time.
func highWaterAt(ctx context.Context, q Querier, size int64) (time.Time, error) {
	var newest time.Time
	err := eachFound(ctx, q, func(e Entry) (take, more bool) {
		if e.Type == TypeClockStep && e.Outcome != Success {
			return false, true
		}
		newest = e.Time.Time
		return true, false
	}, `SELECT seq, body FROM main.audit_entry WHERE seq < ? AND body <> x'' ORDER BY seq DESC`, size)
	if err != nil {
		return newest, fmt.Errorf("reading the newest entry that a checkpoint covers: %w", err)
	}
	return newest, nil
}

// unsignedHighWater is highWater for an entry that no checkpoint covers. Such an entry never sets the time back: somebody who can write to
// the database could append an accepted step of the clock. The operator accepts the step again.
func (e *Entry) unsignedHighWater(before time.Time) time.Time {
	if after := e.highWater(before); after.After(before) {
		return after
	}
	return before
}
