package registry

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"

	"hallmark/station/audit"
)

// This file gives the record to package evidence, which makes bundles of it.

// cosignedNote is a checkpoint with the signature lines of its cosigners behind that of the station.
const cosignedNote = `CAST(c.note || coalesce((SELECT group_concat(line, '') FROM (SELECT line FROM cosignatures WHERE size = c.size ORDER BY signer)), '') AS BLOB)`

// EachCheckpoint calls each for the stored checkpoints over less than size entries, with their cosignatures, the oldest first.
func (r *Reader) EachCheckpoint(ctx context.Context, size int64, each func(note []byte) error) error {
	rows, err := r.db.QueryContext(ctx, `SELECT `+cosignedNote+` FROM audit_checkpoint c WHERE c.size < ? ORDER BY c.size`, size)
	if err != nil {
		return fmt.Errorf("reading the checkpoints: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var note []byte // a copy, which the caller may append to
		if err := rows.Scan(&note); err != nil {
			return fmt.Errorf("reading the checkpoints: %w", err)
		}
		if err := each(note); err != nil {
			return err
		}
	}
	return rows.Err()
}

// CheckpointOver gives the stored checkpoint over so many entries with its cosignatures, or nil.
func (r *Reader) CheckpointOver(ctx context.Context, size int64) (note []byte, err error) {
	err = r.db.QueryRowContext(ctx, `SELECT `+cosignedNote+` FROM audit_checkpoint c WHERE c.size = ?`, size).Scan(&note)
	if none(err) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("reading the checkpoint over %d entries: %w", size, err)
	}
	return note, nil
}

// CountCheckpoints gives the number of stored checkpoints.
func (r *Reader) CountCheckpoints(ctx context.Context) (count int, err error) {
	if err = r.db.QueryRowContext(ctx, `SELECT count(*) FROM audit_checkpoint`).Scan(&count); err != nil {
		return 0, fmt.Errorf("counting the checkpoints: %w", err)
	}
	return count, nil
}

// EachBody calls each for the audit entries before size, in order. body is valid during the
// call only.
func (r *Reader) EachBody(ctx context.Context, size int64, each func(seq int64, body []byte) error) error {
	return r.eachBody(ctx, `SELECT seq, body FROM audit_entry WHERE seq < ? ORDER BY seq`, []any{size}, each)
}

func (r *Reader) eachBody(ctx context.Context, query string, args []any, each func(seq int64, body []byte) error) (err error) {
	defer func() { err = r.Why(err) }()
	rows, err := r.db.QueryContext(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("reading the audit entries: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var seq int64
		var body sql.RawBytes
		if err := rows.Scan(&seq, &body); err != nil {
			return fmt.Errorf("reading the audit entries: %w", err)
		}
		if err := each(seq, body); err != nil {
			return err
		}
	}
	return rows.Err()
}

// EachCertificate calls each for every certificate that was signed for a board (DER), in the
// order of their intents. der is valid during the call only.
func (r *Reader) EachCertificate(ctx context.Context, each func(der []byte) error) error {
	rows, err := r.db.QueryContext(ctx, `SELECT der FROM certificates WHERE der IS NOT NULL ORDER BY id`)
	if err != nil {
		return fmt.Errorf("reading the certificates: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var der sql.RawBytes
		if err := rows.Scan(&der); err != nil {
			return fmt.Errorf("reading the certificates: %w", err)
		}
		if err := each(der); err != nil {
			return err
		}
	}
	return rows.Err()
}

// CertificatesOf gives the SHA-256 of each certificate that was signed for a work order, in hexadecimal.
func (r *Reader) CertificatesOf(ctx context.Context, order string) ([]string, error) {
	rows, err := r.db.QueryContext(ctx, `SELECT lower(hex(sha256)) FROM certificates WHERE work_order = ? AND sha256 IS NOT NULL ORDER BY id`, order)
	if err != nil {
		return nil, fmt.Errorf("reading the certificates of work order %q: %w", order, err)
	}
	return collect(rows, func(sum *string) []any { return []any{sum} })
}

// Certificate gives the certificate with a serial number (32 hexadecimal digits), or nil if there is none.
func (r *Reader) Certificate(ctx context.Context, serial string) (der []byte, err error) {
	number, err := hex.DecodeString(serial)
	if err != nil {
		return nil, nil // no certificate has such a serial number
	}
	err = r.db.QueryRowContext(ctx, `SELECT der FROM certificates WHERE serial = ? AND der IS NOT NULL`, number).Scan(&der)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("reading the certificate %s: %w", serial, err)
	}
	return der, nil
}

// LogSize gives the number of committed audit entries.
func (r *Reader) LogSize(ctx context.Context) (int64, error) { return audit.Size(ctx, r.db) }
