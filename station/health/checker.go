// Package health checks a station part by part. Each check uses the part in the same way as
// a Run. A check opens the part that it checks and leaves the part open. The checks at
// the start of a shift therefore also open the station. After a failed check, the operator
// corrects the problem and repeats the checks.
package health

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"sync"

	"hallmark/devices/serial"
	"hallmark/hsm"
	"hallmark/station/instance"
	"hallmark/station/issuance"
	"hallmark/station/webhook"
	"hallmark/station/workdir"
)

// Check is one line of the table of checks.
type Check struct {
	Name    string
	State   State
	Finding string
	Word    string   // names the finding for a catalogue of texts in other languages; empty: there is no such text
	Values  []any    // of the finding, for the text of Word
	Rows    []string // further lines of the finding
	Next    string   // what to do when the check failed
	Err     error    // of a check that failed
}

// State is how a check ended.
type State string

// The states of a check.
const (
	OK   State = "ok"
	Warn State = "warn" // the part works, but needs attention soon
	Fail State = "fail"
	None State = "none" // not checked, because a part that the check needs has failed
)

// errNotChecked: a part that the check needs is not open.
var errNotChecked = errors.New("not checked: what it needs has failed above")

// A part is a part of a station, open or not. get returns the value only if the part is open.
type part[T any] struct {
	value T
	open  bool
}

func (p *part[T]) get() (T, error) {
	if !p.open {
		return p.value, errNotChecked
	}
	return p.value, nil
}

func (p *part[T]) set(value T) { p.value, p.open = value, true }

// orOpen returns the value of the part. It opens the part first if the part is not open.
func (p *part[T]) orOpen(open func() (T, error)) (T, error) {
	if p.open {
		return p.value, nil
	}
	value, err := open()
	if err == nil {
		p.set(value)
	}
	return p.value, err
}

// A Checker checks one station. The checks may be repeated. A part that a check opened stays
// open for the next checks.
type Checker struct {
	dir     workdir.Dir
	options instance.Options
	ports   []string                                 // nil: all ports that are found
	bays    []instance.BaySpec                       // of a shift
	boards  *instance.BoardSource                    // of a shift; nil for `station doctor`
	ready   func(*instance.Instance) (string, error) // nil for `station doctor`, which starts no Runs

	opening  sync.Mutex // covers the parts and pin
	files    part[*instance.Files]
	record   part[*instance.Record]
	keys     part[*instance.Keys]
	audit    part[crypto.Signer]
	issuer   part[*issuance.Issuer]
	endpoint part[*instance.Endpoint]
	begun    part[string]  // finding of ready
	pin      hsm.PINSource // nil: the configured PIN source

	work sync.WaitGroup // checks and logins
	mu   sync.Mutex     // covers left and work.Add
	left bool           // after Leave: no checks and logins begin any more
}

// New makes a Checker for a station that is not open. Close closes the parts that the checks opened.
func New(dir workdir.Dir, ports []string) *Checker { return &Checker{dir: dir, ports: ports} }

// ForShift makes a Checker for a station whose registry is open. When all parts are open, the
// last check calls ready with the instance, and ready lets Runs begin. prompt says that an
// operator will type the PIN; until then the HSM cannot be opened.
func ForShift(record *instance.Record, prompt bool, ready func(*instance.Instance) (finding string, err error)) *Checker {
	c := &Checker{dir: record.Dir, ready: ready}
	c.files.set(record.Files)
	c.record.set(record)
	if prompt {
		c.pin = notTyped
	}
	return c
}

// Examine makes the check "ports" look at the ports of these bays, instead of all ports of the machine. The caller calls it
// before the first checks.
func (c *Checker) Examine(bays []instance.BaySpec, boards *instance.BoardSource) {
	c.bays, c.boards = bays, boards
}

// Record returns the open registry, and whether a check has opened the registry.
func (c *Checker) Record() (*instance.Record, bool) {
	c.opening.Lock()
	defer c.opening.Unlock()
	return c.record.value, c.record.open
}

// Close closes the parts that the checks opened. Only a Checker from New needs Close.
func (c *Checker) Close() error {
	c.Leave()
	if files, err := c.files.get(); err == nil {
		return files.Close()
	}
	return nil
}

// RunChecks does the checks in their order, and sends each check when the check has ended. It
// closes the channel after the last check, or when ctx is done.
func (c *Checker) RunChecks(ctx context.Context) <-chan Check {
	checks := make(chan Check)
	if !c.enter() {
		close(checks)
		return checks
	}
	go func() {
		defer c.work.Done()
		defer close(checks)
		c.opening.Lock() // waits for an earlier RunChecks, which ends when its ctx ends
		defer c.opening.Unlock()
		for _, one := range c.checks() {
			if one.only != nil && !one.only() {
				continue
			}
			select {
			case checks <- one.do(ctx):
			case <-ctx.Done():
				return
			}
		}
	}()
	return checks
}

// enter reports whether checks or a login may begin. If so, the caller calls work.Done at the end.
func (c *Checker) enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.left {
		c.work.Add(1)
	}
	return !c.left
}

// Leave waits for the end of all checks and logins. The caller has cancelled their contexts.
// After Leave no checks and no logins begin any more.
func (c *Checker) Leave() {
	c.mu.Lock()
	c.left = true
	c.mu.Unlock()
	c.work.Wait()
}

// A finding is what a check found: a text in English, and the word and the values with which a catalogue says the same.
type finding struct {
	text   string
	word   string
	values []any
}

func said(word, text string, values ...any) finding { return finding{text, word, values} }

