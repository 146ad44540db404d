package station_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"hallmark/devices"
	"hallmark/devices/smp"
	"hallmark/station"
)

// network configures handshakes over the board's own network.
func (w *fakes) network(c *station.Config) {
	w.identity.Can |= devices.CanNet
	c.NetworkSessions = networkSessions{w}
}

func TestARunOverTheNetworkDiffersInTheHandshakeOnly(t *testing.T) {
	w := newFakes(t)
	if run := w.enrol(t.Context(), w.station(w.network)); run.Ending != station.Pass {
		t.Errorf("ending %s: %v", run.Ending, run.Err)
	}
	want := "Identify Marked Admit CSR Check Sign Write 0 Write 1 Write 2 Reset Read 2 Delivered Expect NetworkHandshake Verdict Activate Close"
	if got := strings.Join(w.calls, " "); got != want {
		t.Errorf("calls\n got %s\nwant %s", got, want)
	}
}

func TestEndingsOverTheNetwork(t *testing.T) {
	cut := errors.New("port closed")
	refused := fmt.Errorf("%w: revoked", station.ErrHandshakeRefused)
	alert := &devices.HandshakeError{Code: -0x7780}
	for _, test := range []struct {
		name    string
		prepare func(w *fakes)
		ending  station.Ending
		reason  string
	}{
		{"an image that cannot dial is rejected", func(w *fakes) { w.identity.Can &^= devices.CanNet }, station.Reject, "no-network-handshake"},
		{"a verifier where nobody can come is a Fault", func(w *fakes) { w.fails("Expect", cut) }, station.Fault, "verifier"},
		{"a line that is cut is a Fault", func(w *fakes) { w.fails("NetworkHandshake", cut) }, station.Fault, "line"},
		{"a board without a link is a Fault", func(w *fakes) { w.fails("NetworkHandshake", refusal(t, devices.ErrNoNetwork)) }, station.Fault, "no-network"},
		{"nobody at the address is a Fault", func(w *fakes) { w.fails("NetworkHandshake", &devices.HandshakeError{Code: -0x44}) }, station.Fault, "server-unreached"},
		{"a server that hangs up is a Fault", func(w *fakes) { w.fails("NetworkHandshake", &devices.HandshakeError{Code: -0x7280}) }, station.Fault, "server-gone"},
		{"a board that nobody saw is a Fault", func(w *fakes) { w.verdict = station.ErrNoNetworkSession }, station.Fault, "no-visit"},
		{"a board that was sent away is rejected", func(w *fakes) { w.fails("NetworkHandshake", alert); w.verdict = refused }, station.Reject, "handshake-refused"},
		{"a board that was sent away, the verifier does not know why, is rejected", func(w *fakes) { w.fails("NetworkHandshake", alert); w.verdict = cut }, station.Reject, "server-refuses"},
		{"a board that was sent away because of the registry is not to blame", func(w *fakes) {
			w.fails("NetworkHandshake", alert)
			w.verdict = fmt.Errorf("looking up: %w: %w", station.ErrRegistry, cut)
		}, station.Fault, "registry"},
		{"another board's refusal does not explain a connection that broke", func(w *fakes) {
			w.fails("NetworkHandshake", &devices.HandshakeError{Code: -0x7280})
			w.verdict = refused
		}, station.Fault, "server-gone"},
		{"another board's refusal does not explain what this board says", func(w *fakes) {
			w.fails("NetworkHandshake", &devices.HandshakeError{Flags: 4})
			w.verdict = refused
		}, station.Fault, "server-name"},
		{"another certificate is rejected", func(w *fakes) { w.presented[0] ^= 1 }, station.Reject, "wrong-certificate"},
		{"a board that does not read the answer is rejected", func(w *fakes) { w.ignoresAnswer = true }, station.Reject, "no-answer-read"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newFakes(t)
			s := w.station(w.network)
			test.prepare(w)
			if run := w.enrol(t.Context(), s); run.Ending != test.ending || run.Reason != test.reason {
				t.Errorf("got %s %q (%v), want %s %q", run.Ending, run.Reason, run.Err, test.ending, test.reason)
			}
		})
	}
}

// refusal returns the answer with which a board refuses for this reason (PROTOCOL.md section 2).
func refusal(t *testing.T, reason error) error {
	t.Helper()
	for code := range uint32(64) {
		refusal := &devices.Refusal{Grouped: true, Group: smp.GroupProvisioning, RC: code}
		if errors.Is(refusal, reason) {
			return refusal
		}
	}
	t.Fatalf("no board refuses for %v", reason)
	return nil
}

func TestABoardThatIsSentAwayBecauseOfTheRegistryIsNotBadOverTheUARTEither(t *testing.T) {
	w := newFakes(t)
	w.fails("Handshake", &devices.HandshakeError{Code: -0x7780})
	w.verdict = fmt.Errorf("looking up: %w: %w", station.ErrRegistry, errors.New("disk I/O error"))
	if run := w.enrol(t.Context(), w.station()); run.Ending != station.Fault || run.Reason != "registry" {
		t.Errorf("got %s %q: %v", run.Ending, run.Reason, run.Err)
	}
}
