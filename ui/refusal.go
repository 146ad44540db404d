package ui

import (
	"context"
	"errors"

	"hallmark/station"
)

// Refusals that implementations of Needs may wrap; the catalogue has words for them.
var (
	ErrUnknownBadge = errors.New("badge is not known")
	ErrBusy         = errors.New("bay is running")
	ErrHSMAway      = errors.New("HSM is away")
	ErrPINRefused   = errors.New("PIN refused")
	ErrPINLast      = errors.New("PIN on its final try")
	ErrPINLocked    = errors.New("PIN locked")
)

// What the program returns when the screen itself gave way; Runs go on.
var ErrScreen = errors.New("the screen gave way: use --plain")

// words says an error in the operator's language where it has a name, otherwise as it is.
func (m Model) words(err error) string {
	for _, row := range []struct {
		err error
		key string
	}{
		{ErrUnknownBadge, "refused.badge"}, {ErrBusy, "refused.busy"}, {ErrHSMAway, "refused.hsm"}, {ErrPINRefused, "refused.pin"},
		{ErrPINLast, "refused.pinlast"}, {ErrPINLocked, "refused.pinlocked"},
		{station.ErrUnknownOrder, "refused.order"}, {station.ErrQuota, "refused.quota"}, {station.ErrDraining, "refused.draining"},
		{station.ErrBayStopped, "refused.stopped"}, {station.ErrSwapped, "refused.swapped"}, {context.DeadlineExceeded, "refused.slow"},
	} {
		if errors.Is(err, row.err) {
			return m.t(row.key)
		}
	}
	return m.clean(err.Error())
}

// reason says why a Run did not pass. A reason that the catalogue does not have is shown as it is.
func (m Model) reason(ending station.Ending, reason string) string {
	if key := "reason." + reason; m.o.Texts.Has(key) {
		return m.t(key)
	}
	if reason == "" {
		return m.t("reason." + string(ending))
	}
	return m.clean(reason)
}

// nextAction says what the operator does now.
func (m Model) nextAction(bay int, ending station.Ending, reason string) string {
	return m.t(nextKey(ending, reason), m.bayKey(bay))
}

// nextKey finds the text of the next action. What is not listed follows the ending: a bad board is
// set aside, a fault is tried again.
func nextKey(ending station.Ending, reason string) string {
	switch reason {
	case "clone", "dummy-identity", "key-elsewhere", "bay-stopped":
		return "next.engineering"
	case "quota", "unknown-order":
		return "next.order"
	case "no-board":
		return "next.insert"
	case "swapped":
		return "next.swapped"
	case "draining":
		return "next.shift"
	case "scrapped":
		return "next.scrapped"
	case "timeout", "unresolved", "not-signed", "signing", "in-flight", "serial-taken", "restarted", "interrupted":
		if ending == station.Fault {
			return "next.again"
		}
	case "server-name", "server-untrusted", "server-expired", "server-not-yet", "server-no-tls", "server-no-agreement", "server-talks",
		"server-gone", "server-silent", "clock", "registry", "verifier", "random", "panic", "profile", "issuer-chain", "issuer-key", "outlives-issuer",
		"certificate-too-large", "grant-foreign", "grant-used", "bad-request", "already-active", "already-issued", "not-issued",
		"unknown-certificate", "huk-size", "object-size":
		if ending == station.Fault {
			return "next.fault"
		}
	}
	return map[station.Ending]string{station.Pass: "next.pass", station.Reject: "next.reject",
		station.Fault: "next.reseat", station.Aborted: "next.again"}[ending]
}
