package registry

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"

	"hallmark/station/audit"
)

// Ended is a Run that ended, for other programs.
type Ended struct {
	Entry     audit.Entry // that closed the Run
	Ending    string
	WorkOrder string // may be empty
	Serial    string // in hex; empty without a certificate that was signed in the Run
}

// EndedFrom gives the Runs that ended in at most most entries from a number on, in their order, and the number of the first entry that it
// has not read. An entry whose body is in an archive is left out; `audit archive` leaves the bodies that a webhook has not sent.
func (r *Reader) EndedFrom(ctx context.Context, from, most int64) (ended []Ended, next int64, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("reading the Runs that ended: %w", err)
		}
	}()
	rows, err := r.db.QueryContext(ctx, `SELECT seq, body FROM audit_entry WHERE seq >= ? ORDER BY seq LIMIT ?`, from, most)
	if err != nil {
		return nil, from, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	next = from
	for rows.Next() {
		var seq int64
		var body sql.RawBytes
		if err := rows.Scan(&seq, &body); err != nil {
			return nil, from, err
		}
		next = seq + 1
		if !bytes.Contains(body, []byte(`"type":"run.`)) {
			continue // most entries end no Run, and are not decoded
		}
		e, err := audit.Decode(body)
		if err != nil {
			return nil, from, err
		}
		if ending, is := endings[e.Type]; is {
			ended = append(ended, Ended{Entry: e, Ending: string(ending)})
		}
	}
	if err := rows.Err(); err != nil {
		return nil, from, err
	}
	for i := range ended {
		if err := r.complete(ctx, &ended[i]); err != nil {
			return nil, from, err
		}
	}
	return ended, next, nil
}

// complete adds what the closing entry does not have.
func (r *Reader) complete(ctx context.Context, e *Ended) error {
	if e.Entry.Run == nil {
		return nil
	}
	err := r.db.QueryRowContext(ctx, `SELECT coalesce(r.work_order, ''), coalesce((SELECT lower(hex(c.serial)) FROM certificates c
		WHERE c.board_id = r.board_id AND c.run = r.id AND c.der IS NOT NULL ORDER BY c.id DESC LIMIT 1), '') FROM runs r WHERE r.id = ?`, e.Entry.Run.ID).Scan(&e.WorkOrder, &e.Serial)
	if none(err) {
		return nil
	}
	return err
}
