package ui

import (
	"context"
	"time"

	"github.com/google/uuid"

	"hallmark/devices"
	"hallmark/station"
)

// The interfaces of this file are called from goroutines of their own, several
// at a time, and never from the goroutine that draws. Each ctx has a deadline.
// Errors are shown to the operator in one line, as they are, unless they wrap
// one of the sentinels that the catalogue has words for (see refusal.go).

// Needs is what the interface asks of the rest of the station. Line, Bays and
// Facts must be set; what is nil otherwise is not offered, and its key says so.
type Needs struct {
	Line    Line
	Bays    Bays
	Facts   FactsSource
	Badges  Badges
	Orders  Orders
	History History
	Detail  Details
	Doctor  Doctor
	Opener  Opener // nil: the PIN source is not a prompt
	Copier  Copier // nil: there is no clipboard
}

// Line starts and ends Runs. What comes of them arrives as events.
type Line interface {
	// Start begins a Run in a bay, or tries its board again, and returns as soon
	// as that is decided. It refuses a bay that is running, skipped or stopped.
	Start(ctx context.Context, s Start) error
	// Stop ends the Run of one bay. As at a drain, a Run is not cut between
	// signing and recording: it then goes to its end.
	Stop(ctx context.Context, bay, operator string) error
	// Drain starts nothing more, ends what may be ended, and returns when all Runs have ended.
	Drain(ctx context.Context, operator string) error
}

// Start is what the operator asked to be started.
type Start struct {
	Bay      string
	Operator string // goes into the Run
	Order    string // work order, may be empty
	// Expect is the BoardID that was scanned from the board's label, or empty. A
	// board that gives another one must be refused before anything is asked of it.
	Expect string
	// Rework is the reason why a board that has a certificate gets another one, or
	// empty. The active certificate then ends as superseded.
	Rework string
}

// Bays says which bays take part. Each call goes on record with its operator
// before it returns nil.
type Bays interface {
	// Skip takes a bay out, or back in when reason is empty.
	Skip(ctx context.Context, bay, reason, operator string) error
	// Acknowledge lets a bay go on that stopped because of a clone or a known identity (I4).
	Acknowledge(ctx context.Context, bay, operator string) error
	// Automatic switches whether a Run starts by itself when a board appears.
	Automatic(ctx context.Context, on bool, operator, order string) error
}

// FactsSource is asked about once a second. It must answer from memory.
type FactsSource interface {
	Facts(ctx context.Context) (Facts, error)
}

// Facts is what header and tiles show beside the events.
type Facts struct {
	Order     Order // the open one; the zero Order when none is
	HSM       HSM
	ClockBad  string    // what is wrong with the clock, empty when nothing is
	Entries   int64     // in the audit log
	Anchored  time.Time // last checkpoint, zero when there is none
	AuditBad  string    // why the audit log takes nothing, empty when it does
	Automatic bool
	Paused    string // why the line does not start Runs just now, empty when it does
	Draining  bool
	Bays      []BayFacts // may hold fewer than there are bays
}

// BayFacts is what is known of a bay outside its Runs.
type BayFacts struct {
	Name    string
	Present Presence
	Skipped string // the reason, empty when the bay takes part
	Stopped string // why the bay waits for an operator (I4), empty when it does not
}

// Presence says whether a board sits in a bay.
type Presence uint8

// The zero Presence is that of ports that cannot tell.
const (
	PresenceUnknown Presence = iota
	BoardPresent
	BoardAbsent
)

// HSM is the state of the token.
type HSM struct {
	State  HSMState
	Detail string // for people: label and serial number, or what went wrong
}

// HSMState is what the header says of the token.
type HSMState string

// The states of the token. HSMAway pauses the line until the token is back.
const (
	HSMClosed   HSMState = "closed"   // the PIN was not entered yet
	HSMReady    HSMState = "ready"    // a hardware token, logged in
	HSMSoftware HSMState = "software" // a software token: protects nothing
	HSMAway     HSMState = "away"
)

// Order is a work order.
type Order struct {
	ID      string
	Product string
	Quota   int64 // 0 means none
	Count   int64 // boards with an active certificate
}

// Operator is who signed in.
type Operator struct {
	ID   string // goes on record
	Name string // for the screen
}

// Badges knows the operators. Both calls go on record.
type Badges interface {
	// SignIn refuses an unknown badge with an error that wraps ErrUnknownBadge.
	SignIn(ctx context.Context, badge string) (Operator, error)
	SignOut(ctx context.Context, operator, why string) error
}

// Orders switches the work order.
type Orders interface {
	// Switch refuses with station.ErrUnknownOrder what is not open and with
	// station.ErrQuota what is complete.
	Switch(ctx context.Context, id, operator string) (Order, error)
}

// History finds Runs on record, newest first.
type History interface {
	Search(ctx context.Context, q Query) ([]Row, error)
}

// Query is what to look for: Runs that fit all fields that are not zero.
type Query struct {
	Text   string // part of a BoardID, of a serial number in hex, or of a work order
	Ending station.Ending
	Since  time.Time
	Limit  int
}

// Row is one Run on record.
type Row struct {
	Run      uuid.UUID
	At       time.Time
	Bay      string
	BoardID  string
	Serial   string // of the certificate in hex, empty when it has none
	Order    string
	Operator string
	Purpose  devices.Purpose
	Ending   station.Ending
	Reason   string
}

// Details tells what is known of one Run beyond what its events said.
type Details interface {
	Detail(ctx context.Context, run uuid.UUID) (Detail, error)
}

// Detail is everything about one Run. Fields that are not known are left zero.
type Detail struct {
	Run         station.Run // as far as it can be read back
	BoardID     string      // for Runs whose Identity cannot be read back
	Certificate []byte      // DER
	CSR         []byte      // DER
	Registry    []Fact      // what the registry says of board and certificate
	Audit       []AuditEntry
}

// Fact is one line of a table. Name is shown as the text "fact.NAME" of the
// catalogue if there is one, otherwise as it is.
type Fact struct{ Name, Value string }

// AuditEntry is one line of the audit log.
type AuditEntry struct {
	Index int64
	At    time.Time
	Type  string
	Text  string
}

// Doctor examines the bench, as `station doctor` does.
type Doctor interface {
	// Examine sends each check when it ends and closes the channel after the last one,
	// or when ctx is done. The verifier's self-test is among the checks.
	Examine(ctx context.Context) <-chan Check
}

// Check is one line of the doctor's table.
type Check struct {
	Name    string
	State   CheckState
	Finding string
	Next    string // what to do when it failed
}

// CheckState is how a check ended.
type CheckState string

// The states of a check.
const (
	CheckOK   CheckState = "ok"
	CheckWarn CheckState = "warn" // it works, and something is to be done about it soon
	CheckFail CheckState = "fail"
	CheckNone CheckState = "none" // not examined: what it needs has failed
)

// Opener opens the HSM with a PIN that was typed.
type Opener interface {
	// Unlock refuses a wrong PIN with ErrPINRefused, or with ErrPINLast or ErrPINLocked when
	// the token says that much. It must not keep pin after it returns; the caller overwrites it.
	Unlock(ctx context.Context, pin []byte) error
}

// Copier puts text where the operator can paste it, or into a file it names.
type Copier interface {
	Copy(ctx context.Context, text string) (where string, err error)
}

// LogLine is one line of the engineers' log.
type LogLine struct {
	At    time.Time
	Level string
	Text  string
}
