package devices

import (
	"crypto/rand"
	"io"
	"net/netip"
	"time"
)

// Options of a [Client]. The zero value is right for a bench; the time-outs are
// long because a loaded emulator is slow, not because a board may be.
type Options struct {
	Timeout       time.Duration // for one answer; 0: 10 s
	Retries       int           // of a request that line noise swallowed; 0: 3, negative: none
	Settle        time.Duration // from a damaged frame to the next try; 0: 100 ms
	ResetTimeout  time.Duration // until a board that was reset answers again; 0: 30 s
	ServerTimeout time.Duration // for one answer of the verifier; 0: 10 s
	SendChain     bool          // the board sends slot 1 with its certificate: for a verifier that has only the root
	// Reach gives what the board has to dial for an address, where its network is
	// another one than the station's; nil: the address itself. After a handshake it
	// is called with the zero address: the way may be closed.
	Reach  func(netip.AddrPort) netip.AddrPort
	Random io.Reader        // first sequence number; nil: crypto/rand
	Now    func() time.Time // for Waited; nil: time.Now
}

func (o Options) filled() Options {
	defaultTo(&o.Timeout, 10*time.Second)
	defaultTo(&o.Settle, 100*time.Millisecond)
	defaultTo(&o.ResetTimeout, 30*time.Second)
	defaultTo(&o.ServerTimeout, 10*time.Second)
	defaultTo(&o.Retries, 3)
	o.Retries = max(o.Retries, 0)
	if o.Random == nil {
		o.Random = rand.Reader
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

func defaultTo[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
