package devices

import (
	"crypto/rand"
	"io"
	"net/netip"
	"time"
)

// Options of a [Client]. The zero value is right for hardware boards: a board that has not
// answered yet is asked four times in four seconds, and a board that has answered before gets
// 15 seconds for an answer. Emulated boards need more (emulated.AnswerTime).
type Options struct {
	Answer        time.Duration // until a request is sent again; longer for a board that answers slowly; 0: 1 s
	Timeout       time.Duration // the longest wait for one answer; 0: 10 s
	Retries       int           // how often a request is sent again; 0: 3, negative: never
	Settle        time.Duration // pause from a damaged frame to the next try; 0: 100 ms
	ResetTimeout  time.Duration // until a board answers again after a reset; 0: 30 s
	ServerTimeout time.Duration // for one answer of the verifier; 0: 10 s
	SendChain     bool          // the board also sends the chain of slot 1, for a verifier that knows only the root
	// Reach returns the address that the board must dial to get to an address of the
	// station's network. nil: the same address. After the handshake the client calls Reach
	// with the zero address, and Reach may remove the route.
	Reach  func(netip.AddrPort) netip.AddrPort
	Random io.Reader        // first sequence number; nil: crypto/rand
	Now    func() time.Time // for Waited and time limits; nil: time.Now
}

func (o Options) filled() Options {
	defaultTo(&o.Answer, time.Second)
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
