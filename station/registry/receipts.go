package registry

import (
	"context"
	"database/sql"
	"fmt"

	"hallmark/devices"
	"hallmark/station/audit"
)

// Receipts gives what boards signed when a certificate became active (COSE_Sign1 in base64, as in the entry), by the serial number of the
// certificate in hexadecimal. The zero BoardID selects all boards, and then Receipts reads the log once from end to end: no index has
// it. An entry in an archive has no body here, so its receipt is missing.
func (r *Reader) Receipts(ctx context.Context, only devices.BoardID) (map[string]string, error) {
	found := map[string]string{}
	keep := func(e *audit.Entry) {
		if receipt := e.Details["receipt"]; receipt != "" && e.Cert != nil {
			found[e.Cert.Serial] = receipt
		}
	}
	if !only.IsZero() {
		const all = int64(1) << 62
		return found, r.EachEntry(ctx, all, Selection{BoardID: only, Type: "cert.activated"}, func(e *audit.Entry, _ []byte) error {
			keep(e)
			return nil
		})
	}
	rows, err := r.db.QueryContext(ctx, `SELECT seq, body FROM audit_entry WHERE instr(body, CAST('"type":"cert.activated","v":' AS BLOB)) > 0`)
	if err != nil {
		return nil, fmt.Errorf("reading the receipts: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var seq int64
		var body sql.RawBytes
		if err := rows.Scan(&seq, &body); err != nil {
			return nil, fmt.Errorf("reading the receipts: %w", err)
		}
		e, err := audit.Decode(body)
		if err != nil {
			return nil, fmt.Errorf("reading audit entry %d: %w", seq, err)
		}
		keep(&e)
	}
	return found, rows.Err()
}
