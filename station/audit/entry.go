package audit

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"
)

// Version is the version of the entry format ("v").
const Version = 1

// MaxEntry is the largest size of an entry in octets. An entry bundle of C2SP
// tlog-tiles has a 16-bit length for each entry.
const MaxEntry = 65535

// An Outcome is the result of an event (IEC 62443-4-2 CR 2.8 "event result").
type Outcome string

// The outcomes of an entry.
const (
	Success Outcome = "success"
	Failure Outcome = "failure" // station, HSM or line failed
	Denied  Outcome = "denied"  // the station refused
	Unknown Outcome = "unknown" // the result cannot be known, as after a crash
)

// A Category is the family of an event (IEC 62443-4-2 CR 2.8).
type Category string

// The categories of an entry.
const (
	CategoryLog      Category = "log"      // the log itself
	CategoryIssuance Category = "issuance" // certificates
	CategoryLine     Category = "line"     // boards and Runs
	CategoryStatus   Category = "status"   // revocation
	CategoryConfig   Category = "config"   // profiles, work orders
	CategorySystem   Category = "system"   // clock, start and stop
)

// An Entry is one event. Append sets Seq, ID, Time, Station and V; the caller sets
// the other fields. The fields stand in the sorted order of their JSON keys, which
// makes the encoding canonical.
type Entry struct {
	Actor     Actor             `json:"actor"`
	Board     *Board            `json:"board,omitempty"`
	Category  Category          `json:"category"`
	Cert      *Cert             `json:"cert,omitempty"`
	Details   map[string]string `json:"details,omitempty"` // keys and values of this type of event
	ID        string            `json:"id"`                // UUIDv7 (RFC 9562 section 5.7)
	Outcome   Outcome           `json:"outcome"`
	Reason    string            `json:"reason,omitempty"` // one word, the same as in tests and on the screen
	Run       *Run              `json:"run,omitempty"`
	Seq       int64             `json:"seq"` // without gaps, from 0
	Station   string            `json:"station"`
	Time      Time              `json:"ts"`
	Type      string            `json:"type"` // such as cert.issue.intent
	V         int               `json:"v"`
	WorkOrder *WorkOrder        `json:"work_order,omitempty"`
}

// An Actor is who caused the event.
type Actor struct {
	ID   string `json:"id"`
	Kind string `json:"kind"` // human, ci or system
}

// Itself returns the actor of events that the station causes by itself.
func Itself() Actor { return Actor{ID: "station", Kind: "system"} }

// A Board is the board of an event.
type Board struct {
	Firmware   string `json:"firmware,omitempty"`
	HardwareID string `json:"hardware_id,omitempty"` // in hexadecimal
	HUK        string `json:"huk,omitempty"`         // source of the hardware unique key
	ID         string `json:"id"`
	SHA256     string `json:"sha256,omitempty"` // of the firmware image
	Type       string `json:"type,omitempty"`
}

// A Cert is the certificate of an event. SHA-256 values are 64 hexadecimal digits.
type Cert struct {
	Algorithm     string `json:"algorithm,omitempty"` // of the key; left out: ecdsa-p256
	CSRSHA256     string `json:"csr_sha256,omitempty"`
	Issuer        string `json:"issuer_spki_sha256,omitempty"`
	NotAfter      string `json:"not_after,omitempty"`
	NotBefore     string `json:"not_before,omitempty"`
	Profile       string `json:"profile,omitempty"`
	ProfileSHA256 string `json:"profile_sha256,omitempty"`
	Purpose       string `json:"purpose,omitempty"`
	Rework        bool   `json:"rework,omitempty"`
	Serial        string `json:"serial"` // 32 hexadecimal digits
	SHA256        string `json:"sha256,omitempty"`
	SPKISHA256    string `json:"spki_sha256,omitempty"`
	Status        string `json:"status,omitempty"` // after the event
	TBSSHA256     string `json:"tbs_sha256,omitempty"`
}

// A Run is the Run of an event.
type Run struct {
	Bay      string `json:"bay,omitempty"`
	ID       string `json:"id"`
	Operator string `json:"operator,omitempty"`
	Outcome  string `json:"outcome,omitempty"` // of a Pass: issued, confirmed, reworked
	Purpose  string `json:"purpose,omitempty"` // of the key that the Run certifies
	Rework   string `json:"rework,omitempty"`
	Steps    []Step `json:"steps,omitempty"`
}

