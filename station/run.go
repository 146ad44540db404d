// Package station is the engine: it does the steps of a Run, in order, and decides how
// the Run ends. It talks to boards, HSM, registry and verifier only through the interfaces
// in interfaces.go.
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

// Outcome says what a Run that passed did for its board.
type Outcome string

// The outcomes of a Pass. Only Issued and Reworked count for a work order.
const (
	Issued    Outcome = "issued"    // this Run is the first that passed with the certificate
	Confirmed Outcome = "confirmed" // an earlier Run has passed with the certificate
	Reworked  Outcome = "reworked"  // as Issued, and the certificate replaces another one
)

// Run is one attempt to enrol one board. Exactly one step writes each part, and the part
// is nil (zero) until then. A step is skipped if its part is already there.
type Run struct {
	ID       uuid.UUID
	Bay      string
	Operator string
	Order    string          // work order, may be empty
	Rework   string          // reason of a rework, empty for a first enrolment
	Purpose  devices.Purpose // purpose of the key that is certified
	ScanBack bool            // after a Pass the bay waits for the label of the board

	Probe       *ProbeRecord             // flash, lock: the probe that did the work; nil if no probe was asked
	Flash       *FlashRecord             // flash; nil if the bay has no image to flash
	Identity    *devices.Identity        // identify
	Admitted    bool                     // identify: the registry opened the Run's record
	TLSKeyProof []byte                   // identify: for another key than TLS, DER of the board's active TLS certificate
	Nonce       *[devices.NonceSize]byte // request
	CSR         []byte                   // request, PKCS#10 DER
	Grant       *issuance.Grant          // check; never leaves the process
	Certificate *issuance.Certificate    // sign
	Written     bool                     // write
	Boot        *devices.BootID          // reset: boot id after the reset
	ReadBack    *[sha256.Size]byte       // read back: SHA-256 of the certificate in the board's flash
	StoreRead   *[sha256.Size]byte       // read back: SHA-256 of the same certificate as a probe read it; nil if no probe reads it
	Handshake   *Presented               // handshake: with TLSKeyProof if there is a proof, else with Certificate
	Receipt     []byte                   // handshake: COSE_Sign1 of the board over what it is and holds; nil: the board offers none
	RecordedAt  time.Time                // record
	Sealed      bool                     // lock: the board accepts no write any more
	Lock        *LockRecord              // lock: the debug port; nil if the station does not lock it
	Locked      bool                     // lock: the step is done

	Started  time.Time
	Finished time.Time
	Ending   Ending  // empty while it runs
	Outcome  Outcome // from the registry; empty unless Ending is Pass
	Reason   string  // reason word of package reason, the same in tests, audit log and screen; empty for Pass
	Err      error   // error behind Reason; at a Pass nil, or an error after the verdict, such as a port that did not close
	StopBay  bool    // a clone or a known identity was seen: the bay waits for an operator (I4)
	Steps    []StepTime
	Wire     devices.WireCount
	Console  []byte
}

// shown returns the certificate that the board presents in the handshake.
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
	StepMoved   EventKind = "step-moved" // Event.Progress or Event.Waits has changed
	StepEnded   EventKind = "step-ended"
	RunEnded    EventKind = "run-ended"
)

// Event tells an observer (screen, progress line, report) what happened. An Event may get
// lost, because the evidence is in the audit log before the Event is sent.
type Event struct {
	Kind     EventKind
	At       time.Time
	Run      uuid.UUID
	Bay      string
	Step     string // name of the step for step events
	Progress Progress
	Waits    Wait // what the step waits for; empty: the step says nothing about it
	Snap     Run  // copy of the Run; its slices and pointers must not be changed
}

// A Wait says what a step with a probe waits for.
type Wait string

// The waits.
const (
	WaitPort  Wait = "port"  // the port of the board may be written to
	WaitBoard Wait = "board" // the board says who it is
	WaitRead  Wait = "read"  // the probe reads the flash
	WaitFlash Wait = "flash" // the probe writes the image
	WaitStart Wait = "start" // the restarted board answers
	WaitProof Wait = "proof" // the probe restarts the board, to prove that the debug cable leads to it
	WaitLock  Wait = "lock"  // the probe closes the debug port
	WaitState Wait = "state" // the probe reads the state of the lock
)

// Progress says how far a step is, in octets. Total is 0 if the step does not say.
type Progress struct{ Done, Total int }

// Percent is from 0 to 100.
func (p Progress) Percent() int {
	if p.Total <= 0 {
		return 0
	}
	return min(max(int(int64(p.Done)*100/int64(p.Total)), 0), 100)
}
