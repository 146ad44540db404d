package outbox

import (
	"errors"
	"fmt"
	"strings"

	"github.com/fxamacker/cbor/v2"

	"hallmark/station/audit"
)

// Version is the number of this form of messages.
const Version = 1

// PushPath is where a hub takes a Push.
const PushPath = "/v1/push"

// TypeMessage is the content type of a Push and of an Answer (RFC 8949 section 9.5).
const TypeMessage = "application/cbor"

// Bounds of a Push.
const (
	MaxPush    = 16 << 20 // octets
	MaxEntries = 2000
	maxBodies  = 4 << 20 // octets of entries at which a Push ends
	MaxAnswer  = 4 << 20 // octets

	// Of an Answer: a station writes each finding into its log.
	MaxFindings = 200
	MaxOrders   = 100
	maxOrder    = 64 << 10 // octets of an order file
	maxText     = 1000     // octets of a text of a finding
)

// Shorten makes a text fit into a finding.
func Shorten(text string) string {
	if len(text) <= maxText {
		return text
	}
	return strings.ToValidUTF8(text[:maxText-3], "") + "..."
}

// A Push is what a station tells the hub: its newest entries, in order. The hub takes a Push as a whole or not at all.
type Push struct {
	Version      int      `cbor:"v"`
	Turn         int64    `cbor:"turn"`   // of the newest Answer. The hub takes one Push for each turn, so a copy of a Push, or a late one, changes nothing; -1: no Answer yet
	Size         int64    `cbor:"size"`   // entries of the log
	Taken        int64    `cbor:"taken"`  // entries that the hub had taken as far as the station remembers; more than the hub has: the hub is older
	Leases       int64    `cbor:"leases"` // the greatest number of leases that a hub has told the station, see Answer
	From         int64    `cbor:"from"`   // number of the first entry
	Root         []byte   `cbor:"root"`   // of the first From entries (RFC 6962 section 2.1), 32 octets
	Entries      [][]byte `cbor:"entries"`
	Checkpoint   []byte   `cbor:"checkpoint"`   // the newest one over at most From and the entries here; may be empty
	Certificates [][]byte `cbor:"certificates"` // in DER, which entries here tell of
}

// An Answer says what the hub has.
type Answer struct {
	Version  int       `cbor:"v"`
	Turn     int64     `cbor:"turn"`   // for the next Push
	Taken    bool      `cbor:"taken"`  // the Push was taken; false: it had another turn or another first entry, and changed nothing
	Next     int64     `cbor:"next"`   // the first entry that the hub lacks
	Signed   int64     `cbor:"signed"` // entries under a checkpoint that the hub has verified
	Leases   int64     `cbor:"leases"` // how many leases the hub has ever given, to all stations. It only grows, unless somebody restored the hub
	Orders   []Order   `cbor:"orders"` // signed order files for this station, which it has not opened yet
	Findings []Finding `cbor:"findings"`
}

// An Order is a signed order file.
type Order struct {
	File      []byte `cbor:"file"`
	Signature []byte `cbor:"signature"`
}

// A Finding is what the hub sees and one station cannot.
type Finding struct {
	ID      int64  `cbor:"id"`
	Kind    string `cbor:"kind"`    // one of the kinds of this package
	Board   string `cbor:"board"`   // BoardID; empty: the finding is about no board
	Subject string `cbor:"subject"` // what is there twice
	Text    string `cbor:"text"`    // for people
}

// The kinds of findings.
const (
	FindingBoard    = "board-twice"   // certificates were signed for one BoardID at two stations
	FindingKey      = "key-twice"     // one key has two BoardIDs, or one board two keys for a purpose
	FindingSerial   = "serial-twice"  // one serial number was used twice
	FindingFork     = "log-fork"      // the log does not continue what the hub has
	FindingRollback = "log-rollback"  // the log is shorter than what the hub has
	FindingForged   = "log-forged"    // somebody sent entries or checkpoints that are not of the log
	FindingOver     = "order-over"    // more boards than the order allows
	FindingRestored = "hub-restored"  // the hub had more than it has now
	FindingClock    = "station-clock" // the clock of the station differs from that of the hub
)