// A Step is one finished step of a Run. Times are whole microseconds, because the
// format has no floating-point numbers.
type Step struct {
	Name      string `json:"name"`
	OutsideUS int64  `json:"outside_us"` // time spent waiting for board and wire; a part of TookUS
	Retries   int    `json:"retries"`
	TookUS    int64  `json:"took_us"`
}

// A WorkOrder is the work order of an event.
type WorkOrder struct {
	Counted int64  `json:"counted,omitempty"`
	ID      string `json:"id"`
	Product string `json:"product,omitempty"`
	Quota   int64  `json:"quota,omitempty"`
}

// A Time is written as RFC 3339 in UTC, always with nine digits after the point.
type Time struct{ time.Time }

const timeFormat = "2006-01-02T15:04:05.000000000Z"

// String returns the only form that UnmarshalJSON accepts, without quotes.
func (t Time) String() string { return t.UTC().Format(timeFormat) }

// MarshalJSON implements json.Marshaler.
func (t Time) MarshalJSON() ([]byte, error) { return []byte(`"` + t.String() + `"`), nil }

// UnmarshalJSON accepts only the form that MarshalJSON writes.
func (t *Time) UnmarshalJSON(text []byte) error {
	parsed, err := time.Parse(`"`+timeFormat+`"`, string(text))
	if err != nil {
		return fmt.Errorf("ts %s: want RFC 3339 in UTC with nine digits after the point", text)
	}
	t.Time = parsed.UTC()
	return nil
}

// Errors of encoding and decoding.
var (
	ErrNotCanonical = errors.New("audit entry is not in canonical form")
	ErrTooLarge     = fmt.Errorf("audit entry is larger than %d octets", MaxEntry)
	ErrNotText      = errors.New("audit entry is not UTF-8")
	ErrIncomplete   = errors.New("audit entry is incomplete: want actor, category, type and outcome")
)

