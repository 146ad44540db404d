package ui

import (
	"context"

	"github.com/google/uuid"

	"hallmark/station"
	"hallmark/station/health"
	"hallmark/station/operate"
	"hallmark/station/workdir"
)

// The screen calls the interfaces of this file from separate goroutines, several
// at a time, and never from the goroutine that draws. Each ctx has a deadline.
// Errors are shown to the operator in one line, as they are, unless they wrap
// one of the sentinels that the catalogue has words for (see refusal.go).

// Interfaces are the parts of the station that the screen calls. Controller, Bays and
// Facts must be set. If another field is nil, its keys say that the station does not have this part.
type Interfaces struct {
	Controller Controller
	Bays       Bays
	Facts      FactsSource
	Badges     Badges
	Orders     Orders
	History    History
	Detail     Details
	Doctor     Doctor
	Opener     Opener // nil: the PIN source is not a prompt
	Copier     Copier // nil: there is no clipboard
	Exporter   Exporter
}

// Controller starts and ends Runs. The events of the Feed say how they go.
type Controller interface {
	// Start starts a Run in a bay, and returns at once. It refuses a bay that is
	// running, skipped or stopped.
	Start(ctx context.Context, s Start) error
	// Stop ends the Run of one bay. A Run that has reached sign goes to its end.
	Stop(ctx context.Context, bay, operator string) error
	// Drain starts no further Run, ends the Runs before sign, and returns when all Runs have ended.
	Drain(ctx context.Context, operator string) error
}

// Bays changes which bays take part. Each call is recorded with its operator
// before it returns nil.
type Bays interface {
	// Skip takes a bay out of work, or back into work when reason is empty.
	Skip(ctx context.Context, bay, reason, operator string) error
	// Acknowledge lets a bay start Runs again that stopped because of a clone or a known identity (I4).
	Acknowledge(ctx context.Context, bay, operator string) error
	// ReadLabel takes the label of a board that passed (BayFacts.Label). It refuses the label of another board with operate.ErrWrongLabel.
	ReadLabel(ctx context.Context, bay, text, operator string) error
	// Automatic switches whether a Run starts by itself when a board appears.
	Automatic(ctx context.Context, on bool, operator, order string) error
}

// FactsSource is asked about once a second. It must answer from memory.
type FactsSource interface {
	Facts(ctx context.Context) (Facts, error)
}

// Badges signs operators in and out. Both calls are recorded in the audit log.
type Badges interface {
	// SignIn refuses an unknown badge with an error that wraps operate.ErrUnknownBadge.
	SignIn(ctx context.Context, badge string) (Operator, error)
	SignOut(ctx context.Context, operator, why string) error
}

// Orders switches, opens, raises and closes work orders.
type Orders interface {
	// Switch refuses an order that was never opened with station.ErrUnknownOrder, a closed
	// one with station.ErrOrderClosed, and a complete one with station.ErrQuota.
	Switch(ctx context.Context, id, operator string) (Order, error)
	// ChangeOrder opens, raises or closes an order, as the act says. It refuses what the role of the operator does not allow
	// with operate.ErrNotPermitted.
	ChangeOrder(ctx context.Context, act string, ask operate.OrderChange) (string, error)
}

// History finds Runs on record, newest first.
type History interface {
	Search(ctx context.Context, q Query) ([]Row, error)
}

// Details reads the record of one Run.
type Details interface {
	Detail(ctx context.Context, run uuid.UUID) (Detail, error)
}

// Doctor checks the station in the same way as `station doctor`.
type Doctor interface {
	// RunChecks sends each check when it ends and closes the channel after the last one,
	// or when ctx is done. The verifier's self-test is among the checks.
	RunChecks(ctx context.Context) <-chan Check
}

// Opener opens the HSM with a PIN that was typed.
type Opener interface {
	// Unlock refuses a wrong PIN with an error of the reason pin-wrong, pin-final-try or pin-locked, as far as
	// the token says that much. It must not keep pin after it returns; the caller overwrites it.
	Unlock(ctx context.Context, pin []byte) error
}

// Copier puts text where the operator can paste it, or into a file it names.
type Copier interface {
	Copy(ctx context.Context, text string) (where string, err error)
}

// Exporter writes Runs on record to a new file.
type Exporter interface {
	// Export writes the Runs with this part of a BoardID, a serial number or an order, and with this ending, as CSV or as JSON lines. It
	// puts the operator on record, and gives the path of the file and the number of Runs.
	Export(ctx context.Context, operator, text string, ending station.Ending, json bool) (path string, runs int, err error)
}

// The types of the interfaces are defined in the packages that make their values.
type (
	Start      = operate.Start
	Facts      = operate.Facts
	BayFacts   = operate.BayFacts
	Presence   = operate.Presence
	HSM        = operate.HSM
	HSMState   = operate.HSMState
	Order      = operate.Order
	Operator   = operate.Operator
	Query      = operate.Query
	Row        = operate.Row
	Detail     = operate.Detail
	Fact       = operate.Fact
	AuditEntry = operate.AuditEntry
	Check      = health.Check
	CheckState = health.State
	LogLine    = workdir.LogLine
)

const (
	PresenceUnknown = operate.PresenceUnknown
	BoardPresent    = operate.BoardPresent
	BoardAbsent     = operate.BoardAbsent

	HSMClosed   = operate.HSMClosed
	HSMReady    = operate.HSMReady
	HSMSoftware = operate.HSMSoftware
	HSMAway     = operate.HSMAway

	CheckOK   = health.OK
	CheckWarn = health.Warn
	CheckFail = health.Fail
	CheckNone = health.None
)
