package operate

import (
	"testing"

	"hallmark/fixtures"
	"hallmark/station"
	"hallmark/station/registry"
)

// A person revokes, holds or scraps while the board's own Run is under way. That is no failure of the registry:
// the board is rejected with the reason of the person's act, and the batch goes on.
func TestABoardThatIsRefusedInTheMiddleOfItsRunIsRejectedAndTheBatchGoesOn(t *testing.T) {
	l := ready(t, "posix:1")
	which := func(run station.Run) registry.Which { return registry.Which{BoardID: run.Identity.ID} }
	revoke := func(reason string) func(station.Run) {
		return func(run station.Run) {
			all := fixtures.Must(l.record.Registry.Revocable(t.Context(), which(run), reason))(t)
			fixtures.Must(l.record.Registry.RevokeAll(t.Context(), which(run), registry.SeenOf(all), reason, "anna"))(t)
		}
	}
	hold := func(run station.Run) {
		all := fixtures.Must(l.record.Registry.Holdable(t.Context(), which(run), false))(t)
		fixtures.Must(l.record.Registry.Hold(t.Context(), which(run), registry.SeenBoards(all), "crack", "anna"))(t)
	}
	scrap := func(run station.Run) {
		all := fixtures.Must(l.record.Registry.Scrappable(t.Context(), which(run)))(t)
		fixtures.Must(l.record.Registry.Scrap(t.Context(), which(run), registry.SeenBoards(all), "burnt", "anna"))(t)
	}
	type refusal struct {
		after, want string // the step after which the person acts, and the reason of the Run
		act         func(station.Run)
	}
	var all []refusal
	for _, step := range []string{"sign", "read back", "handshake", "record"} {
		all = append(all, refusal{step, "revoked", revoke("superseded")}, refusal{step, "key-compromised", revoke(registry.ReasonKeyCompromise)},
			refusal{step, "held", hold}, refusal{step, "scrapped", scrap})
	}
	begun := 0
	l.events = func(e station.Event) {
		if e.Kind == station.RunStarted {
			begun++
		}
		if e.Kind == station.StepEnded && begun <= len(all) && all[begun-1].after == e.Step {
			all[begun-1].act(e.Snap)
		}
	}
	result := l.Enrol(t.Context(), Batch{Count: len(all) + 1})
	if result.Short != nil || len(result.Runs) != len(all)+1 {
		t.Fatalf("%d of %d boards were begun: %v", len(result.Runs), len(all)+1, result.Short)
	}
	for n, run := range result.Runs[:len(all)] {
		if run.Ending != station.Reject || run.Reason != all[n].want || run.Outcome != "" {
			t.Errorf("%s after %s: %s %q (%v)", all[n].want, all[n].after, run.Ending, run.Reason, run.Err)
		}
		if detail := fixtures.Must(l.Detail(t.Context(), run.ID))(t); detail.Run.Ending != run.Ending || detail.Run.Reason != run.Reason {
			t.Errorf("%s after %s: on record it is %s %q", all[n].want, all[n].after, detail.Run.Ending, detail.Run.Reason)
		}
	}
	if last := result.Runs[len(all)]; last.Ending != station.Pass {
		t.Errorf("the board behind them: %s %v", last.Ending, last.Err)
	}
}
