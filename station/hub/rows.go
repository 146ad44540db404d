package hub

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"hallmark/station/audit"
	"hallmark/station/outbox"
)

// Rows are what the entries of one Push mean. Each list becomes one statement.
type rows struct {
	seqs           []int64
	bodies, hashes [][]byte
	signed         int64  // entries under the checkpoint of the Push; 0: none
	refused        []byte // a checkpoint that proves a fork
	newest         *time.Time

	intents []intent
	events  []event
	ended   []ended
	orders  map[string]*orderState
	ders    map[string]string // serial number by the SHA-256 of the certificate
	found   []der
}

type intent struct {
	seq                                 int64
	board, run                          uuid.UUID
	serial, spki, issuer, profileSHA256 []byte
	purpose, profile                    string
	order                               *string
	at, notAfter                        time.Time
}

type event struct {
	seq            int64
	serial         []byte
	status, reason string
	at             time.Time
}

type ended struct {
	seq                                               int64
	run                                               uuid.UUID
	board                                             *uuid.UUID
	bay, operator, boardType, purpose, ending, reason string
	outcome                                           string
	firmware                                          []byte
	at                                                time.Time
	steps                                             string
}

// orderState is what the newest entry of a station says of a work order.
type orderState struct {
	counted, share, revision int64
	closedAt                 *int64 // the entry that closed the order for good
	ours                     bool   // the hub has signed the order file
}

type der struct{ sum, serial, octets []byte }

var errEntry = errors.New("it does not have what its type has")

// add takes an entry. An error says that the entry is not one that a station writes.
func (r *rows) add(t *taking, e *audit.Entry, body, hashes []byte) error {
	r.seqs, r.bodies, r.hashes = append(r.seqs, e.Seq), append(r.bodies, body), append(r.hashes, hashes)
	if r.newest == nil || e.Time.After(*r.newest) {
		r.newest = &e.Time.Time
	}
	if e.Type == audit.TypeGenesis && e.Details["vkey"] != t.from.Key {
		return fmt.Errorf("%w: the genesis names another audit key", errEntry)
	}
	if o := e.WorkOrder; o != nil && o.Quota > 0 {
		r.order(t, e)
	}
	switch ending, ends := strings.CutPrefix(e.Type, "run."); {
	case e.Type == "cert.issue.intent":
		return r.intent(e)
	case ends:
		return r.end(e, ending)
	case strings.HasPrefix(e.Type, "cert.") && e.Cert != nil && e.Type != "cert.issue.denied":
		return r.event(e)
	}
	return nil
}

func (r *rows) intent(e *audit.Entry) (err error) {
	if e.Cert == nil || e.Board == nil || e.Run == nil {
		return errEntry
	}
	in := intent{seq: e.Seq, purpose: e.Cert.Purpose, profile: e.Cert.Profile, at: e.Time.Time}
	var errs [7]error
	in.board, errs[0] = uuid.Parse(e.Board.ID)
	in.run, errs[1] = uuid.Parse(e.Run.ID)
	in.serial, errs[2] = octets(e.Cert.Serial, 16)
	in.spki, errs[3] = octets(e.Cert.SPKISHA256, 32)
	in.issuer, errs[4] = octets(e.Cert.Issuer, 32)
	in.profileSHA256, errs[5] = octets(e.Cert.ProfileSHA256, 32)
	in.notAfter, errs[6] = time.Parse(time.RFC3339Nano, e.Cert.NotAfter)
	if err := errors.Join(errs[:]...); err != nil {
		return fmt.Errorf("%w: %w", errEntry, err)
	}
	if e.WorkOrder != nil {
		in.order = &e.WorkOrder.ID
	}
	r.intents = append(r.intents, in)
	return nil
}

func octets(text string, want int) ([]byte, error) {
	value, err := hex.DecodeString(text)
	if err == nil && len(value) != want {
		err = fmt.Errorf("%d octets, want %d", len(value), want)
	}
	return value, err
}

func (r *rows) event(e *audit.Entry) error {
	serial, err := octets(e.Cert.Serial, 16)
	if err != nil {
		return fmt.Errorf("%w: serial number: %w", errEntry, err)
	}
	status := e.Cert.Status
	if status == "" {
		status = strings.TrimPrefix(e.Type, "cert.")
	}
	r.events = append(r.events, event{e.Seq, serial, status, e.Reason, e.Time.Time})
	if e.Type == "cert.issued" {
		if r.ders == nil {
			r.ders = map[string]string{}
		}
		r.ders[e.Cert.SHA256] = string(serial)
	}
	return nil
}

