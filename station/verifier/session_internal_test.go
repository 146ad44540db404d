package verifier

import (
	"errors"
	"log/slog"
	"net"
	"testing"

	"hallmark/station"
)

// at is a connection that has an address and carries no octets.
type at struct {
	net.Conn
	local string
}

func (c at) LocalAddr() net.Addr { return c }
func (c at) Network() string     { return "tcp" }
func (c at) String() string      { return c.local }

func TestAConnectionReportsToItsOwnSessionWhenItsAddressIsUsedAgain(t *testing.T) {
	s := &Server{config: Config{Log: slog.New(slog.DiscardHandler)}, expected: map[string]*expectation{}}
	first := s.announce(at{local: "127.0.0.1:1"}, expect([]byte("first")))
	c := &connection{Server: s, ctx: t.Context(), remote: "127.0.0.1:1"}
	if _, err := c.hello(nil); err != nil {
		t.Fatal(err)
	}
	second := s.announce(at{local: "127.0.0.1:1"}, expect([]byte("second")))
	gone := errors.New("the client left")
	c.report(station.Presented{}, gone)
	if len(first.verdict) != 1 {
		t.Fatal("the first session heard nothing")
	}
	if _, err := first.Verdict(t.Context()); !errors.Is(err, gone) {
		t.Errorf("the first session heard %v", err)
	}
	if len(second.verdict) != 0 {
		t.Error("the second session heard what the first one's client did")
	}
}
