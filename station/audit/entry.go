package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"
)

// Version is the version of the entry format ("v").
const Version = 1

// MaxEntry is the largest entry in octets: a C2SP tlog-tiles entry bundle has
// a 16-bit length for each.
const MaxEntry = 65535

// Outcome says how it went (IEC 62443-4-2 CR 2.8 "event result").
type Outcome string

// The outcomes of an entry.
const (
	Success Outcome = "success"
	Failure Outcome = "failure" // the station, HSM or line
	Denied  Outcome = "denied"  // a refusal
	Unknown Outcome = "unknown" // nobody can tell, as after a crash
)

// Category is the family of an event (IEC 62443-4-2 CR 2.8).
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

// Entry is one event. The first fields are the caller's; Seq, ID, Time,
// Station and V are set by Append. Field order is the order of the JSON keys,
// which are sorted: that makes the encoding canonical.
type Entry struct {
	Actor     Actor             `json:"actor"`
	Board     *Board            `json:"board,omitempty"`
	Category  Category          `json:"category"`
	Cert      *Cert             `json:"cert,omitempty"`
	Details   map[string]string `json:"details,omitempty"` // names of the event's own
	ID        string            `json:"id"`                // UUIDv7 (RFC 9562 section 5.7)
	Outcome   Outcome           `json:"outcome"`
	Reason    string            `json:"reason,omitempty"` // one word, the same as in test and screen
	Run       *Run              `json:"run,omitempty"`
	Seq       int64             `json:"seq"` // gap-free from 0
	Station   string            `json:"station"`
	Time      Time              `json:"ts"`
	Type      string            `json:"type"` // such as cert.issue.intent
	V         int               `json:"v"`
	WorkOrder *WorkOrder        `json:"work_order,omitempty"`
}

// Actor is who caused the event.
type Actor struct {
	ID   string `json:"id"`
	Kind string `json:"kind"` // human, ci or system
}

// Itself is the actor of what nobody asked for.
func Itself() Actor { return Actor{ID: "station", Kind: "system"} }

// Board is what an event says of a board.
type Board struct {
	Firmware   string `json:"firmware,omitempty"`
	HardwareID string `json:"hardware_id,omitempty"` // hex
	HUK        string `json:"huk,omitempty"`         // source of the hardware unique key
	ID         string `json:"id"`
	SHA256     string `json:"sha256,omitempty"` // of the firmware image
	Type       string `json:"type,omitempty"`
}

// Cert is what an event says of a certificate.
type Cert struct {
	CSRSHA256     string `json:"csr_sha256,omitempty"`
	Issuer        string `json:"issuer_spki_sha256,omitempty"`
	NotAfter      string `json:"not_after,omitempty"`
	NotBefore     string `json:"not_before,omitempty"`
	Profile       string `json:"profile,omitempty"`
	ProfileSHA256 string `json:"profile_sha256,omitempty"`
	Purpose       string `json:"purpose,omitempty"`
	Rework        bool   `json:"rework,omitempty"`
	Serial        string `json:"serial"` // 32 hex digits
	SHA256        string `json:"sha256,omitempty"`
	SPKISHA256    string `json:"spki_sha256,omitempty"`
	Status        string `json:"status,omitempty"` // after the event
	TBSSHA256     string `json:"tbs_sha256,omitempty"`
}

// Run is what an event says of a Run.
type Run struct {
	Bay      string `json:"bay,omitempty"`
	ID       string `json:"id"`
	Operator string `json:"operator,omitempty"`
	Purpose  string `json:"purpose,omitempty"` // of the key that the Run is about
	Rework   string `json:"rework,omitempty"`
	Steps    []Step `json:"steps,omitempty"`
}

// Step is one finished step of a Run. Times are whole microseconds: the
// format has no floats.
type Step struct {
	Name      string `json:"name"`
	OutsideUS int64  `json:"outside_us"` // the part spent waiting for board and wire
	Retries   int    `json:"retries"`
	TookUS    int64  `json:"took_us"`
}

// WorkOrder is what an event says of a work order.
type WorkOrder struct {
	Counted int64  `json:"counted,omitempty"`
	ID      string `json:"id"`
	Product string `json:"product,omitempty"`
	Quota   int64  `json:"quota,omitempty"`
}

// Time is RFC 3339 in UTC with nine digits after the point, always.
type Time struct{ time.Time }

const timeFormat = "2006-01-02T15:04:05.000000000Z"

// String gives the one form that there is.
func (t Time) String() string { return t.UTC().Format(timeFormat) }

// MarshalJSON writes the one form that UnmarshalJSON reads.
func (t Time) MarshalJSON() ([]byte, error) { return []byte(`"` + t.String() + `"`), nil }

// UnmarshalJSON accepts only what MarshalJSON writes.
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

// Encode gives the canonical octets: one JSON object, keys sorted, no white
// space, no floats, UTF-8.
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

// Decode reads what Encode writes and nothing else: what it accepts, Encode
// gives back octet for octet.
func Decode(body []byte) (Entry, error) {
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
