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
			b := newBench(t)
			run := b.run()
			in := intent(run)
			in.NotAfter = b.now().Add(time.Hour)
			b.issueAs(run, in)
			if test.active {
				b.must(b.Delivered(t.Context(), run))
				b.must(b.Activate(t.Context(), run))
			}
			run.Ending = station.Pass
			b.must(b.Close(t.Context(), run))
			if _, err := b.Stored(t.Context(), in.Key, false); err != nil {
				t.Fatalf("before it ends: %v", err)
			}
			later := time.Now().Add(2 * time.Hour)
			b.now = func() time.Time { return later }
			if _, err := b.Stored(t.Context(), in.Key, test.rework != ""); !errors.Is(err, issuance.ErrNotIssued) {
				t.Errorf("it is still handed out: %v", err)
			}
			next := again(run, test.rework)
			b.must(b.Admit(t.Context(), next))
			if err := b.Intend(t.Context(), intent(next)); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			b.verify()
		})
	}
}
