package registry

import (
	"bytes"
	"testing"

	"hallmark/station"
)

// I9: a second request with the same Key writes no row and no audit entry.
func TestAStoredCertificateAnswersAndNothingIsWritten(t *testing.T) {
	delivered := func(b *testRegistry, run *station.Run) { b.issue(run); b.must(b.Delivered(b.t.Context(), run)) }
	for _, test := range []struct {
		name   string
		rework string // of the Run that asks again
		before func(b *testRegistry, run *station.Run)
	}{
		{"the active one, at a first enrolment", "", func(b *testRegistry, run *station.Run) { delivered(b, run); b.must(b.Activate(b.t.Context(), run)) }},
		{"one that was issued and never delivered", "", func(b *testRegistry, run *station.Run) { b.issue(run) }},
		{"one that was delivered and never activated", "", delivered},
		{"what a rework was given and never recorded, at the next rework", "antenna replaced", delivered},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newTestRegistry(t)
			b.must(b.OpenOrder(t.Context(), "WO-1", "sensor", 1, "ann"))
			run := newRun([16]byte{1}, "hw")
			run.Order, run.Rework = "WO-1", test.rework
			b.must(b.Admit(t.Context(), run))
			test.before(b, run)
			next := again(run, test.rework)
			next.Order = "WO-1"
			b.must(b.Admit(t.Context(), next))

			before := b.changes()
			stored, err := b.Intend(t.Context(), intent(next))
			if b.must(err); !bytes.Equal(stored, run.Certificate.DER) {
				t.Errorf("it answers with %q, want %q", stored, run.Certificate.DER)
			}
			if after := b.changes(); after != before {
				t.Errorf("%+v became %+v", before, after)
			}
			b.verify()
		})
	}
}

// changes counts the rows that the writing connection has changed so far, and the
// entries of the log. Every write changes one of the two.
type changes struct{ rows, entries int64 }

func (b *testRegistry) changes() (c changes) {
	b.t.Helper()
	b.must(b.write(b.t.Context(), func(w *work) error { return w.row(`SELECT total_changes()`, nil, &c.rows) }))
	c.entries = b.AuditSize()
	return c
}
