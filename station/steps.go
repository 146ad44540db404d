package station

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"hallmark/devices"
)

// A Step is one step of a Run. The screen shows a box for each step, and the audit log uses
// the name of the step.
type Step struct {
	Name string
	// Done reports whether the Run already holds the result of this step. The step is
	// then skipped. nil: the step is never skipped.
	Done func(*Run) bool
	// When reports whether the configuration asks for this step; nil: always.
	When func(*Config) bool
	// Here reports whether this bay and this Run have the step; nil: always.
	Here func(*attempt) bool
	// Bound is the time-out if the configuration does not name one; 0: Timeouts.Step.
	Bound time.Duration
	// Extra is added to the time-out: what the bay's programmer may take; nil: nothing.
	Extra func(*attempt) time.Duration
	// Last says that the step belongs only to the Run for the last purpose, when the
	// board has all its certificates.
	Last bool
	// Committed says that a drain does not cut this step. Before sign, a drain keeps the step
	// from beginning.
	Committed bool

	do func(*attempt, context.Context) error
}

// allSteps are the steps of a Run, in order. The screen, the reports and the fault sweep read this list.
var allSteps = []Step{
	{Name: "flash", Done: func(r *Run) bool { return r.Flash != nil }, Here: (*attempt).flashes, Committed: true, Bound: 2 * time.Minute, Extra: (*attempt).flashLimit,
		When: func(c *Config) bool { return c.Flash }, do: (*attempt).flash},
	{Name: "identify", Extra: (*attempt).proofLimit, do: (*attempt).identify}, // never skipped: a swapped board must not get the certificate of another board
	{Name: "request", Done: func(r *Run) bool { return r.CSR != nil }, do: (*attempt).request},
	{Name: "check", Done: func(r *Run) bool { return r.Grant != nil || r.Certificate != nil }, do: (*attempt).check},
	{Name: "sign", Done: func(r *Run) bool { return r.Certificate != nil }, Committed: true, do: (*attempt).sign},
	{Name: "write", Done: func(r *Run) bool { return r.Written }, Committed: true, do: (*attempt).write},
	{Name: "reset", Done: func(r *Run) bool { return r.Boot != nil }, Committed: true, do: (*attempt).reset},
	{Name: "read back", Done: func(r *Run) bool { return r.ReadBack != nil }, Committed: true, do: (*attempt).readBack},
	{Name: "handshake", Done: func(r *Run) bool { return r.Handshake != nil }, Committed: true, do: (*attempt).handshake},
	{Name: "record", Done: func(r *Run) bool { return !r.RecordedAt.IsZero() }, Committed: true, do: (*attempt).record},
	{Name: "lock", Done: func(r *Run) bool { return r.Locked }, Last: true, Committed: true, Bound: time.Minute, Extra: (*attempt).lockLimit,
		When: func(c *Config) bool { return c.Seal || c.LockDebugPort }, do: (*attempt).lock},
}

// stepNames returns the names of all steps, configured or not.
func stepNames() map[string]bool {
	names := map[string]bool{}
	for _, step := range allSteps {
		names[step.Name] = true
	}
	return names
}

// Steps returns the names of the steps that this configuration asks for, in order.
func (c *Config) Steps() []string {
	var names []string
	for _, step := range configured(allSteps, c) {
		names = append(names, step.Name)
	}
	return names
}

// configured picks the steps that the configuration asks for. The list is a parameter:
// a function that names allSteps must not be reachable from a step, because Go refuses
// such an initialisation cycle.
func configured(steps []Step, c *Config) []Step {
	var picked []Step
	for _, step := range steps {
		if step.When == nil || step.When(c) {
			picked = append(picked, step)
		}
	}
	return picked
}

// checkCaller checks the caller for which TF-M derived the key. Another caller gets
// another identity, so a configuration can name the callers that it expects.
func (s *Station) checkCaller(id *devices.Identity) error {
	if !id.HUK.HasCaller() {
		return nil
	}
	if devices.DummyOfCaller(id.ID, id.Caller) && !s.huk[devices.HUKTFMDummy] {
		return fmt.Errorf("%w: TF-M dummy provisioning, caller %d", ErrDummyIdentity, id.Caller)
	}
	if want := s.config.Callers; len(want) > 0 && !slices.Contains(want, id.Caller) {
		return &IdentityError{Kind: ErrIdentityABI, Got: int64(id.Caller), Want: fmt.Sprintf("one of the TF-M callers %v", want)}
	}
	return nil
}

// maxHashes is how many hashes of a list a text names.
const maxHashes = 4

// hashes names the hashes of a list, for people.
func hashes(list [][sha256.Size]byte) string {
	var texts []string
	for _, sum := range list[:min(len(list), maxHashes)] {
		texts = append(texts, hex.EncodeToString(sum[:]))
	}
	if more := len(list) - len(texts); more > 0 {
		texts = append(texts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(texts, ", ")
}

// checkIdentity checks the board's identity, before the station asks the board for anything else.
func (s *Station) checkIdentity(id *devices.Identity, purpose devices.Purpose) error {
	if id.ABI != devices.IdentityABI {
		return &IdentityError{Kind: ErrIdentityABI, Got: int64(id.ABI), Want: "1"}
	}
	if !s.huk[id.HUK] {
		return &IdentityError{Kind: ErrUntrustedHUK, Got: int64(id.HUK), Want: s.hukText}
	}
	if id.Algorithm != devices.AlgorithmP256 {
		return fmt.Errorf("%w: %q, want %s", ErrAlgorithm, id.Algorithm, devices.AlgorithmP256)
	}
	// A dummy identity stops the bay (I4). This check therefore comes before the checks
	// whose refusals another firmware image would repair.
	if origin, dummy := devices.KnownDummy(id.ID, nil); dummy && !s.huk[devices.HUKTFMDummy] {
		return fmt.Errorf("%w: %s", ErrDummyIdentity, origin)
	}
	if err := s.checkCaller(id); err != nil {
		return err
	}
	if !id.Can.Has(devices.CanProvision) {
		return devices.ErrProductImage
	}
	if allow := s.config.FirmwareAllow; len(allow) > 0 && !slices.Contains(allow, id.FirmwareHash) {
		return fmt.Errorf("%w: version %s, the board reports %x; boards.firmware_allow has %s", ErrFirmware, id.Firmware, id.FirmwareHash, hashes(allow))
	}
	if !id.Purposes.Has(purpose) {
		return ErrNoPurpose
	}
	if s.config.NetworkSessions != nil && !id.Can.Has(devices.CanNet) {
		return devices.ErrNoNetHandshake
	}
	if s.config.RequireReceipt && !id.Can.Has(devices.CanReceipt) {
		return devices.ErrNoReceipt
	}
	return nil
}
