package sweep_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"testing"

	"hallmark/devices"
	"hallmark/station"
)

// A disturbed board works normally until the call with the number at. Before that call,
// happens disturbs the board, once.
type disturbed struct {
	*devices.Client
	at      int // counted from 1; 0: never
	calls   []string
	happens func(*disturbed)
}

func (d *disturbed) next(name string) *devices.Client {
	d.calls = append(d.calls, name)
	if len(d.calls) == d.at {
		d.happens(d)
	}
	return d.Client
}

func (d *disturbed) Identify(ctx context.Context) (devices.Identity, error) {
	return d.next("Identify").Identify(ctx)
}

func (d *disturbed) CSR(ctx context.Context, purpose devices.Purpose, nonce [devices.NonceSize]byte, subject devices.Subject) ([]byte, error) {
	return d.next("CSR").CSR(ctx, purpose, nonce, subject)
}

func (d *disturbed) Write(ctx context.Context, slot devices.Slot, der []byte) error {
	return d.next("Write").Write(ctx, slot, der)
}

func (d *disturbed) Read(ctx context.Context, slot devices.Slot) ([]byte, error) {
	return d.next("Read").Read(ctx, slot)
}

func (d *disturbed) Reset(ctx context.Context) (devices.BoardID, devices.BootID, error) {
	return d.next("Reset").Reset(ctx)
}

func (d *disturbed) Handshake(ctx context.Context, conn net.Conn, serverName string) (devices.HandshakeReport, error) {
	return d.next("Handshake").Handshake(ctx, conn, serverName)
}

func (d *disturbed) NetworkHandshake(ctx context.Context, address netip.AddrPort, serverName string) (devices.HandshakeReport, error) {
	return d.next("NetworkHandshake").NetworkHandshake(ctx, address, serverName)
}

func (d *disturbed) Seal(ctx context.Context) error { return d.next("Seal").Seal(ctx) }

// TestABoardMayBeDisturbedBeforeEveryCall swaps, power-cycles or unplugs the board before each
// of its calls. Then it enrols the board again without a disturbance.
func TestABoardMayBeDisturbedBeforeEveryCall(t *testing.T) {
	f := newFactory(t)
	for _, kind := range []kind{
		{name: "tls", purpose: devices.PurposeTLS},
		{name: "cose", purpose: devices.PurposeCOSE},
		{name: "over the board's network", purpose: devices.PurposeTLS, network: true},
	} {
		t.Run(kind.name, func(t *testing.T) { disturbEverywhere(t, f, kind) })
	}
}

func disturbEverywhere(t *testing.T, f *factory, kind kind) {
	calls := &disturbed{}
	ready(t, f, kind).disturb(calls)
	t.Logf("%d calls: %v", len(calls.calls), calls.calls)
	for at, call := range calls.calls {
		if !swept(at) {
			continue
		}
		for _, test := range []struct {
			name    string
			happen  func(w *environment) func(*disturbed)
			allowed map[station.Ending]string // ending → reason
		}{
			{"swapped", swapped, map[station.Ending]string{station.Fault: "swapped"}},
			{"power-cycled", powerCycled, map[station.Ending]string{station.Pass: "", station.Fault: "restarted"}},
			{"unplugged", unplugged, map[station.Ending]string{station.Fault: "line-closed"}},
		} {
			t.Run(fmt.Sprintf("%s before %02d %s", test.name, at+1, call), func(t *testing.T) {
				t.Parallel()
				w := ready(t, f, kind)
				run := w.disturb(&disturbed{at: at + 1, happens: test.happen(w)})
				reason, allowed := test.allowed[run.Ending]
				// If the boards are swapped before the first call, the station enrols the other
				// board. Between the last Identify and Seal, the station cannot notice a swap.
				inTime := test.name == "swapped" && (at == 0 || call == "Seal")
				if (!allowed || reason != run.Reason) && !(inTime && run.Ending == station.Pass) {
					t.Errorf("the Run ends as %s %q: %v", run.Ending, run.Reason, run.Err)
				}
				if again := w.runStation(&crashPoint{}, ""); again.Ending != station.Pass {
					t.Errorf("the board in peace ends as %s %q: %v", again.Ending, again.Reason, again.Err)
				}
			})
		}
	}
}

// disturb does one Run with a disturbed board.
func (w *environment) disturb(d *disturbed) *station.Run {
	w.t.Helper()
	w.disturbance = d
	defer func() { w.disturbance = nil }()
	return w.runStation(&crashPoint{}, "")
}

// swapped puts another board into the bay. The other board already holds its own certificate.
func swapped(w *environment) func(*disturbed) {
	other := *w
	other.neverSeal, other.purpose = true, devices.PurposeTLS
	other.board = filepath.Join(w.t.TempDir(), "other")
	if run := other.runStation(&crashPoint{}, "first certificate"); run.Ending != station.Pass {
		w.t.Fatalf("the other board ends as %s: %v", run.Ending, run.Err)
	}
	held := other.flash()
	return func(d *disturbed) {
		board, off := other.switchOn(w.t.Context())
		w.t.Cleanup(func() {
			if err := off(); err != nil {
				w.t.Error(err)
			}
			if string(other.flash()) != string(held) {
				w.t.Error("the other board holds another certificate than before")
			}
		})
		d.Client = board
	}
}

func powerCycled(w *environment) func(*disturbed) {
	return func(*disturbed) {
		if err := errors.Join(w.power.PowerCut(), w.power.PowerOn(w.t.Context())); err != nil {
			w.t.Error(err)
		}
	}
}

func unplugged(w *environment) func(*disturbed) {
	return func(*disturbed) {
		if err := w.power.Transport().Close(); err != nil {
			w.t.Error(err)
		}
	}
}
