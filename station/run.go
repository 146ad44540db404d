// Package station is the line: the steps of a Run, in order, and what each
// may conclude. It talks to boards, HSM, registry and verifier only through
// the interfaces of interfaces.go.
package station

import (
	"crypto/sha256"
	"time"

	"github.com/google/uuid"

	"hallmark/devices"
	"hallmark/station/issuance"
	"hallmark/station/reason"
)

// Ending is how a Run ended.
type Ending = reason.Ending

// The endings of a Run.
const (
	Pass    = reason.Pass
	Reject  = reason.Reject
	Fault   = reason.Fault
	Aborted = reason.Aborted
)

// Run is one attempt on one board. Each part is written by exactly one step
// and is nil (zero) until then; a step whose part is there is skipped.
type Run struct {
	ID       uuid.UUID
	Bay      string
	Operator string
	Order    string          // work order, may be empty
	Rework   string          // reason of a rework, empty for a first enrolment
	Purpose  devices.Purpose // of the key that is certified

	Identity    *devices.Identity        // identify
	Admitted    bool                     // identify: the registry opened the Run's record
	TLSKeyProof []byte                   // identify: for another key than TLS, DER of the board's active TLS certificate
	Nonce       *[devices.NonceSize]byte // request
	CSR         []byte                   // request, PKCS#10 DER
	Grant       *issuance.Grant          // check; never leaves the process
	Certificate *issuance.Certificate    // sign
	Written     bool                     // write
	Boot        *devices.BootID          // reset: the boot id after it
	ReadBack    *[sha256.Size]byte       // read back: SHA-256 of what the board holds
	Handshake   *Presented               // handshake: with TLSKeyProof if there is a proof, else with Certificate
	RecordedAt  time.Time                // record
	Sealed      bool                     // lock

	Started  time.Time
	Finished time.Time
	Ending   Ending // empty while it runs
	Reason   string // one word or hyphenated words, same in test, audit log and screen; empty for Pass
	Err      error  // what Reason stands for; at a Pass nil, or what went wrong after the verdict, such as a port that did not close
	StopBay  bool   // a clone or a known identity was seen: the bay waits for an operator (I4)
	Steps    []StepTime
	Wire     devices.WireCount
	Console  []byte
}

// shown gives the certificate that the board presents in the handshake.
func (r *Run) shown() []byte {
	if r.TLSKeyProof != nil {
		return r.TLSKeyProof
	}
	return r.Certificate.DER
}

// StepTime is one finished step of a Run.
type StepTime struct {
	Name    string
	Took    time.Duration
	Outside time.Duration // the part spent waiting for board and wire
	Retries int
}

// EventKind says what happened to a step or a Run.
type EventKind string

// The kinds of events.
const (
	RunStarted  EventKind = "run-started"
	StepStarted EventKind = "step-started"
	StepEnded   EventKind = "step-ended"
	RunEnded    EventKind = "run-ended"
)

// Event tells an observer (screen, progress line, report) what happened. It is
// disposable: the evidence is in the audit log before an Event is sent.
type Event struct {
	Kind EventKind
	At   time.Time
	Run  uuid.UUID
	Bay  string
	Step string // name of the step for step events
	Snap Run    // copy of the Run; its slices and pointers must not be changed
}
