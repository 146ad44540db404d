package registry

import (
	"errors"
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
		seen, age := map[string]bool{}, int64(6)
		err := b.eachActive(t.Context(), devices.BoardID{}, size, func(c ActiveCertificate) error {
			if seen[string(c.DER)] = true; c.Purpose != devices.PurposeTLS || !want[string(c.DER)] || c.Age >= age {
				t.Errorf("%+v: not one of the five in their order", c)
			}
			age = c.Age
			return nil
		})
		if err != nil || len(seen) != 5 || age != 1 {
			t.Errorf("pages of %d: %d certificates, the last of age %d, %v", size, len(seen), age, err)
		}
	}
	calls, stop := 0, errors.New("stop")
	if err := b.EachActive(t.Context(), one, func(c ActiveCertificate) error {
		if calls++; c.BoardID != one {
			t.Errorf("board %v, want %v", c.BoardID, one)
		}
		return stop
	}); err != stop || calls != 1 {
		t.Errorf("%d calls, %v", calls, err)
	}
}
