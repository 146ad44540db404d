package station

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"sort"
	"strings"
	"time"

	"github.com/google/uuid"

	"hallmark/devices"
	"hallmark/station/issuance"
)

// Config is what New needs. It must not be changed afterwards.
type Config struct {
	Issuer          Issuer
	Registry        Registry
	Known           Known
	Verifier        Verifier
	NetworkSessions NetworkSessions // for handshakes over the board's own network; nil: handshakes go over the UART

	// Keys are the keys of a board that are certified, in this order. The TLS key is
	// the first, because it attests the others.
	Keys   []Key
	Anchor []byte // DER of the trust anchor that boards get, 1 to 1024 octets
	Chain  []byte // DER of the issuing CA certificate, empty when the anchor issues directly

	// AllowedHUK lists the accepted sources of the hardware unique key; empty
	// means TF-M and vendor libraries. Listing HUKTFMDummy also allows the
	// publicly known identities, so it is for demonstrations only.
	AllowedHUK []devices.HUKSource
	// Callers are the owners of TF-M keys that boards may report; empty means any.
	Callers []int32
	Seal    bool // do the step lock, in the Run for the last of Keys: the board accepts no write any more
	// Flash says that some bays have a debug port with an image to flash, so that Runs have the step flash.
	Flash bool
	// ReadFirmware has the probe read the firmware of each board in the step flash. Otherwise a board that says that it runs the image
	// is believed.
	ReadFirmware bool
	// RequireReceipt refuses boards that do not offer a receipt, before anything is signed for them.
	RequireReceipt bool
	// LockDebugPort says that the step lock also closes the board's debug port, in each bay.
	LockDebugPort bool
	// RenewBefore is how long before the end of a board's active certificate a Run gives the board a
	// new one; 0: never.
	RenewBefore time.Duration
	// FirmwareAllow lists SHA-256 values of firmware images as boards report them; empty: any image.
	FirmwareAllow [][sha256.Size]byte

	Timeouts Timeouts
	Events   func(Event) // called in order for each Run, from the Run's goroutine; must not block. May be nil
	Now      func() time.Time
	Random   io.Reader // for nonces and Run ids; safe for concurrent use
}

// A Key is one key of a board that this station certifies.
type Key struct {
	Purpose devices.Purpose
	Subject devices.Subject // asked of each board for its CSR
}

// KeyOf returns the key that a profile certifies.
func KeyOf(p *issuance.Profile) Key {
	return Key{p.Purpose(), devices.Subject{Organization: p.Organization(), OrganizationalUnit: p.OrganizationalUnit()}}
}

// Timeouts bound each wait. Zero values mean the defaults.
type Timeouts struct {
	// Run bounds one whole Run, default 3 minutes, and as much more as the bay's programmer may take to flash and to lock (DebugSetup).
	Run time.Duration
	// Step bounds each step that Named does not name, default 30 s; flash 2 minutes and lock 1 minute, each with the time of the programmer.
	Step  time.Duration
	Ask   time.Duration            // until a board that may have no firmware counts as silent, default 2 s; five times that if there is firmware
	Boot  time.Duration            // from a reset by the probe to the first answer, default 20 s
	Close time.Duration            // closing a Run's record, whatever happened before, default 10 s
	Named map[string]time.Duration // by the name of the step
}

// A Station enrols boards. Its methods are safe for concurrent use.
type Station struct {
	config   Config
	steps    []Step
	huk      map[devices.HUKSource]bool
	hukText  string
	draining context.Context // done after Drain
	drain    context.CancelFunc
	probes   *probes // of all bays
}

// New checks the configuration and makes a Station.
func New(c Config) (*Station, error) {
	if err := c.complete(); err != nil {
		return nil, fmt.Errorf("configuring the station: %w", err)
	}
	c.defaults()
	s := &Station{config: c, steps: configured(allSteps, &c), huk: map[devices.HUKSource]bool{}, probes: newProbes()}
	var sources []string
	for _, source := range c.AllowedHUK {
		s.huk[source] = true
		sources = append(sources, fmt.Sprint(uint8(source)))
	}
	s.hukText = "one of " + strings.Join(sources, " ")
	s.draining, s.drain = context.WithCancel(context.Background())
	return s, nil
}

func (c *Config) complete() error {
	for part, missing := range map[string]bool{
		"Issuer": c.Issuer == nil, "Registry": c.Registry == nil, "Known": c.Known == nil,
		"Verifier": c.Verifier == nil, "Now": c.Now == nil, "Random": c.Random == nil, "Anchor": len(c.Anchor) == 0,
	} {
		if missing {
			return fmt.Errorf("%s is not set", part)
		}
	}
	if err := inOrder(c.Keys); err != nil {
		return err
	}
	known := stepNames()
	for name, bound := range c.Timeouts.Named {
		if !known[name] {
			return fmt.Errorf("time-out for a step %q that does not exist (want %s)", name, sortedNames(known))
		}
		if bound <= 0 {
			return fmt.Errorf("time-out %v of step %q is not positive", bound, name)
		}
	}
	return nil
}

func inOrder(keys []Key) error {
	if len(keys) == 0 || keys[0].Purpose != devices.PurposeTLS {
		return fmt.Errorf("Keys are %v: want %s first, which attests the others", keys, devices.PurposeTLS)
	}
	seen := map[devices.Purpose]bool{}
	for _, key := range keys {
		if key.Purpose.Number() < 0 || seen[key.Purpose] {
			return fmt.Errorf("purpose %q is unknown, or there twice", key.Purpose)
		}
		seen[key.Purpose] = true
	}
	return nil
}

func (c *Config) defaults() {
	orDefault(&c.Timeouts.Run, 3*time.Minute)
	orDefault(&c.Timeouts.Step, 30*time.Second)
	orDefault(&c.Timeouts.Ask, 2*time.Second)
	orDefault(&c.Timeouts.Boot, 20*time.Second)
	orDefault(&c.Timeouts.Close, 10*time.Second)
	if len(c.AllowedHUK) == 0 {
		c.AllowedHUK = []devices.HUKSource{devices.HUKTFM, devices.HUKVendor}
	}
	if c.Events == nil {
		c.Events = func(Event) {}
	}
}

func orDefault(d *time.Duration, value time.Duration) {
	if *d <= 0 {
		*d = value
	}
}

func sortedNames(set map[string]bool) string {
	var names []string
	for name := range set {
		names = append(names, name)
	}
	sort.Strings(names)
	return strings.Join(names, ", ")
}

// Drain ends the work of the station. A Run that has not reached sign ends as Aborted at
// once. A Run that has reached sign goes to its end, within its own time-out. No new Run
// begins. Drain returns at once and may be called again. To stop every Run at once, cancel
// the context of Enrol.
func (s *Station) Drain() { s.drain() }

// keyOf finds the configured key for the Run's purpose.
func (s *Station) keyOf(run *Run) (Key, error) {
	for _, key := range s.config.Keys {
		if key.Purpose == run.Purpose {
			return key, nil
		}
	}
	return Key{}, fmt.Errorf("%w: %q", errPurpose, run.Purpose)
}

// NewRun makes a Run for the TLS key with a fresh random id.
func (s *Station) NewRun(bay, operator string) (*Run, error) {
	id, err := uuid.NewRandomFromReader(s.config.Random)
	if err != nil {
		return nil, fmt.Errorf("drawing a Run id: %w", withComponent(ErrRandom, err))
	}
	return &Run{ID: id, Bay: bay, Operator: operator, Purpose: devices.PurposeTLS}, nil
}
