package registry

import (
	"slices"
	"testing"

	"hallmark/station"
	"hallmark/station/audit"
)

// The filter by a work order selects all entries of its Runs: most of them do not carry the order.
func TestAWorkOrderSelectsTheEntriesOfItsRuns(t *testing.T) {
	b := newTestRegistry(t)
	b.must(b.OpenOrder(t.Context(), NewOrder{ID: "WO-1", Product: "sensor", Quota: 2}, "ann"))
	ordered := newRun([16]byte{1}, "hw-1")
	ordered.Order = "WO-1"
	for _, run := range []*station.Run{ordered, newRun([16]byte{2}, "hw-2")} {
		b.must(b.Admit(t.Context(), run))
		in := intent(run)
		b.must(b.intends(in))
		b.must(b.Issued(t.Context(), in.Serial, []byte(run.ID.String())))
		run.Certificate = certificateFor(in.Serial, []byte(run.ID.String()))
		b.must(b.Delivered(t.Context(), proven(run)))
		b.must(b.Activate(t.Context(), run))
	}
	var types []string
	b.must(b.EachEntry(t.Context(), b.AuditSize(), Selection{Order: "WO-1"}, func(e *audit.Entry, _ []byte) error {
		if e.Run != nil && e.Run.ID != ordered.ID.String() {
			t.Errorf("entry %d is of Run %s", e.Seq, e.Run.ID)
		}
		types = append(types, e.Type)
		return nil
	}))
	for _, want := range []string{"order.opened", "board.admitted", "cert.issue.intent", "cert.issued", "cert.activated"} {
		if !slices.Contains(types, want) {
			t.Errorf("there is no %s in %v", want, types)
		}
	}
}