// A check is one line of the list of checks.
type check struct {
	name  string
	next  string // what to do when the check fails
	prove func(context.Context) (found finding, rows []string, err error)
	only  func() bool // whether this station has what the check looks at; nil: each station has it
}

// do does one check. A panic makes the check fail.
func (c check) do(ctx context.Context) (result Check) {
	result = Check{Name: c.name, State: OK}
	defer func() {
		if value := recover(); value != nil {
			result.State, result.Finding, result.Next = Fail, fmt.Sprintf("panic: %v", value), c.next
		}
	}()
	found, rows, err := c.prove(ctx)
	result.Finding, result.Word, result.Values, result.Rows = found.text, found.word, found.values, rows
	switch {
	case errors.Is(err, errNotChecked):
		result.State, result.Finding = None, err.Error()
	case errors.Is(err, instance.ErrEnding), errors.Is(err, instance.ErrIssuingEnding), errors.Is(err, instance.ErrLowRoom), errors.Is(err, instance.ErrWitness), errors.Is(err, instance.ErrNoAnchors), errors.Is(err, errNotPlugged), errors.Is(err, errPlaces), errors.Is(err, webhook.ErrNotTaken):
		result.State, result.Finding, result.Next = Warn, err.Error(), c.next
	case errors.Is(err, errOCSP): // the finding names the command; c.next is for the verifier's certificate
		result.State, result.Finding = Warn, err.Error()
	case errors.Is(err, instance.ErrActsUnsigned): // the log verifies, so c.next is not the next action
		result.State, result.Finding, result.Rows, result.Next, result.Err = Fail, err.Error(), nil, instance.ErrActsUnsigned.Row().Next, err
	case errors.Is(err, errBays):
		result.State, result.Finding, result.Next, result.Err = Fail, err.Error(), c.next, err
	case err != nil:
		result.State, result.Finding, result.Rows, result.Next, result.Err = Fail, err.Error(), nil, c.nextAfter(err), err
	}
	return result
}

// nextAfter gives the next action after an error. Plugging and unplugging does not help a user who may not open the port.
func (c check) nextAfter(err error) string {
	if errors.Is(err, serial.ErrDenied) {
		return serial.ErrDenied.Row().Next
	}
	return c.next
}

// simple makes a prove function without rows.
func simple(prove func(context.Context) (finding, error)) func(context.Context) (finding, []string, error) {
	return func(ctx context.Context) (finding, []string, error) {
		found, err := prove(ctx)
		return found, nil, err
	}
}

func (c *Checker) checks() []check {
	all := []check{
		{"configuration", "correct the file; `station init` made it from --config", simple(c.checkFiles), nil},
		{"disk", "free some space, or lower minimum_free_mib in station.yaml", simple(c.checkDisk), nil},
		{"registry", "do as it says; do not remove registry.db", simple(c.checkRegistry), nil},
		{"profiles", "adopt the edited profile with `station profile adopt FILE`, or put the adopted one back", simple(c.checkProfiles), nil},
		{"clock", "set the clock right; evidence must be in order", simple(c.checkClock), nil},
		{"certificates", "make a new one with `station renew-verifier`, or restore pki/ from its backup", simple(c.checkCertificates), nil},
		{"issuing CA", "adopt a profile with a shorter validity (`station profile adopt FILE`), or have a new issuing CA signed", simple(c.checkIssuingEnd), nil},
		{"HSM", "check that the HSM is connected and the PIN source is right", simple(c.checkHSM), nil},
		{"issuing key", "compare the token's keys with `pkcs11-tool --list-objects`", simple(c.checkIssuingKey), nil},
		{"audit key", "compare the token's keys with `pkcs11-tool --list-objects`", simple(c.checkAuditKey), nil},
		{"key policy", "use keys that were made in the token and never left it", simple(c.checkKeyPolicy), nil},
		{"audit log", "stop the line and keep a copy of the directory: evidence does not verify", simple(c.checkAuditLog), nil},
		{"witnesses", "look at url, key and ca of the witness and at anchors in station.yaml, and at the network; the line goes on meanwhile", c.checkWitnesses, nil},
		{"webhooks", webhook.ErrNotTaken.Row().Next, c.checkWebhooks, c.hasWebhooks},
		{"verifier", "check verifier.listen and network.listen in station.yaml, and pki/verifier.pem", simple(c.checkEndpoint), nil},
		{"self-test", "do not enrol boards: the verifier does not refuse what it must", c.selfTest, nil},
		{"bays", "correct the bay in station.yaml or its board definition, install what is missing, or plug in what is not there", c.checkBays, c.hasBays},
		{"ports", "plug in what is not there, correct the name, or end the program that uses the port", simple(c.checkPorts), nil},
	}
	if c.ready == nil {
		return all
	}
	return append(all, check{"line", "correct what failed above, then check again", simple(c.begin), nil})
}

// begin is the last check of a shift. It assembles the open parts to an instance, and calls ready.
func (c *Checker) begin(context.Context) (finding, error) {
	keys, noKeys := c.keys.get()
	audit, noAudit := c.audit.get()
	issuer, noIssuer := c.issuer.get()
	endpoint, noEndpoint := c.endpoint.get()
	if errors.Join(noKeys, noAudit, noIssuer, noEndpoint) != nil {
		return finding{}, errNotChecked
	}
	text, err := c.begun.orOpen(func() (string, error) {
		i, err := instance.Assemble(keys, audit, issuer, endpoint)
		if err != nil {
			return "", err
		}
		return c.ready(i)
	})
	return said("line", text), err
}