// certificates keeps the certificates that belong to entries of the Push. Others are left out: a certificate says nothing that an entry has not said.
func (r *rows) certificates(t *taking) {
	for _, octets := range t.push.Certificates {
		sum := sha256.Sum256(octets)
		if serial, is := r.ders[hex.EncodeToString(sum[:])]; is {
			r.found = append(r.found, der{sum[:], []byte(serial), octets})
		}
	}
}

func (r *rows) end(e *audit.Entry, ending string) (err error) {
	if e.Run == nil {
		return errEntry
	}
	one := ended{seq: e.Seq, bay: e.Run.Bay, operator: e.Run.Operator, purpose: e.Run.Purpose, ending: ending, reason: e.Reason, outcome: e.Run.Outcome, at: e.Time.Time}
	if one.run, err = uuid.Parse(e.Run.ID); err != nil {
		return fmt.Errorf("%w: Run: %w", errEntry, err)
	}
	if b := e.Board; b != nil {
		id, err := uuid.Parse(b.ID)
		if err != nil {
			return fmt.Errorf("%w: BoardID: %w", errEntry, err)
		}
		one.board, one.boardType = &id, b.Type
		if sum, err := octets(b.SHA256, 32); err == nil {
			one.firmware = sum
		}
	}
	steps, err := json.Marshal(e.Run.Steps)
	one.steps = string(steps)
	if e.Run.Steps == nil {
		one.steps = "[]"
	}
	r.ended = append(r.ended, one)
	return err
}

// order takes what an entry says of a work order.
func (r *rows) order(t *taking, e *audit.Entry) {
	if r.orders == nil {
		r.orders = map[string]*orderState{}
	}
	o := r.orders[e.WorkOrder.ID]
	if o == nil {
		o = &orderState{revision: -1}
		r.orders[e.WorkOrder.ID] = o
	}
	o.counted, o.share = e.WorkOrder.Counted, e.WorkOrder.Quota
	switch e.Type {
	case audit.TypeOrderOpened, audit.TypeOrderRevised:
		o.revision, _ = strconv.ParseInt(e.Details["revision"], 10, 64) // an order that nobody has signed has none: 0
		o.ours = e.Details["owner_sha256"] == hex.EncodeToString(t.owner.SHA256[:])
	case audit.TypeOrderClosed:
		o.closedAt = &e.Seq
	}
}

// column collects one column of a list.
func column[T, V any](all []T, value func(*T) V) []V {
	values := make([]V, 0, len(all))
	for i := range all {
		values = append(values, value(&all[i]))
	}
	return values
}

// queueRows adds what the Push means.
func (t *taking) queueRows(batch *pgx.Batch) {
	r := &t.rows
	if len(r.seqs) > 0 {
		batch.Queue(`INSERT INTO entry (station, branch, seq, body, hashes) SELECT $1, $2, * FROM unnest($3::bigint[], $4::bytea[], $5::bytea[])`,
			t.from.ID, t.state.branch, r.seqs, r.bodies, r.hashes)
	}
	if r.signed > t.state.signed {
		batch.Queue(`INSERT INTO checkpoint (station, branch, size, note) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`, t.from.ID, t.state.branch, r.signed, t.push.Checkpoint)
	}
	t.queueEnded(batch)
	if len(r.events) > 0 {
		batch.Queue(`INSERT INTO certificate_event (station, branch, seq, serial, status, reason, at)
			SELECT $1, $2, * FROM unnest($3::bigint[], $4::bytea[], $5::text[], $6::text[], $7::timestamptz[])`, t.from.ID, t.state.branch,
			column(r.events, func(e *event) int64 { return e.seq }), column(r.events, func(e *event) []byte { return e.serial }),
			column(r.events, func(e *event) string { return e.status }), column(r.events, func(e *event) string { return e.reason }),
			column(r.events, func(e *event) time.Time { return e.at }))
	}
	if len(r.found) > 0 {
		batch.Queue(`INSERT INTO certificate_der (sha256, serial, station, der) SELECT s, n, $1, d FROM unnest($2::bytea[], $3::bytea[], $4::bytea[]) u(s, n, d) ON CONFLICT DO NOTHING`,
			t.from.ID, column(r.found, func(d *der) []byte { return d.sum }), column(r.found, func(d *der) []byte { return d.serial }), column(r.found, func(d *der) []byte { return d.octets }))
	}
	for id, o := range r.orders {
		batch.Queue(`INSERT INTO station_order (station, work_order, counted, share, revision, ours, closed_at) VALUES ($1, $2, $3, $4, greatest($5, 0), $6, $7)
			ON CONFLICT (station, work_order) DO UPDATE SET counted = $3, share = $4, revision = CASE WHEN $5 < 0 THEN station_order.revision ELSE $5 END,
				ours = CASE WHEN $5 < 0 THEN station_order.ours ELSE $6 END, closed_at = coalesce(station_order.closed_at, $7)`,
			t.from.ID, id, o.counted, o.share, o.revision, o.ours, o.closedAt)
	}
}

