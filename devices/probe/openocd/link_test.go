package openocd

import (
	"bytes"
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"hallmark/devices"
	"hallmark/devices/conformance"
	"hallmark/devices/emulated"
	"hallmark/devices/probe"
	"hallmark/fixtures/jlink"
)

// qemuRTT is where QEMU's firmware has its control block (port/qemu/sections.ld).
var qemuRTT = RTT{Address: 0x2004_0000, Size: 256}

// linked is a QEMU board that is reached over RTT alone.
func linked(t *testing.T) (*Link, probe.Probe, *bay, *emulated.Board) {
	t.Helper()
	board := boardWith(t, emulated.Config{Unwired: true})
	config := Config{Chip: an385()}
	bay := connect(t, config, jlink.NewQEMU(board, true))
	link := New(config).Link(probe.Selection{Serial: serial, Network: true}, qemuRTT)
	return link, link.Probe(bay.Probe), bay, board
}

func flashed(t *testing.T, p probe.Probe) {
	t.Helper()
	if err := p.Flash(t.Context(), provisioning(t), nil); err != nil {
		t.Fatal(err)
	}
	if err := p.Reset(t.Context(), probe.Run); err != nil {
		t.Fatal(err)
	}
}

func transport(t *testing.T, link *Link) *Transport {
	t.Helper()
	transport, err := link.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closes(t, transport.Close) })
	return transport
}

var patient = devices.Options{Answer: emulated.AnswerTime}

func TestABoardAnswersOverRTTBetweenCallsOfItsProbe(t *testing.T) {
	link, p, _, _ := linked(t)
	client := devices.NewClient(transport(t, link), patient)
	t.Cleanup(func() { closes(t, client.Close) })
	short, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	if _, err := client.Identify(short); !errors.Is(err, devices.ErrNoAnswer) && !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("a blank board is a silent board: %v", err)
	}
	flashed(t, p)
	first, err := client.Identify(t.Context())
	if err != nil || first.BoardType != "mps2-an385" {
		t.Fatalf("%+v, %v", first, err)
	}
	segment := provisioning(t).Segments[0]
	octets, err := p.ReadMemory(t.Context(), segment.Address, 1024)
	if err != nil || !bytes.Equal(octets, segment.Data[:1024]) {
		t.Errorf("the probe reads while the channel is open: %v", err)
	}
	id, boot, err := client.Reset(t.Context())
	if err != nil || id != first.ID || boot == first.Boot {
		t.Errorf("reset: %v, boot %x, before %x", err, boot, first.Boot)
	}
}

func TestALinkHasOneTransport(t *testing.T) {
	link, _, _, _ := linked(t)
	first := transport(t, link)
	if _, err := link.Open(); !errors.Is(err, errLinkInUse) {
		t.Errorf("a second one: %v", err)
	}
	closes(t, first.Close)
	if _, err := first.Write([]byte("x")); !errors.Is(err, os.ErrClosed) {
		t.Errorf("writing after Close: %v", err)
	}
	if _, err := first.Read(make([]byte, 1)); !errors.Is(err, os.ErrClosed) {
		t.Errorf("reading after Close: %v", err)
	}
	transport(t, link)
}

func TestAReadOverRTTEndsAtItsDeadline(t *testing.T) {
	link, _, _, _ := linked(t)
	line := transport(t, link)
	if err := line.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if _, err := line.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestAProbeThatIsMissingIsNamedOverRTT(t *testing.T) {
	link, _, bay, _ := linked(t)
	bay.jlink.Inject(jlink.Unplugged)
	client := devices.NewClient(transport(t, link), patient)
	t.Cleanup(func() { closes(t, client.Close) })
	if _, err := client.Identify(t.Context()); !errors.Is(err, probe.ErrMissing) || !errors.Is(err, devices.ErrLineClosed) {
		t.Errorf("got %v", err)
	}
}

// The whole suite of a board that is not new for each check.
func TestABoardConformsOverRTT(t *testing.T) {
	link, p, _, _ := linked(t)
	flashed(t, p)
	open := func(t *testing.T) conformance.Subject {
		return conformance.Subject{Transport: transport(t, link), BoardType: "mps2-an385"}
	}
	conformance.TestBoard(t, conformance.Boards{Open: open})
}
