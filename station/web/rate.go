package web

import (
	"net/netip"
	"sync"
	"time"
)

// A Rate lets some requests pass in each second, and at first as many at once.
type Rate struct {
	now       func() time.Time
	perSecond float64

	mu   sync.Mutex
	last time.Time
	left float64
}

// NewRate makes a Rate.
func NewRate(perSecond float64, now func() time.Time) *Rate {
	return &Rate{now: now, perSecond: perSecond, last: now(), left: perSecond}
}

// Take reports whether one more request may pass.
func (r *Rate) Take() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	r.left = min(r.perSecond, r.left+max(now.Sub(r.last).Seconds(), 0)*r.perSecond)
	if r.last = now; r.left < 1 {
		return false
	}
	r.left--
	return true
}

// maxNetworks is the number of networks whose rates are kept apart.
const maxNetworks = 4096

// Rates are a Rate for each network of clients, see NetworkOf.
type Rates struct {
	now       func() time.Time
	perSecond float64

	mu      sync.Mutex
	cleaned time.Time
	rates   map[netip.Prefix]*Rate
	others  *Rate // shared by the networks beyond maxNetworks
}

// NewRates makes Rates that let perSecond requests of each network pass.
func NewRates(perSecond float64, now func() time.Time) *Rates {
	return &Rates{now: now, perSecond: perSecond, cleaned: now(), rates: map[netip.Prefix]*Rate{}, others: NewRate(perSecond, now)}
}

// Take reports whether one more request of a client may pass. remote is address and port of the client.
func (r *Rates) Take(remote string) bool { return r.of(NetworkOf(remote)).Take() }

func (r *Rates) of(network netip.Prefix) *Rate {
	r.mu.Lock()
	defer r.mu.Unlock()
	if rate := r.rates[network]; rate != nil {
		return rate
	}
	if now := r.now(); len(r.rates) >= maxNetworks && now.Sub(r.cleaned) > time.Second {
		r.cleaned = now
		clear(r.rates) // so a network gets at most twice its rate
	}
	if len(r.rates) >= maxNetworks {
		return r.others
	}
	rate := NewRate(r.perSecond, r.now)
	r.rates[network] = rate
	return rate
}