func (t *taking) queueEnded(batch *pgx.Batch) {
	all := t.rows.ended
	if len(all) == 0 {
		return
	}
	batch.Queue(`INSERT INTO run (station, branch, seq, id, board_id, bay, operator, board_type, purpose, ending, reason, outcome, firmware, at, steps)
		SELECT $1, $2, a, b, c, d, e, f, g, h, i, j, k, l, m::jsonb FROM unnest($3::bigint[], $4::uuid[], $5::uuid[], $6::text[], $7::text[], $8::text[], $9::text[],
			$10::text[], $11::text[], $12::text[], $13::bytea[], $14::timestamptz[], $15::text[]) u(a, b, c, d, e, f, g, h, i, j, k, l, m) ON CONFLICT DO NOTHING`,
		t.from.ID, t.state.branch, column(all, func(e *ended) int64 { return e.seq }), column(all, func(e *ended) uuid.UUID { return e.run }),
		column(all, func(e *ended) *uuid.UUID { return e.board }), column(all, func(e *ended) string { return e.bay }), column(all, func(e *ended) string { return e.operator }),
		column(all, func(e *ended) string { return e.boardType }), column(all, func(e *ended) string { return e.purpose }), column(all, func(e *ended) string { return e.ending }),
		column(all, func(e *ended) string { return e.reason }), column(all, func(e *ended) string { return e.outcome }), column(all, func(e *ended) []byte { return e.firmware }),
		column(all, func(e *ended) time.Time { return e.at }), column(all, func(e *ended) string { return e.steps }))
}

// claims are what the intents of a Push claim for the station, in one order, so that two transactions never wait for each other.
type claims struct {
	boards        []uuid.UUID
	keys, serials [][]byte
	purposes      []string
	lacks         bool // somebody has one of them already, perhaps this station
}

// queueClaims takes boards, keys and serial numbers for this station.
func (t *taking) queueClaims(batch *pgx.Batch) {
	all := t.rows.intents
	if len(all) == 0 {
		return
	}
	slices.SortFunc(all, func(a, b intent) int { return strings.Compare(string(a.board[:]), string(b.board[:])) })
	c := &claims{boards: column(all, func(i *intent) uuid.UUID { return i.board }), keys: column(all, func(i *intent) []byte { return i.spki }),
		serials: column(all, func(i *intent) []byte { return i.serial }), purposes: column(all, func(i *intent) string { return i.purpose })}
	t.claims = c
	seqs, times := column(all, func(i *intent) int64 { return i.seq }), column(all, func(i *intent) time.Time { return i.at })
	claim := func(statement string, args ...any) {
		batch.Queue(statement, args...).Exec(func(tag pgconn.CommandTag) error {
			c.lacks = c.lacks || tag.RowsAffected() < int64(len(all))
			return nil
		})
	}
	claim(`INSERT INTO board (station, board_id, seq, at) SELECT $1, * FROM unnest($2::uuid[], $3::bigint[], $4::timestamptz[]) ON CONFLICT DO NOTHING`, t.from.ID, c.boards, seqs, times)
	claim(`INSERT INTO board_key (station, spki, board_id, purpose) SELECT $1, * FROM unnest($2::bytea[], $3::uuid[], $4::text[]) ON CONFLICT DO NOTHING`, t.from.ID, c.keys, c.boards, c.purposes)
	claim(`INSERT INTO certificate (station, branch, seq, serial, board_id, purpose, spki, issuer, profile, profile_sha256, work_order, run, at, not_after)
		SELECT $1, $2, * FROM unnest($3::bigint[], $4::bytea[], $5::uuid[], $6::text[], $7::bytea[], $8::bytea[], $9::text[], $10::bytea[], $11::text[], $12::uuid[], $13::timestamptz[], $14::timestamptz[])
		ON CONFLICT DO NOTHING`, t.from.ID, t.state.branch, seqs, c.serials, c.boards, c.purposes, c.keys,
		column(all, func(i *intent) []byte { return i.issuer }), column(all, func(i *intent) string { return i.profile }), column(all, func(i *intent) []byte { return i.profileSHA256 }),
		column(all, func(i *intent) *string { return i.order }), column(all, func(i *intent) uuid.UUID { return i.run }), times,
		column(all, func(i *intent) time.Time { return i.notAfter }))
}

