package station_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"hallmark/station"
)

func TestABoardThatIsDoneIsNotErased(t *testing.T) {
	since := time.Date(2026, 11, 20, 10, 30, 0, 0, time.UTC)
	for _, test := range []struct {
		name    string
		prepare func(w *fakes)
	}{
		{"it answers with other firmware", func(w *fakes) { w.silent, w.port.image = false, [32]byte{2} }},
		{"it answers late, with other firmware", func(w *fakes) {
			w.port.image = [32]byte{2}
			w.hook = func(call string) error { w.silent = w.silent && call != "Target"; return nil }
		}},
		{"it is silent, and its store holds an active certificate", func(w *fakes) { w.holds(w.certificate); w.registered(w.certificate) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := withPort(t)
			test.prepare(w)
			w.done[w.identity.ID] = since
			run := w.enrol(t.Context(), w.locking())
			if run.Ending != station.Reject || run.Reason != "done-before" || slices.Contains(w.calls, "Flash") ||
				!strings.Contains(run.Err.Error(), "was done at 2026-11-20T10:30:00Z: take it out") {
				t.Errorf("ending %s %q: %v; calls %v", run.Ending, run.Reason, run.Err, w.calls)
			}
		})
	}
}

func TestACutFlashNeedsFlashUntilTheNextRun(t *testing.T) {
	w := withPort(t)
	s := w.locking()
	w.port.cut = errProbeLost
	run := w.enrol(t.Context(), s)
	if run.Ending != station.Fault || run.Reason != "needs-flash" || !errors.Is(run.Err, errProbeLost) || run.Flash != nil {
		t.Errorf("ending %s %q: %v", run.Ending, run.Reason, run.Err)
	}
	w.port.cut = nil
	if again := w.enrol(t.Context(), s); again.Ending != station.Pass || again.Flash.Held {
		t.Errorf("the next Run ends as %s: %v; flash %+v", again.Ending, again.Err, again.Flash)
	}
}

// A programmer may erase a locked chip when it connects. The board was not locked by this station's hand before, and it
// needs flash, also if an operator stops the Run.
func TestAChipThatAQuestionErasedIsNamedAndOnRecord(t *testing.T) {
	for name, silent := range map[string]bool{"a board that answers": false, "a silent board": true} {
		t.Run(name, func(t *testing.T) {
			w := withPort(t)
			w.silent = silent
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			w.hook = func(call string) error {
				if call != "Target" {
					return nil
				}
				cancel()
				return fmt.Errorf("asking the probe: %w: %w", errErased, station.ErrNeedsFlash)
			}
			run := w.enrol(ctx, w.locking())
			if run.Ending != station.Fault || run.Reason != "chip-erased" || !slices.Contains(w.calls, "Close") || (run.Identity == nil) != silent {
				t.Errorf("ending %s %q of %+v: %v; calls %v", run.Ending, run.Reason, run.Identity, run.Err, w.calls)
			}
		})
	}
}

func TestAFlashThatTheOperatorCutsIsNamed(t *testing.T) {
	w := withPort(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w.port.cut = context.Canceled
	s := w.locking(func(c *station.Config) {
		c.Events = func(e station.Event) {
			if e.Progress.Percent() == 50 {
				cancel()
			}
		}
	})
	if run := w.enrol(ctx, s); run.Ending != station.Fault || run.Reason != "needs-flash" {
		t.Errorf("ending %s %q: %v", run.Ending, run.Reason, run.Err)
	}
}

func TestADrainLetsAFlashGoToItsEnd(t *testing.T) {
	w := withPort(t)
	s := w.locking()
	w.hook = func(call string) error {
		if call == "Flash" {
			s.Drain()
		}
		return nil
	}
	run := w.enrol(t.Context(), s)
	if run.Ending != station.Aborted || run.Reason != "draining" || w.port.image != provisioning || slices.Contains(w.calls, "Sign") {
		t.Errorf("ending %s %q: %v; calls %v", run.Ending, run.Reason, run.Err, w.calls)
	}
}
