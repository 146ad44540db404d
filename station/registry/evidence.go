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

// Checkpoints gives all stored checkpoints with their cosignatures, the oldest first.
func (r *Reader) Checkpoints(ctx context.Context) ([][]byte, error) {
	rows, err := r.db.QueryContext(ctx, `SELECT `+cosignedNote+` FROM audit_checkpoint c ORDER BY c.size`)
	if err != nil {
		return nil, fmt.Errorf("reading the checkpoints: %w", err)
	}
	return collect(rows, func(note *[]byte) []any { return []any{note} })
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
