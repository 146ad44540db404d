package devices

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"hallmark/devices/smp"
)

var (
	shaking     = answer(&smp.NetResponse{State: smp.TLSHandshaking})
	established = answer(&smp.NetResponse{State: smp.TLSEstablished})
	told        = answer(&smp.NetResponse{State: smp.TLSEstablished, Received: []byte("ok 123456\n")})
	hungUp      = answer(&smp.NetResponse{State: smp.TLSClosed})
	elsewhere   = netip.MustParseAddrPort("192.0.2.17:8443")
)

func failed(code int32, flags uint32) step {
	return answer(&smp.NetResponse{State: smp.TLSFailed, Error: code, Flags: flags})
}

// requests returns the net requests that the board got.
func (s *scripted) requests(t *testing.T) (all []smp.Net) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, message := range s.asked {
		var request smp.Net
		if _, err := smp.Parse(message, &request); err != nil {
			t.Fatal(err)
		}
		all = append(all, request)
	}
	return all
}

func TestABoardIsToldWhereToDialAndAskedUntilItHasItsAnswer(t *testing.T) {
	client, board := startScripted(t, quick, shaking, shaking, established, told, hungUp)
	report, err := client.NetworkHandshake(t.Context(), elsewhere, "verifier")
	if err != nil || string(report.Received) != "ok 123456\n" {
		t.Fatalf("%q, %v", report.Received, err)
	}
	asked := board.requests(t)
	if len(asked) != 5 || asked[0] != (smp.Net{Address: "192.0.2.17", Port: 8443, ServerName: "verifier"}) {
		t.Fatalf("asked %+v", asked)
	}
	for i, request := range asked[1:] {
		if request != (smp.Net{Sequence: uint32(i + 1), Close: i == 3}) {
			t.Errorf("request %d is %+v", i+1, request)
		}
	}
}

func TestABoardInAnotherNetworkDialsWhatLeadsThere(t *testing.T) {
	options := quick
	options.SendChain = true
	var asked []netip.AddrPort
	options.Reach = func(address netip.AddrPort) netip.AddrPort {
		asked = append(asked, address)
		return netip.MustParseAddrPort("[2001:db8::1]:1")
	}
	client, board := startScripted(t, options, shaking, told, hungUp)
	if _, err := client.NetworkHandshake(t.Context(), elsewhere, "verifier"); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(asked, []netip.AddrPort{elsewhere, {}}) {
		t.Errorf("reaching for %v", asked)
	}
	if got := board.requests(t)[0]; got.Address != "2001:db8::1" || got.Port != 1 || !got.SendChain {
		t.Errorf("%+v", got)
	}
}

func TestANetworkHandshakeEndsByName(t *testing.T) {
	impatient := quick
	impatient.ServerTimeout = 120 * time.Millisecond
	for _, test := range []struct {
		name   string
		script []step
		want   error
		closed bool // the board is told to close its session
	}{
		{"nobody at the address", []step{shaking, failed(-0x44, 0), hungUp}, ErrServerUnreached, true},
		{"a connection that is reset", []step{shaking, failed(-0x50, 0), hungUp}, ErrServerGone, true},
		{"a server that closes", []step{shaking, failed(-0x7280, 0), hungUp}, ErrServerGone, true},
		{"a server of another name", []step{shaking, failed(-0x2700, 4), hungUp}, ErrServerName, true},
		{"sockets that do not say why", []step{shaking, failed(-1, 0), hungUp}, ErrHandshake, true},
		{"a board that closes without an answer", []step{shaking, hungUp}, ErrHandshake, true},
		{"a server that says nothing", []step{shaking}, ErrServerSilent, true},
		{"a server that says nothing after the handshake", []step{shaking, established}, ErrServerSilent, true},
		{"a board without a link", []step{refuse(19)}, ErrNoNetwork, true},
		{"a board that forgot", []step{shaking, refuse(16)}, ErrTLSState, true},
		{"a line that is dead", []step{shaking, silence}, ErrNoAnswer, false},
		{"a board that does not close", []step{shaking, told, refuse(1)}, ErrInternal, true},
		{"octets that are no answer", []step{answer(&smp.EchoResponse{Text: "?"})}, ErrMalformedAnswer, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			client, board := startScripted(t, impatient, test.script...)
			_, err := client.NetworkHandshake(t.Context(), elsewhere, "verifier")
			if !errors.Is(err, test.want) {
				t.Errorf("%v, want %v", err, test.want)
			}
			asked := board.requests(t)
			if closed := asked[len(asked)-1].Close; closed != test.closed {
				t.Errorf("the last request is %+v", asked[len(asked)-1])
			}
		})
	}
}

// The opening request may arrive twice, or its answer may be lost: only the last session counts.
func TestAnOpeningThatWasSentTwiceIsDoneAgain(t *testing.T) {
	client, board := startScripted(t, quick, silence, shaking, shaking, told, hungUp)
	if _, err := client.NetworkHandshake(t.Context(), elsewhere, "verifier"); err != nil {
		t.Fatal(err)
	}
	openings := 0
	for _, request := range board.requests(t) {
		if request.Sequence == 0 {
			openings++
		}
	}
	if openings != 3 {
		t.Errorf("%d openings: lost, doubled, and one alone are 3", openings)
	}
}

func TestACancelledNetworkHandshakeStillHangsUp(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("the operator stopped")
	stopping := func(h smp.Header, m []byte) []byte { cancel(stop); return shaking(h, m) }
	client, board := startScripted(t, quick, shaking, stopping, hungUp)
	if _, err := client.NetworkHandshake(ctx, elsewhere, "verifier"); !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
	asked := board.requests(t)
	if !asked[len(asked)-1].Close {
		t.Error("the board's connection stays")
	}
}
