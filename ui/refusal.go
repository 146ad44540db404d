package ui

import (
	"context"
	"errors"

	"hallmark/station"
	"hallmark/station/health"
	"hallmark/station/operate"
)

// Refusals that the catalogue has words for.
var (
	ErrUnknownBadge = operate.ErrUnknownBadge
	ErrBusy         = operate.ErrBusy
	ErrHSMAway      = operate.ErrHSMAway
	ErrPINRefused   = health.ErrPINRefused
	ErrPINLast      = health.ErrPINLast
	ErrPINLocked    = health.ErrPINLocked
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