// Kinds lists the kinds of findings.
func Kinds() []string {
	return []string{FindingBoard, FindingKey, FindingSerial, FindingFork, FindingRollback, FindingForged, FindingOver, FindingRestored, FindingClock}
}

var (
	encoding = must(cbor.CoreDetEncOptions().EncMode())
	decoding = must(cbor.DecOptions{DupMapKey: cbor.DupMapKeyEnforcedAPF, ExtraReturnErrors: cbor.ExtraDecErrorUnknownField, IndefLength: cbor.IndefLengthForbidden,
		MaxNestedLevels: 8, MaxArrayElements: 16 * MaxEntries}.DecMode())
)

func must[T any](mode T, err error) T {
	if err != nil {
		panic(err)
	}
	return mode
}

// ErrMessage: a message does not have its form.
var ErrMessage = errors.New("not a message between a station and a hub")

// Encode gives the octets of a Push or an Answer.
func Encode(message any) ([]byte, error) { return encoding.Marshal(message) }

// DecodePush reads a Push, and checks its bounds.
func DecodePush(body []byte) (p Push, err error) {
	if err := decoding.Unmarshal(body, &p); err != nil {
		return p, fmt.Errorf("%w: %w", ErrMessage, err)
	}
	switch {
	case p.Version != Version:
		return p, fmt.Errorf("%w: version %d, want %d", ErrMessage, p.Version, Version)
	case p.Turn < -1 || p.Size < 0 || p.Taken < 0 || p.Leases < 0 || p.From < 0 || p.From > p.Size || int64(len(p.Entries)) > p.Size-p.From:
		return p, fmt.Errorf("%w: %d entries from %d of a log of %d", ErrMessage, len(p.Entries), p.From, p.Size)
	case len(p.Root) != 32 || len(p.Entries) > MaxEntries || len(p.Certificates) > len(p.Entries):
		return p, fmt.Errorf("%w: a root of %d octets, %d entries, %d certificates", ErrMessage, len(p.Root), len(p.Entries), len(p.Certificates))
	}
	for i, body := range p.Entries {
		if len(body) == 0 || len(body) > audit.MaxEntry {
			return p, fmt.Errorf("%w: entry %d has %d octets", ErrMessage, p.From+int64(i), len(body))
		}
	}
	return p, nil
}

// DecodeAnswer reads an Answer.
func DecodeAnswer(body []byte) (a Answer, err error) {
	if err := decoding.Unmarshal(body, &a); err != nil {
		return a, fmt.Errorf("%w: %w", ErrMessage, err)
	}
	if a.Version != Version || a.Turn < 0 || a.Next < 0 || a.Signed < 0 || a.Leases < 0 {
		return a, fmt.Errorf("%w: version %d, want %d, and no number below 0", ErrMessage, a.Version, Version)
	}
	return a, a.checkSizes()
}

func (a *Answer) checkSizes() error {
	if len(a.Findings) > MaxFindings || len(a.Orders) > MaxOrders {
		return fmt.Errorf("%w: %d findings and %d orders, want at most %d and %d", ErrMessage, len(a.Findings), len(a.Orders), MaxFindings, MaxOrders)
	}
	for _, f := range a.Findings {
		if max(len(f.Kind), len(f.Board), len(f.Subject), len(f.Text)) > maxText {
			return fmt.Errorf("%w: finding %d has a text of more than %d octets", ErrMessage, f.ID, maxText)
		}
	}
	for _, o := range a.Orders {
		if max(len(o.File), len(o.Signature)) > maxOrder {
			return fmt.Errorf("%w: an order file of %d octets, want at most %d", ErrMessage, len(o.File), maxOrder)
		}
	}
	return nil
}
