package registry

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"hallmark/station/audit"
	"hallmark/station/reason"
)

// typeCosigned is the entry about a cosignature. Its row follows from it.
const typeCosigned = "log.cosigned"

// signerOf names the key of a cosigner in the rows: the same name may have another key later.
func signerOf(key note.Verifier) string { return fmt.Sprintf("%s+%08x", key.Name(), key.KeyHash()) }

// Cosign stores the signature line of a cosigner over the stored checkpoint of this size, with an
// entry. name is that of station.yaml. The caller has verified the line. A second line of the
// same cosigner changes nothing.
func (r *Registry) Cosign(ctx context.Context, size int64, name string, key note.Verifier, line string) error {
	err := r.write(ctx, func(w *work) error {
		var known int
		err := w.row(`SELECT count(*) FROM cosignatures WHERE size = ? AND signer = ?`, []any{size, signerOf(key)}, &known)
		if err != nil || known > 0 {
			return err
		}
		details := map[string]string{"size": strconv.FormatInt(size, 10), "witness": text(name), "signer": signerOf(key), "line": strings.TrimSuffix(line, "\n")}
		if _, err := w.append(audit.Entry{Actor: audit.Itself(), Category: audit.CategoryLog, Type: typeCosigned, Outcome: audit.Success, Details: details}); err != nil {
			return err
		}
		return w.exec(`INSERT INTO cosignatures (size, signer, line) VALUES (?, ?, ?)`, size, signerOf(key), line)
	})
	if err != nil {
		return fmt.Errorf("storing the cosignature of %s: %w", name, err)
	}
	return nil
}

// CosignedSize gives the size of the newest checkpoint that a cosigner has cosigned, or 0.
func (r *Reader) CosignedSize(ctx context.Context, key note.Verifier) (size int64, err error) {
	err = r.db.QueryRowContext(ctx, `SELECT coalesce(max(size), 0) FROM cosignatures WHERE signer = ?`, signerOf(key)).Scan(&size)
	if err != nil {
		return 0, fmt.Errorf("asking for the newest cosignature of %s: %w", signerOf(key), err)
	}
	return size, nil
}

// NewestCheckpoint gives the newest checkpoint as the station signed it, without cosignatures. The size is 0 when there is none.
func (r *Reader) NewestCheckpoint(ctx context.Context) (size int64, signed []byte, err error) {
	size, signed, err = audit.Newest(ctx, r.db)
	if none(err) {
		return 0, nil, nil
	}
	return size, signed, err
}

// ProveTree gives the proof that the first size entries continue the first old entries (RFC 6962 section 2.1.2).
func (r *Reader) ProveTree(ctx context.Context, old, size int64) (tlog.TreeProof, error) {
	if old == 0 {
		return nil, nil
	}
	proof, err := tlog.ProveTree(size, old, audit.HashReader(ctx, r.db))
	if err != nil {
		return nil, fmt.Errorf("proving that %s %d: %w", reason.Count(size, "entry continues", "entries continue"), old, err)
	}
	return proof, nil
}

// Bodies gives the audit entries [from, to).
func (r *Reader) Bodies(ctx context.Context, from, to int64) (bodies [][]byte, err error) {
	err = r.eachBody(ctx, `SELECT seq, body FROM audit_entry WHERE seq >= ? AND seq < ? ORDER BY seq`, []any{from, to}, func(_ int64, body []byte) error {
		bodies = append(bodies, append([]byte{}, body...))
		return nil
	})
	if err == nil && int64(len(bodies)) != to-from {
		err = fmt.Errorf("%w: %d of the entries %d to %d are there", audit.ErrGap, len(bodies), from, to)
	}
	return bodies, err
}

// RootAt gives the root of the first size entries.
func (r *Reader) RootAt(ctx context.Context, size int64) (tlog.Hash, error) {
	return audit.RootAt(ctx, r.db, size)
}

// CheckpointUpTo gives the newest checkpoint over at most size entries as the station signed it, or nil.
func (r *Reader) CheckpointUpTo(ctx context.Context, size int64) (signed []byte, err error) {
	err = r.db.QueryRowContext(ctx, `SELECT note FROM audit_checkpoint WHERE size <= ? ORDER BY size DESC LIMIT 1`, size).Scan(&signed)
	if none(err) {
		return nil, nil
	}
	return signed, err
}

// Hashes gives the stored hashes of the log.
func (r *Reader) Hashes(ctx context.Context) tlog.HashReader { return audit.HashReader(ctx, r.db) }
