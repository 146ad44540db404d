package registry

import (
	"bytes"
	"testing"

	"hallmark/station"
)

// I9: a second request with the same Key writes no row and no audit entry.
func TestAStoredCertificateAnswersAndNothingIsWritten(t *testing.T) {
	issued := func(b *testRegistry, run *station.Run) *station.Run { b.issue(run); return run }
	delivered := func(b *testRegistry, run *station.Run) *station.Run {
		b.must(b.Delivered(b.t.Context(), proven(issued(b, run))))
		return run
	}
	active := func(b *testRegistry, run *station.Run) *station.Run {
		b.must(b.Activate(b.t.Context(), delivered(b, run)))
		return run
	}
	reworked := func(b *testRegistry, run *station.Run) *station.Run {
		next := again(active(b, run), "antenna replaced")
		b.must(b.Admit(b.t.Context(), next))
		return issued(b, next)
	}
	for _, test := range []struct {
		name   string
		rework string // of the Run that asks again
		before func(b *testRegistry, run *station.Run) (answers *station.Run)
	}{
		{"the active one, at a first enrolment", "", active},
		{"one that was issued and never delivered", "", issued},
		{"one that was delivered and never activated", "", delivered},
		{"the active one, at a first enrolment after a rework that ended early", "", func(b *testRegistry, run *station.Run) *station.Run {
			reworked(b, run)
			return run
		}},
		{"the one of the rework, at the next rework", "antenna replaced", reworked},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newTestRegistry(t)
			b.must(b.OpenOrder(t.Context(), NewOrder{ID: "WO-1", Product: "sensor", Quota: 1}, "ann"))
			run := newRun([16]byte{1}, "hw")
			run.Order = "WO-1"
			b.must(b.Admit(t.Context(), run))
			answers := test.before(b, run)
			next := again(run, test.rework)
			next.Order = "WO-1"
			b.must(b.Admit(t.Context(), next))

			before := b.changes()
			stored, err := b.Intend(t.Context(), intent(next))
			if b.must(err); !bytes.Equal(stored, answers.Certificate.DER) {
				t.Errorf("it answers with %q, want %q", stored, answers.Certificate.DER)
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
