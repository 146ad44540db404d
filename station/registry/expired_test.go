package registry

import (
	"errors"
	"testing"
	"time"

	"hallmark/station"
	"hallmark/station/issuance"
)

func TestACertificateThatEndedAnswersNoRequest(t *testing.T) {
	for _, test := range []struct {
		name   string
		active bool
		rework string
		want   error
	}{
		{"an active one still stands: a board gets another only by a rework (I3)", true, "", issuance.ErrAlreadyActive},
		{"a rework replaces it", true, "it ended", nil},
		{"one that was never delivered stands in nobody's way", false, "", nil},
		{"nor in that of a rework", false, "it ended", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newTestRegistry(t)
			run := b.run()
			in := intent(run)
			in.NotAfter = b.now().Add(time.Hour)
			b.issueAs(run, in)
			if test.active {
				b.must(b.Delivered(t.Context(), proven(run)))
				b.must(b.Activate(t.Context(), run))
			}
			run.Ending = station.Fault
			if test.active {
				run.Ending = station.Pass
			}
			b.must(b.closeRun(t.Context(), run))
			if b.answer(in.Key, false) == nil {
				t.Fatal("before it ends it is not handed out")
			}
			later := time.Now().Add(2 * time.Hour)
			b.now = func() time.Time { return later }
			if der := b.answer(in.Key, test.rework != ""); der != nil {
				t.Errorf("it is still handed out: %q", der)
			}
			next := again(run, test.rework)
			b.must(b.Admit(t.Context(), next))
			if err := b.intends(intent(next)); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			b.verify()
		})
	}
}
