package operate

import (
	"errors"
	"time"

	"hallmark/configs"
	"hallmark/devices"
	"hallmark/station"
	"hallmark/station/instance"
	"hallmark/station/reason"
)

// Start is the request of an operator or a batch to start a Run in a bay.
type Start struct {
	Bay      string
	Operator string // goes into the Run
	Order    string // work order, may be empty
	// Expect is the BoardID that was scanned from the board's label, or empty. If the
	// board has another BoardID, the Run ends before the station asks the board for
	// anything else.
	Expect string
	// Rework is the reason why a board that has a certificate gets another one, or
	// empty. The active certificate then ends as superseded.
	Rework string
	// NextBoard selects the next emulated board of a bay, even if the present
	// board did not pass.
	NextBoard bool

	wanted    *passedLabel              // the label that the bay waits for after the Run, or nil
	marked    bool                      // the board of the bay waits for a rework
	automatic bool                      // automatic start began the Run
	from      devices.Purpose           // of a Run that is started again: the purpose of the lost Run
	again     bool                      // a lost Run is started again
	repeated  func(lost *station.Run)   // gets each Run of a batch that was started again; nil outside a batch
	ended     func(runs []*station.Run) // gets the Runs of a batch when they have ended; nil outside a batch
}

// checkTexts refuses a text that a person typed and nobody could read where it is shown.
func (s Start) checkTexts() error {
	return errors.Join(reason.CheckOptional("operator", s.Operator), reason.CheckOptional("work order", s.Order), reason.CheckOptional("reason of the rework", s.Rework))
}

// Facts is the state that a screen shows beside the events of the engine.
type Facts struct {
	Order        Order // the open work order; the zero Order when there is none
	HSM          HSM
	ClockBad     string    // what is wrong with the clock, empty when nothing is
	Entries      int64     // in the audit log
	Checkpointed time.Time // of the newest checkpoint, zero when there is none
	AuditBad     string    // why the audit log accepts no entries, empty when it accepts them
	ReportBad    string    // why JSON lines of the shift are lost; empty when none is
	Unwitnessed  string    // which witnesses do not confirm the audit log, and why; empty when all do
	Automatic    bool
	Paused       string // why no Run can start at present, empty when Runs can
	Draining     bool
	ScanBack     bool       // after a Pass a bay waits for the label of its board
	Bays         []BayFacts // may lack some bays
}

// BayFacts is the state of a bay apart from its Runs.
type BayFacts struct {
	Name    string
	Present Presence
	Skipped string // the reason, empty when the bay takes part
	// Faults and Fault say that automatic start took the bay out of work: after how many Faults in a row, and the word of the last one.
	Faults int
	Fault  string
	// Label is the BoardID of the board that passed here and whose label must be scanned before the bay goes on, otherwise empty.
	// WrongLabel is what was scanned instead.
	Label, WrongLabel string
	Stopped           string // reason word of the Run that stopped the bay until an operator acknowledges (I4), otherwise empty
}

// Presence says whether a board sits in a bay.
type Presence uint8

// The values of Presence. A serial port that always exists does not show whether a board is there: PresenceUnknown.
const (
	PresenceUnknown Presence = iota
	BoardPresent
	BoardAbsent
)

// HSM is the state of the token.
type HSM struct {
	State  HSMState
	Detail string // for people: label and serial number, or the error
	Word   string // reason word of the error, empty when there is none
}

// HSMState is the state of the token, in one word.
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
	Quota   int64  // boards; 0 means no quota
	Count   int64  // boards that have a certificate from this order
	Closed  string // RFC 3339; empty: the order is open
}

// Operator is a person who signed in.
type Operator struct {
	ID   string       // for the audit log
	Name string       // for the screen
	Role configs.Role // empty: may do everything
}

// Refusals of the Controller.
var (
	ErrUnknownBadge = reason.New("unknown-badge", "badge is not known")
	ErrBusy         = reason.New("bay-busy", "bay is running")
	ErrHSMAway      = reason.New("hsm-away", "HSM is away")
	ErrOtherProduct = instance.ErrOtherProduct

	ErrLabelWanted = reason.New("label-wanted", "scan the label of the board that passed in this bay")
	ErrWrongLabel  = reason.New("wrong-label", "this label is not that of the board that passed in this bay")

	errNoBay      = reason.New("no-bay", "there is no such bay")
	errBaySkipped = reason.New("bay-skipped", "bay is skipped: take it back in first")
	errNotOpen    = reason.New("not-open", "the line is not open: see the health check")
)
