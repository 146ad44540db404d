package registry

import (
	"context"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"hallmark/station/audit"
)

// typeTimestamped is the entry about a time stamp. Its row follows from it.
const typeTimestamped = "log.timestamped"

// StoreTimestamp stores the answer of a time stamping authority about the checkpoint of this size,
// with an entry. The caller has verified the answer. A second answer changes nothing.
func (r *Registry) StoreTimestamp(ctx context.Context, size int64, at time.Time, answer []byte) error {
	err := r.write(ctx, func(w *work) error {
		var known int
		err := w.row(`SELECT count(*) FROM timestamps WHERE size = ?`, []any{size}, &known)
		if err != nil || known > 0 {
			return err
		}
		details := map[string]string{"size": strconv.FormatInt(size, 10), "time": stamp(at), "sha256": hex.EncodeToString(sum(answer))}
		if _, err := w.append(audit.Entry{Actor: audit.Itself(), Category: audit.CategoryLog, Type: typeTimestamped, Outcome: audit.Success, Details: details}); err != nil {
			return err
		}
		return w.exec(`INSERT INTO timestamps (size, sha256, answer) VALUES (?, ?, ?)`, size, sum(answer), answer)
	})
	if err != nil {
		return fmt.Errorf("storing the time stamp: %w", err)
	}
	return nil
}

// Timestamp gives the answer of the time stamping authority about the checkpoint of this size, or nil.
func (r *Reader) Timestamp(ctx context.Context, size int64) (answer []byte, err error) {
	err = r.db.QueryRowContext(ctx, `SELECT answer FROM timestamps WHERE size = ?`, size).Scan(&answer)
	if err != nil && !none(err) {
		return nil, fmt.Errorf("reading the time stamp: %w", err)
	}
	return answer, nil
}
