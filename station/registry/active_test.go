package registry

import (
	"errors"
	"slices"
	"testing"

	"hallmark/devices"
)

func TestEachActiveGivesEveryActiveCertificateOnceAndNoOther(t *testing.T) {
	b := newTestRegistry(t)
	want := map[string]bool{}
	var one devices.BoardID
	for range 5 {
		run := b.run()
		b.enrol(run)
		one, want[string(run.Certificate.DER)] = run.Identity.ID, true
	}
	b.issue(b.run()) // signed, not active
	for _, size := range []int{1, 2, 5, 6} {
		var ids []string
		err := b.eachActive(t.Context(), devices.BoardID{}, size, func(id devices.BoardID, purpose devices.Purpose, der []byte) error {
			if ids = append(ids, id.String()); purpose != devices.PurposeTLS || !want[string(der)] {
				t.Errorf("board %v, %v: not one of the five", id, purpose)
			}
			return nil
		})
		if err != nil || len(ids) != 5 || !slices.IsSorted(ids) || len(slices.Compact(ids)) != 5 {
			t.Errorf("pages of %d: %q, %v", size, ids, err)
		}
	}
	calls, stop := 0, errors.New("stop")
	if err := b.EachActive(t.Context(), one, func(id devices.BoardID, _ devices.Purpose, _ []byte) error {
		if calls++; id != one {
			t.Errorf("board %v, want %v", id, one)
		}
		return stop
	}); err != stop || calls != 1 {
		t.Errorf("%d calls, %v", calls, err)
	}
}
