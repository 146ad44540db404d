package sweep_test

import (
	"testing"

	"hallmark/station"
)

// wireBudget is the limit for the octets of a whole Run of a new board, both directions
// together. They take 0.57 s at 115200 8N1.
const wireBudget = 6500

func TestARunStaysWithinTheOctetBudget(t *testing.T) {
	w := newEnvironment(t, newFactory(t))
	w.neverSeal = true
	run := w.runStation(&crashPoint{}, "")
	if run.Ending != station.Pass {
		t.Fatalf("the Run ends as %s: %v", run.Ending, run.Err)
	}
	if total := run.Wire.Sent + run.Wire.Received; total > wireBudget || run.Wire.Retries != 0 {
		t.Errorf("%d octets sent, %d received, %d retries; want %d octets at most", run.Wire.Sent, run.Wire.Received, run.Wire.Retries, wireBudget)
	}
	for _, step := range run.Steps {
		t.Logf("%-10s %v, of it %v outside", step.Name, step.Took, step.Outside)
	}
	t.Logf("%d octets sent, %d received", run.Wire.Sent, run.Wire.Received)
}
