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
	"strings"

	"hallmark/station/audit"
	"hallmark/station/reason"
)

// ErrDiffers: a row of the registry is not what the audit log says it must be.
var ErrDiffers = reason.New("registry-differs", "registry differs from its audit log")

// VerifyAudit verifies the audit log (see audit.VerifyEach). Then it builds all rows
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
	replayed := newReplay()
	apply := func(e audit.Entry) error { return errors.Join(replayed.apply(e), each(e)) }
	report, err := audit.VerifyEach(ctx, tx, verifierKey, apply, anchors...)
	if err != nil {
		return audit.Report{}, err
	}
	for _, table := range replayed.tables() {
		if err := table.compare(ctx, tx); err != nil {
			return audit.Report{}, fmt.Errorf("comparing %s: %w", table.name, err)
		}
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
// because the anchor says more. A registry of a schema without marks has none.
func (r *Reader) marked(anchored bool) (audit.Head, error) {
	if r.mark == "" {
		return audit.Head{}, nil
	}
	h, err := readMark(r.mark)
	if anchored && errors.Is(err, ErrMarkMissing) {
		return audit.Head{}, nil
	}
	return h, err
}

// fields is one row: each column as text, without the primary key.
type fields []string

// replay has the rows that follow from the entries of the audit log, each under its
// primary key.
type replay struct {
	boards, keys, runs, certificates, orders, bays map[string]fields
	startup                                        string // number of the newest entry of a start
}

func newReplay() *replay {
	return &replay{boards: map[string]fields{}, keys: map[string]fields{}, runs: map[string]fields{},
		certificates: map[string]fields{}, orders: map[string]fields{}, bays: map[string]fields{}}
}

// Indexes into fields, for the columns that later entries change.
const (
	boardScrapped                                        = 3
	runClosed, runEnding, runReason, runOutcome, runLast = 9, 10, 11, 12, 14
	certChanged, certStatus, certReason, certHash        = 14, 15, 16, 17
	orderCounted                                         = 2
	bayStopped                                           = 0
)

// apply makes or changes the rows that follow from one entry. A crafted entry may lack any
// part, so each case checks the parts that it reads.
func (s *replay) apply(e audit.Entry) error {
	if e.WorkOrder != nil && endings[e.Type] == "" {
		s.order(e)
	}
	switch {
	case e.Type == typeStartup:
		s.startup = fmt.Sprint(e.Seq)
	case e.Type == "board.admitted":
		return s.admitted(e)
	case e.Type == "board.scrapped":
		return s.scrapped(e)
	case e.Type == "cert.issue.intent":
		return s.intended(e)
	case strings.HasPrefix(e.Type, "cert.") && e.Cert != nil && e.Cert.Status != "":
		return s.changed(e)
	case endings[e.Type] != "":
		return s.ended(e)
	case e.Type == typeBayStopped:
		return s.bayStopped(e)
	case e.Type == typeBayAcknowledged:
		return set(s.bays, e.Details["bay"], func(f fields) error { f[bayStopped] = ""; return nil })
	}
	return nil
}

// incomplete is the error of an entry that lacks a part which the station always writes.
func incomplete(e audit.Entry, parts string) error {
	return fmt.Errorf("%w: entry %d, %s, has no %s", ErrDiffers, e.Seq, e.Type, parts)
}

func (s *replay) scrapped(e audit.Entry) error {
	if e.Board == nil {
		return incomplete(e, "board")
	}
	return set(s.boards, e.Board.ID, func(f fields) error { f[boardScrapped] = e.Time.String(); return nil })
}

// ended ends a Run. A refused Run has no earlier entry, so its row is made here.
func (s *replay) ended(e audit.Entry) error {
	if e.Run == nil {
		return incomplete(e, "Run")
	}
	if e.Details["admitted"] == "false" {
		return s.refused(e)
	}
	return set(s.runs, e.Run.ID, func(f fields) error {
		if f[runEnding] != "" {
			return fmt.Errorf("%w: entry %d ends Run %s a second time", ErrDiffers, e.Seq, e.Run.ID)
		}
		f[runClosed], f[runEnding], f[runReason] = e.Time.String(), string(endings[e.Type]), e.Reason
		f[runOutcome], f[runLast] = e.Run.Outcome, fmt.Sprint(e.Seq)
		return nil
	})
}

func (s *replay) refused(e audit.Entry) error {
	r, b := e.Run, audit.Board{}
	if _, known := s.runs[r.ID]; known {
		return fmt.Errorf("%w: entry %d refuses Run %s, which was admitted", ErrDiffers, e.Seq, r.ID)
	}
	if e.Board != nil {
		b = *e.Board
	}
	now, seq := e.Time.String(), fmt.Sprint(e.Seq)
	s.runs[r.ID] = fields{b.ID, r.Purpose, b.HardwareID, r.Bay, r.Operator, orderID(e), r.Rework, now, "0", now, string(endings[e.Type]), e.Reason, "", seq, seq,
		b.Type, b.Firmware, b.SHA256, b.HUK}
	return nil
}

func (s *replay) bayStopped(e audit.Entry) error {
	if e.Run == nil {
		return incomplete(e, "Run")
	}
	board := ""
	if e.Board != nil {
		board = e.Board.ID
	}
	s.bays[e.Run.Bay] = fields{e.Time.String(), e.Reason, board, e.Run.ID}
	return nil
}

// set changes a row that an earlier entry must have made.
func set(rows map[string]fields, key string, change func(fields) error) error {
	f, ok := rows[key]
	if !ok {
		return fmt.Errorf("%w: the log changes %s and never made it", ErrDiffers, key)
	}
	return change(f)
}

func (s *replay) order(e audit.Entry) {
	o := e.WorkOrder
	if e.Type == "order.opened" {
		s.orders[o.ID] = fields{o.Product, fmt.Sprint(o.Quota), "0", e.Time.String()}
	} else if f, ok := s.orders[o.ID]; ok {
		f[orderCounted] = fmt.Sprint(o.Counted)
	}
}

func (s *replay) admitted(e audit.Entry) error {
	if e.Run == nil || e.Board == nil {
		return incomplete(e, "Run or board")
	}
	b, r := e.Board, e.Run
	if _, known := s.boards[b.ID]; !known {
		s.boards[b.ID] = fields{b.HardwareID, b.Type, e.Time.String(), ""}
	}
	s.runs[r.ID] = fields{b.ID, r.Purpose, b.HardwareID, r.Bay, r.Operator, orderID(e), r.Rework, e.Time.String(), "1", "", "", "", "", fmt.Sprint(e.Seq), "",
		b.Type, b.Firmware, b.SHA256, b.HUK}
	return nil
}

func orderID(e audit.Entry) string {
	if e.WorkOrder == nil {
		return ""
	}
	return e.WorkOrder.ID
}

func (s *replay) intended(e audit.Entry) error {
	if e.Run == nil || e.Board == nil || e.Cert == nil {
		return incomplete(e, "Run, board or certificate")
	}
	c, rework := e.Cert, "0"
	if c.Rework {
		rework = "1"
	}
	s.keys[c.SPKISHA256] = fields{e.Board.ID, c.Purpose}
	s.certificates[c.Serial] = fields{e.Board.ID, c.Purpose, c.SPKISHA256, c.Issuer, c.Profile, c.ProfileSHA256, c.TBSSHA256, c.CSRSHA256,
		c.NotBefore, c.NotAfter, rework, e.Run.ID, orderID(e), e.Time.String(), e.Time.String(), "intended", "", ""}
	return nil
}

func (s *replay) changed(e audit.Entry) error {
	return set(s.certificates, e.Cert.Serial, func(f fields) error {
		if !follows(f[certStatus], e.Cert.Status) {
			return fmt.Errorf("%w: entry %d makes certificate %s %s, which was %s", ErrDiffers, e.Seq, e.Cert.Serial, e.Cert.Status, f[certStatus])
		}
		f[certChanged], f[certStatus], f[certReason] = e.Time.String(), e.Cert.Status, e.Reason
		if e.Cert.Status == "issued" {
			f[certHash] = e.Cert.SHA256
		}
		return nil
	})
}

// life has the statuses that may follow each status of a certificate, as the trigger
// certificate_life has them.
var life = map[string]string{
	"intended": "issued failed unresolved", "issued": "delivered revoked scrapped", "delivered": "active revoked scrapped",
	"active": "superseded revoked scrapped", "superseded": "revoked", "unresolved": "revoked",
}

func follows(before, after string) bool { return slices.Contains(strings.Fields(life[before]), after) }

// table is one table with the rows that it must have. The first column of the query is
// the primary key. The last column is a blob, or NULL; the column before it is the
// digest of the blob.
type table struct {
	name, query string
	want        map[string]fields
}

func (s *replay) tables() []table {
	return []table{
		{"state", `SELECT key, value, NULL FROM state`, s.state()},
		{"work orders", `SELECT id, product, quota, counted, opened, NULL FROM work_orders`, s.orders},
		{"boards", `SELECT id, lower(hex(hardware_id)), type, first_seen, scrapped, NULL FROM boards`, s.boards},
		{"keys", `SELECT lower(hex(spki_sha256)), board_id, purpose, NULL FROM keys`, s.keys},
		{"Runs", `SELECT id, board_id, purpose, lower(hex(hardware_id)), bay, operator, work_order, rework, begun, admitted,
			closed, ending, reason, outcome, first_entry, last_entry, board_type, firmware, firmware_sha256, huk, NULL FROM runs`, s.runs},
		{"bays", `SELECT name, stopped, reason, board_id, run, NULL FROM bays`, s.bays},
		{"certificates", `SELECT lower(hex(serial)), board_id, purpose, lower(hex(spki_sha256)), lower(hex(issuer_sha256)), profile,
			lower(hex(profile_sha256)), lower(hex(tbs_sha256)), lower(hex(csr_sha256)), not_before, not_after, rework, run, work_order,
			intended, changed, status, reason, lower(hex(sha256)), der FROM certificates`, s.certificates},
	}
}

func (s *replay) state() map[string]fields {
	rows := map[string]fields{"schema": {strconv.Itoa(schemaVersion)}}
	if s.startup != "" {
		rows["startup"] = fields{s.startup}
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