// Encode returns the canonical form of an entry: one JSON object in UTF-8 with
// sorted keys, without white space and floating-point numbers, at most MaxEntry
// octets. Errors: ErrIncomplete, ErrTooLarge.
func Encode(e Entry) ([]byte, error) {
	if e.Actor.ID == "" || e.Actor.Kind == "" || e.Category == "" || e.Type == "" || e.Outcome == "" {
		return nil, ErrIncomplete
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(e); err != nil {
		return nil, fmt.Errorf("encoding audit entry: %w", err)
	}
	body := bytes.TrimSuffix(out.Bytes(), []byte("\n"))
	if len(body) > MaxEntry {
		return nil, fmt.Errorf("%w: it has %d", ErrTooLarge, len(body))
	}
	return body, nil
}

// Decode reads the canonical form and nothing else: Encode of the result returns
// body octet for octet. Errors: ErrNotText, ErrNotCanonical, and the errors of Encode.
func Decode(body []byte) (Entry, error) {
	if e, ok := decodeCanonical(body); ok {
		return e, nil
	}
	return decodeStrictly(body)
}

// decodeStrictly encodes the entry again, and compares.
func decodeStrictly(body []byte) (Entry, error) {
	var e Entry
	if !utf8.Valid(body) {
		return e, ErrNotText
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&e); err != nil {
		return e, fmt.Errorf("%w: %w", ErrNotCanonical, err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return e, fmt.Errorf("%w: octets after it", ErrNotCanonical)
	}
	if e.V != Version {
		return e, fmt.Errorf("%w: version %d, want %d", ErrNotCanonical, e.V, Version)
	}
	again, err := Encode(e)
	if err != nil {
		return e, err
	}
	if !bytes.Equal(again, body) {
		return e, ErrNotCanonical
	}
	return e, nil
}

// OfTypes gives the entries of some types among the entries from a number on, in their order. The
// types must be those whose entries have no work order: such a body ends with its type and its
// version, because the keys are sorted. OfTypes compares the ends of the bodies only: a search
// through all octets takes most of a second for 500,000 entries.
func OfTypes(ctx context.Context, q Querier, from int64, kinds ...string) ([]Entry, error) {
	query, args := `SELECT seq, body FROM audit_entry WHERE seq >= ?`, []any{from}
	for n, kind := range kinds {
		end := fmt.Appendf(nil, `,"type":%q,"v":%d}`, kind, Version)
		query += []string{` AND (`, ` OR `}[min(n, 1)] + `substr(body, ?) = ?`
		args = append(args, -len(end), end)
	}
	return entries(ctx, q, query+`) ORDER BY seq`, args...)
}

// Types of the entries about a work order itself.
const (
	TypeOrderOpened  = "order.opened"
	TypeOrderRaised  = "order.raised"
	TypeOrderRevised = "order.revised"
	TypeOrderClosed  = "order.closed"
)

// OrderHistory gives the entries that opened, raised, revised and closed work orders, among the entries from a number on, in
// their order. An empty id selects all work orders. Their bodies are never removed, so the table itself is read.
func OrderHistory(ctx context.Context, q Querier, id string, from int64) (found []Entry, err error) {
	err = eachFound(ctx, q, func(e Entry) (take, more bool) {
		switch e.Type {
		case TypeOrderOpened, TypeOrderRaised, TypeOrderRevised, TypeOrderClosed:
			if take = e.WorkOrder != nil && (id == "" || e.WorkOrder.ID == id); take {
				found = append(found, e)
			}
		}
		return take, true
	}, `SELECT seq, body FROM main.audit_entry WHERE seq >= ? AND instr(body, ?) > 0 ORDER BY seq`, from, []byte(`,"type":"order.`))
	if err != nil {
		return nil, fmt.Errorf("looking for the entries of work orders: %w", err)
	}
	return found, nil
}

// plainJSON encodes a value as it is encoded inside of an entry.
func plainJSON(value any) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // as Encode
	err := encoder.Encode(value)
	return bytes.TrimSuffix(text.Bytes(), []byte("\n")), err
}

// entries reads the entries of a query for numbers and bodies.
func entries(ctx context.Context, q Querier, query string, args ...any) (found []Entry, err error) {
	err = eachFound(ctx, q, func(e Entry) (take, more bool) { found = append(found, e); return true, true }, query, args...)
	if err != nil {
		return nil, fmt.Errorf("looking for entries of a type: %w", err)
	}
	return found, nil
}

// eachFound calls visit for the entries that a query for numbers and bodies selects, until visit wants no more. Afterwards it
// proves that those which visit took are in the tree.
func eachFound(ctx context.Context, q Querier, visit func(Entry) (take, more bool), query string, args ...any) error {
	taken, err := visitEach(ctx, q, visit, query, args...)
	for seq, body := range taken {
		if err == nil {
			err = Prove(ctx, q, seq, body)
		}
	}
	return err
}

// visitEach gives the numbers and bodies that visit took.
func visitEach(ctx context.Context, q Querier, visit func(Entry) (take, more bool), query string, args ...any) (taken map[int64][]byte, err error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	taken = map[int64][]byte{}
	for rows.Next() {
		var seq int64
		var body sql.RawBytes
		if err := rows.Scan(&seq, &body); err != nil {
			return nil, err
		}
		e, err := Decode(body)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrEntry, err)
		}
		take, more := visit(e)
		if take {
			taken[seq] = bytes.Clone(body)
		}
		if !more {
			return taken, nil
		}
	}
	return taken, rows.Err()
}

// OfOrder gives the newest work order with this id, with product, quota and count, among the entries
// from a number on. The end of a Run that was refused names the work order only, and is left out.
// found is false if there is no such entry. OfOrder reads all entries to the newest one that fits. No archive
// takes the body of that one, so the table itself is read.
func OfOrder(ctx context.Context, q Querier, id string, from int64) (order WorkOrder, found bool, err error) {
	name, err := plainJSON(id)
	if err != nil {
		return order, false, fmt.Errorf("looking for work order %q: %w", id, err)
	}
	err = eachFound(ctx, q, func(e Entry) (take, more bool) {
		if o := e.WorkOrder; o != nil && o.ID == id && o.Quota > 0 {
			order, found = *o, true
		}
		return found, !found
	}, `SELECT seq, body FROM main.audit_entry WHERE seq >= ? AND instr(body, ?) > 0 ORDER BY seq DESC`, from, fmt.Appendf(nil, `"id":%s,`, name))
	if err != nil {
		return order, false, fmt.Errorf("looking for work order %q: %w", id, err)
	}
	return order, found, nil
}
