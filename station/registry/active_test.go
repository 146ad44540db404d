package registry

import (
	"errors"
	"testing"
	"time"

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
	selects(t, b, one)
	for _, size := range []int{1, 2, 5, 6} {
		seen, age := map[string]bool{}, int64(6)
		err := b.eachActive(t.Context(), ActiveFilter{}, size, func(c ActiveCertificate) error {
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
	if err := b.EachActive(t.Context(), ActiveFilter{BoardID: one}, func(c ActiveCertificate) error {
		if calls++; c.BoardID != one {
			t.Errorf("board %v, want %v", c.BoardID, one)
		}
		return stop
	}); err != stop || calls != 1 {
		t.Errorf("%d calls, %v", calls, err)
	}
}

// selects tries each field of the filter on five certificates without a work order, of which one belongs to a board.
func selects(t *testing.T, b *testRegistry, one devices.BoardID) {
	t.Helper()
	var issued []string
	count := func(only ActiveFilter) (n int) {
		if err := b.EachActive(t.Context(), only, func(c ActiveCertificate) error {
			n, issued = n+1, append(issued, c.Issued)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return n
	}
	count(ActiveFilter{})
	first, err := time.Parse(time.RFC3339, issued[0])
	if err != nil {
		t.Fatal(err)
	}
	after := first.Add(time.Nanosecond)
	since, until := count(ActiveFilter{Since: after}), count(ActiveFilter{Until: after})
	if since+until != 5 || until == 0 || count(ActiveFilter{Since: first}) != 5 || count(ActiveFilter{Until: first}) != 0 {
		t.Errorf("%d since a time and %d until then, want 5 together", since, until)
	}
	if count(ActiveFilter{BoardID: one}) != 1 || count(ActiveFilter{Order: "WO-9"}) != 0 {
		t.Error("a board has one certificate, an unknown order has none")
	}
}
