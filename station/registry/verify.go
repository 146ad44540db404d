package registry

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"hallmark/station/audit"
	"hallmark/station/reason"
)

// ErrDiffers: a row of the registry is not what the audit log says it must be.
var ErrDiffers = reason.New("registry-differs", "registry differs from its audit log")

// VerifyAudit verifies the audit log (see audit.Verify). Then it builds all rows
// anew from the entries and compares them with the rows of the registry. The error
// names the first difference, and wraps a sentinel of package audit or ErrDiffers.
func (r *Reader) VerifyAudit(ctx context.Context, verifierKey string, anchors ...[]byte) (audit.Report, error) {
	return r.VerifyEach(ctx, verifierKey, func(audit.Entry) error { return nil }, anchors...)
}

// VerifyEach does what VerifyAudit does, and hands each entry to each, in order, after
// the hashes of the entry were checked. Only the result of VerifyEach tells whether
// the whole log is good.
func (r *Reader) VerifyEach(ctx context.Context, verifierKey string, each func(audit.Entry) error, anchors ...[]byte) (audit.Report, error) {
	// 1. The mark comes first: a station that writes at the same time brings it up to date later.
	marked, unmarked := r.marked(len(anchors) > 0)
	// 2. All in one transaction, for the same reason.
	tx, err := r.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return audit.Report{}, fmt.Errorf("verifying: %w", err)
	}
	defer tx.Rollback() // the transaction only reads
	if err := noViews(ctx, tx); err != nil {
		return audit.Report{}, fmt.Errorf("verifying: %w", err)
	}
	replayed := newReplay()
	apply := func(e audit.Entry) error { return errors.Join(replayed.apply(e), each(e)) }
	newest, missing := r.missing()
	if missing {
		apply, replayed.partial = func(e audit.Entry) error { return errors.Join(replayed.applyPartly(e), each(e)) }, true
	}
	report, err := audit.Verify(ctx, tx, audit.Verification{Key: verifierKey, Each: apply, Anchors: anchors, Archived: r.archived()})
	if err != nil {
		return audit.Report{}, r.Why(err)
	}
	if missing {
		report.Lacks = newest.String()
	}
	for _, table := range replayed.tables() {
		if err := table.compare(ctx, tx); err != nil {
			return audit.Report{}, fmt.Errorf("comparing %s: %w", table.name, err)
		}
	}
	if err := compareArchives(ctx, tx, schemaVersion); err != nil {
		return audit.Report{}, r.Why(err)
	}
	// 3. The log is no older than its mark, and nothing else lies in the file.
	if unmarked == nil {
		unmarked = theMark.covers(ctx, tx, report.Head, marked)
	}
	if unmarked == nil {
		unmarked = checkSchema(ctx, tx, schemaVersion)
	}
	if unmarked != nil {
		return audit.Report{}, fmt.Errorf("verifying: %w", unmarked)
	}
	return report, nil
}

// marked gives what the mark has seen. With an anchor from elsewhere the mark may be missing,
// because the anchor says more. The copy of a registry of an older schema has none of its own:
// the mark of the registry was read before it was copied.
func (r *Reader) marked(anchored bool) (audit.Head, error) {
	h, err := r.seen, r.unmarked
	if r.mark != "" {
		h, err = readMark(r.mark)
	}
	if anchored && errors.Is(err, ErrMarkMissing) {
		return audit.Head{}, nil
	}
	return h, err
}

// fields is one row: each column as text, without the primary key.
type fields []string

// table is one table with the rows that it must have. The first column of the query is
// the primary key. The last column is a blob, or NULL; the column before it is the
// digest of the blob.
type table struct {
	name, query string
	want        map[string]fields
}

