package registry

import (
	"context"
	"database/sql"
	"fmt"

	"hallmark/station/audit"
)

// VerifyAudit recomputes the audit log (see audit.Verify) and then compares
// every row of the registry with what the log says it must be. An error names
// the first difference; it wraps a sentinel of package audit, or ErrDiffers.
func (r *Reader) VerifyAudit(ctx context.Context, verifierKey string, anchors ...[]byte) (audit.Report, error) {
	// One transaction: a station may be writing meanwhile.
	tx, err := r.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return audit.Report{}, fmt.Errorf("verifying: %w", err)
	}
	defer tx.Rollback() // it only reads
	return audit.Verify(ctx, tx, verifierKey, anchors...)
}
