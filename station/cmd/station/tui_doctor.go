package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"hallmark/hsm"
	"hallmark/ui"
)

// Examine implements ui.Doctor. The first examination of a shift opens what is not open
// yet, part by part, as `station doctor` does, and lets the line begin; one that
// failed leaves open what it could open, and the next one goes on from there.
func (d *desk) Examine(ctx context.Context) <-chan ui.Check {
	checks := make(chan ui.Check)
	if !d.enter() {
		close(checks)
		return checks
	}
	go func() {
		defer d.work.Done()
		defer close(checks)
		d.opening.Lock() // an examination that was left ends with its ctx
		defer d.opening.Unlock()
		for _, e := range d.list() {
			check := examined(ctx, e)
			select {
			case checks <- check:
			case <-ctx.Done():
				return
			}
		}
	}()
	return checks
}

// enter reports whether work on the bench may begin; it owes a work.Done then.
func (d *desk) enter() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.left {
		d.work.Add(1)
	}
	return !d.left
}

// leave waits for examinations and logins, whose contexts have ended with the screen's.
func (d *desk) leave() {
	d.mu.Lock()
	d.left = true
	d.mu.Unlock()
	d.work.Wait()
}

func (d *desk) list() []examination {
	p := &patient{bench: d.bench}
	return append(p.examinations(), examination{"line", "correct what failed above, then examine again", d.begin})
}

// begin comes last: with all parts open there is an engine, and Runs may begin.
func (d *desk) begin(context.Context) (string, error) {
	b := d.bench
	if b.audit == nil || b.issuer == nil || b.verifier == nil {
		return "", errNotExamined
	}
	if b.station == nil {
		if err := b.openEngine(d.line.events); err != nil {
			return "", err
		}
		d.line.ready()
	}
	return fmt.Sprintf("%d bays, %d steps", len(d.line.slots), len(b.station.Steps())), nil
}

// examined does one examination. A panic in it is a finding.
func examined(ctx context.Context, e examination) (check ui.Check) {
	check = ui.Check{Name: e.name, State: ui.CheckOK}
	defer func() {
		if value := recover(); value != nil {
			check.State, check.Finding, check.Next = ui.CheckFail, fmt.Sprintf("panic: %v", value), e.next
		}
	}()
	finding, err := e.do(ctx)
	check.Finding, _, _ = strings.Cut(finding, "\n") // rows are for the table of `station doctor`
	switch {
	case errors.Is(err, errNotExamined):
		check.State, check.Finding = ui.CheckNone, err.Error()
	case errors.Is(err, errEnding):
		check.State, check.Finding, check.Next = ui.CheckWarn, err.Error(), e.next
	case err != nil:
		check.State, check.Finding, check.Next = ui.CheckFail, err.Error(), e.next
	}
	return check
}

// Unlock implements ui.Opener: it logs in to the HSM with the PIN that was typed. A PIN that
// was refused is forgotten, and nothing tries it again.
func (d *desk) Unlock(ctx context.Context, pin []byte) error {
	if !d.enter() {
		return context.Canceled
	}
	defer d.work.Done()
	d.opening.Lock()
	defer d.opening.Unlock()
	if d.bench.token != nil {
		return nil
	}
	source, forget, err := hsm.EnteredPIN(pin)
	if err != nil {
		return err
	}
	d.bench.pin = source
	if err := d.bench.openToken(ctx); err != nil {
		forget()
		d.bench.pin = untyped
		return d.refused(ctx, err)
	}
	d.bench.later(func() error { forget(); return nil }) // before the token closes, which needs it no more
	return nil
}

// refused says what the operator has to know of a login that did not come about: after a wrong
// PIN also whether the token has tries left, as far as its flags tell (PKCS#11 v2.40
// section 3.2, CK_TOKEN_INFO).
func (d *desk) refused(ctx context.Context, err error) error {
	if errors.Is(err, hsm.ErrPINWrong) {
		if now := d.look(ctx); errors.Is(now, hsm.ErrPINLocked) || errors.Is(now, hsm.ErrPINAtRisk) {
			err = now
		}
	}
	for is, words := range map[error]error{hsm.ErrPINWrong: ui.ErrPINRefused, hsm.ErrPINLocked: ui.ErrPINLocked, hsm.ErrPINAtRisk: ui.ErrPINLast} {
		if errors.Is(err, is) {
			return fmt.Errorf("%w: %w", words, err)
		}
	}
	return err
}

// look opens the token as far as the login and gives no PIN.
func (d *desk) look(ctx context.Context) error {
	token, err := openToken(ctx, d.bench.state, d.bench.config, untyped, d.bench.log)
	if err == nil { // a token that asks for no PIN
		return closeToken(token)
	}
	return err
}
