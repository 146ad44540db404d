package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"hallmark/station"
	"hallmark/station/audit"
)

// This file has the prepared statements of a transaction.

// exec, and each method after it, runs one prepared statement. They take no context,
// because a transaction that has begun is always finished.
func (w *writer) exec(query string, args ...any) error {
	_, err := w.change(query, args...)
	return err
}

// change runs a statement and gives the number of rows that it changed.
func (w *writer) change(query string, args ...any) (int64, error) {
	s, err := w.statement(query)
	if err != nil {
		return 0, err
	}
	result, err := s.ExecContext(context.Background(), args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// row reads one row. The error is sql.ErrNoRows when there is none.
func (w *writer) row(query string, args []any, into ...any) error {
	s, err := w.statement(query)
	if err != nil {
		return err
	}
	return s.QueryRowContext(context.Background(), args...).Scan(into...)
}

func (w *writer) statement(query string) (*sql.Stmt, error) {
	if s, ok := w.statements[query]; ok {
		return s, nil
	}
	s, err := w.conn.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, err
	}
	w.statements[query] = s
	return s, nil
}

// append writes one audit entry. The first entry of a registry must be genesis.
func (w *work) append(e audit.Entry) (audit.Entry, error) {
	if w.batch.Size() == 0 && e.Type != audit.TypeGenesis {
		return audit.Entry{}, ErrNoGenesis
	}
	written, err := w.batch.Append(context.Background(), e)
	if errors.Is(err, audit.ErrClockBack) {
		err = fmt.Errorf("%w: %w", station.ErrClock, err)
	}
	if err == nil {
		w.acted.note(written)
	}
	return written, err
}