// lookAtClaims finds what another station has already, or what this one has otherwise. Most claims are new, and then it asks nothing. The queries come after the
// inserts: a row that was inserted beside this transaction is committed by then, because the insert has waited for it.
func (t *taking) lookAtClaims() error {
	c := t.claims
	if c == nil || !c.lacks {
		return nil
	}
	batch := &pgx.Batch{}
	t.queueTwice(batch, outbox.FindingBoard, "certificates were signed for one board at two stations",
		`SELECT DISTINCT board_id, station, board_id::text FROM board WHERE board_id = ANY($2) AND station <> $1`, t.from.ID, c.boards)
	t.queueTwice(batch, outbox.FindingKey, "one key has two BoardIDs",
		`SELECT u.b, k.station, encode(k.spki, 'hex') FROM unnest($1::bytea[], $2::uuid[]) u(s, b) JOIN board_key k ON k.spki = u.s WHERE k.board_id <> u.b`, c.keys, c.boards)
	t.queueTwice(batch, outbox.FindingKey, "one board has two keys", `SELECT u.b, k.station, encode(u.s, 'hex') FROM unnest($1::bytea[], $2::uuid[], $3::text[]) u(s, b, p)
		JOIN board_key k ON k.board_id = u.b AND k.purpose = u.p WHERE k.spki <> u.s`, c.keys, c.boards, c.purposes)
	t.queueTwice(batch, outbox.FindingSerial, "one serial number was used twice", `SELECT u.b, c.station, encode(u.s, 'hex') FROM unnest($2::bytea[], $3::uuid[], $4::bytea[]) u(s, b, k)
		JOIN certificate c ON c.serial = u.s WHERE (c.station <> $1 OR c.board_id <> u.b OR c.spki <> u.k)`, t.from.ID, c.serials, c.boards, c.keys)
	if err := t.tx.SendBatch(t.ctx, batch).Close(); err != nil {
		return fmt.Errorf("looking for what is there twice: %w", err)
	}
	return nil
}

// queueTwice adds a query for what is there twice: the board, the other station, and what is twice.
func (t *taking) queueTwice(batch *pgx.Batch, kind, text, query string, args ...any) {
	batch.Queue(query, args...).Query(func(rows pgx.Rows) error {
		var board uuid.UUID
		var other int16
		var subject string
		_, err := pgx.ForEachRow(rows, []any{&board, &other, &subject}, func() error {
			about := board
			t.findings = append(t.findings, newFinding{kind: kind, board: &about, other: t.otherThan(other), subject: subject, detail: text})
			return nil
		})
		return err
	})
}

// otherThan gives another station, or nil for this one.
func (t *taking) otherThan(station int16) *int16 {
	if station == t.from.ID {
		return nil
	}
	return &station
}

// lookAtClock finds a station whose clock is wrong. Entries may be old, because a station may have had no link; but if the hub had all of the log when the
// station was here last, then each new entry was made after that.
func (t *taking) lookAtClock() {
	newest := t.rows.newest
	if newest == nil {
		return
	}
	hadAll := t.state.seen != nil && t.state.size == t.state.next
	if newest.After(t.now().Add(clockBound)) || hadAll && newest.Before(t.state.seen.Add(-clockBound)) {
		t.find(outbox.FindingClock, nil, newest.UTC().Format(time.DateOnly), fmt.Sprintf("the newest entry is of %s, and it is %s at the hub",
			newest.UTC().Format(time.RFC3339), t.now().UTC().Format(time.RFC3339)))
	}
}
