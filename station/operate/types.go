package operate

import (
	"time"

	"hallmark/station"
	"hallmark/station/reason"
)

// Start is what an operator, or a batch, asks to be started in a bay.
type Start struct {
	Bay      string
	Operator string // goes into the Run
	Order    string // work order, may be empty
	// Expect is the BoardID that was scanned from the board's label, or empty. A
	// board that gives another BoardID is refused before anything else is asked of the board.
	Expect string
	// Rework is the reason why a board that has a certificate gets another one, or
	// empty. The active certificate then ends as superseded.
	Rework string
	// NextBoard has a bay with emulated boards go on to its next board even if the
	// board before did not pass.
	NextBoard bool

	ended func(runs []*station.Run) // of a batch; nil otherwise
}

// Facts is what a screen shows beside the events of the engine.
type Facts struct {
	Order        Order // the open work order; the zero Order when there is none
	HSM          HSM
	ClockBad     string    // what is wrong with the clock, empty when nothing is
	Entries      int64     // in the audit log
	Checkpointed time.Time // of the newest checkpoint, zero when there is none
	AuditBad     string    // why the audit log takes nothing, empty when it does
	Automatic    bool
	Paused       string // why no Run can start at present, empty when Runs can
	Draining     bool
	Bays         []BayFacts // may hold fewer than there are bays
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

// HSMState is what a screen says of the token.
type HSMState string

// The states of the token. While the state is HSMAway no Run starts.
const (
	HSMClosed   HSMState = "closed"   // the PIN was not entered yet
	HSMReady    HSMState = "ready"    // a hardware token, logged in
	HSMSoftware HSMState = "software" // a software token, which protects nothing
	HSMAway     HSMState = "away"
)

// Order is a work order.
type Order struct {
	ID      string
	Product string
	Quota   int64 // boards; 0 means no quota
	Count   int64 // boards that were signed for
}

// Operator is who signed in.
type Operator struct {
	ID   string // goes on record
	Name string // for the screen
}

// Refusals of the Controller.
var (
	ErrUnknownBadge = reason.New("unknown-badge", "badge is not known")
	ErrBusy         = reason.New("bay-busy", "bay is running")
	ErrHSMAway      = reason.New("hsm-away", "HSM is away")
	ErrOtherProduct = reason.New("other-product", "work order is for another product than this station's profile")

	errNoBay      = reason.New("no-bay", "there is no such bay")
	errBaySkipped = reason.New("bay-skipped", "bay is skipped: take it back in first")
	errNotOpen    = reason.New("not-open", "the line is not open: see the examination")
)