func (s *replay) tables() []table {
	always := []table{
		{"state", `SELECT key, value, NULL FROM state`, s.state()},
		{"archives", `SELECT until, first, entry, root, lower(hex(sha256)), lower(hex(sums_sha256)), lower(hex(removed_sha256)), NULL FROM archives`, s.archives},
	}
	if s.partial {
		return always
	}
	return append(always, []table{
		{"work orders", `SELECT id, product, quota, counted, opened, closed, NULL FROM work_orders`, s.orders},
		{"boards", `SELECT id, lower(hex(hardware_id)), type, first_seen, scrapped, NULL FROM boards`, s.boards},
		{"holds", `SELECT board_id, since, reason, NULL FROM holds`, s.holds},
		{"marks for a rework", `SELECT board_id || ' ' || purpose, since, reason, entry, NULL FROM reworks`, s.reworks},
		{"keys", `SELECT lower(hex(spki_sha256)), board_id, purpose, algorithm, NULL FROM keys`, s.keys},
		{"Runs", `SELECT id, board_id, purpose, lower(hex(hardware_id)), bay, operator, work_order, rework, begun, admitted,
			closed, ending, reason, outcome, first_entry, last_entry, board_type, firmware, firmware_sha256, huk, probe, target, flashed_sha256, NULL FROM runs`, s.runs},
		{"locks", `SELECT board_id, run, probe, target, kind, lower(hex(recipe_sha256)), key, state, changed, NULL FROM locks`, s.locks},
		{"bays", `SELECT name, stopped, reason, board_id, run, NULL FROM bays`, s.bays},
		{"cosignatures", `SELECT size || ' ' || signer, line, NULL FROM cosignatures`, s.cosignatures},
		{"time stamps", `SELECT size, lower(hex(sha256)), answer FROM timestamps`, s.timestamps},
		{"certificates", `SELECT lower(hex(serial)), board_id, purpose, lower(hex(spki_sha256)), lower(hex(issuer_sha256)), profile,
			lower(hex(profile_sha256)), lower(hex(tbs_sha256)), lower(hex(csr_sha256)), not_before, not_after, rework, run, work_order,
			intended, changed, status, reason, lower(hex(sha256)), der FROM certificates`, s.certificates},
	}...)
}

func (s *replay) state() map[string]fields {
	rows := map[string]fields{"schema": {strconv.Itoa(schemaVersion)}}
	for key, entry := range map[string]string{"startup": s.startup, "profiles": s.profiles} {
		if entry != "" {
			rows[key] = fields{entry}
		}
	}
	return rows
}

// compare deletes each row that it finds from want. What is left is missing in the
// table.
func (t table) compare(ctx context.Context, q audit.Querier) error {
	rows, err := q.QueryContext(ctx, t.query)
	if err != nil {
		return err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	for rows.Next() {
		if err := t.row(rows, len(columns)); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(t.want)) {
		return fmt.Errorf("%w: %s is missing", ErrDiffers, key)
	}
	return nil
}

func (t table) row(rows *sql.Rows, columns int) error {
	texts, blob := make([]sql.NullString, columns-1), []byte(nil)
	into := make([]any, 0, columns)
	for i := range texts {
		into = append(into, &texts[i])
	}
	if err := rows.Scan(append(into, &blob)...); err != nil {
		return err
	}
	got := make(fields, 0, columns)
	for _, text := range texts {
		got = append(got, text.String)
	}
	key, got := got[0], got[1:]
	want, known := t.want[key]
	switch {
	case !known:
		return fmt.Errorf("%w: the log never made %s", ErrDiffers, key)
	case !slices.Equal(got, want):
		return fmt.Errorf("%w: %s is %q, want %q", ErrDiffers, key, got, want)
	case blob != nil && hex.EncodeToString(sum(blob)) != got[len(got)-1]:
		return fmt.Errorf("%w: %s does not have its digest", ErrDiffers, key)
	}
	delete(t.want, key)
	return nil
}

func sum(blob []byte) []byte {
	digest := sha256.Sum256(blob)
	return digest[:]
}
