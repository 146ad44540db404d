package web

import (
	"fmt"
	"testing"
	"time"
)

func TestTheRateOfRequestsIsBounded(t *testing.T) {
	const perSecond = 50
	now := time.Unix(1000, 0)
	r := NewRate(perSecond, func() time.Time { return now })
	passed := 0
	take := func(times int) {
		for range times {
			if r.Take() {
				passed++
			}
		}
	}
	take(3 * perSecond)
	now = now.Add(100 * time.Millisecond)
	take(perSecond)
	if passed != perSecond+perSecond/10 {
		t.Errorf("%d requests pass", passed)
	}
}

func TestANetworkUsesUpItsOwnRateOnly(t *testing.T) {
	now := time.Unix(1000, 0)
	r := NewRates(2, func() time.Time { return now })
	for _, test := range []struct {
		remote string
		want   bool
	}{
		{"192.0.2.7:1", true}, {"192.0.2.7:2", true}, {"192.0.2.7:3", false}, {"192.0.2.8:1", true},
		{"[2001:db8::1]:1", true}, {"[2001:db8::2]:1", true}, {"[2001:db8::3]:1", false},
	} {
		if got := r.Take(test.remote); got != test.want {
			t.Errorf("%s: %v, want %v", test.remote, got, test.want)
		}
	}
	now = now.Add(time.Second)
	if !r.Take("192.0.2.7:4") {
		t.Error("a second later nothing passes")
	}
}

func TestManyNetworksTakeBoundedMemory(t *testing.T) {
	now := time.Unix(1000, 0)
	r := NewRates(1, func() time.Time { return now })
	passed := 0
	for n := range 3 * maxNetworks {
		if r.Take(fmt.Sprintf("10.%d.%d.%d:1", n>>16, n>>8&255, n&255)) {
			passed++
		}
	}
	if len(r.rates) != maxNetworks || passed != maxNetworks+1 {
		t.Errorf("%d rates, %d requests pass", len(r.rates), passed)
	}
	now = now.Add(2 * time.Second)
	if !r.Take("192.0.2.7:1") || len(r.rates) != 1 {
		t.Errorf("%d rates a second later", len(r.rates))
	}
}

func TestANetworkIsAnAddressOrAPartOfIPv6(t *testing.T) {
	for remote, want := range map[string]string{
		"192.0.2.7:1234":             "192.0.2.7/32",
		"[::ffff:192.0.2.7]:1234":    "192.0.2.7/32",
		"[2001:db8:1:2:3:4:5:6]:443": "2001:db8:1:2::/64",
	} {
		if got := NetworkOf(remote); got.String() != want {
			t.Errorf("%s: got %v, want %s", remote, got, want)
		}
	}
}
