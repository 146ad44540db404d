package emulated

import (
	"bufio"
	"bytes"
	"testing"
	"time"
)

// askDebugger sends a request of the GDB Remote Serial Protocol to a stopped board, and returns the answer.
func askDebugger(t *testing.T, b *Board, packet string) string {
	t.Helper()
	conn := b.Debug()
	if conn == nil {
		t.Fatal("no debug port")
	}
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte(packet)); err != nil {
		t.Fatal(err)
	}
	answer, err := bufio.NewReader(conn).ReadString('#')
	if err != nil {
		t.Fatalf("%q, %v", answer, err)
	}
	return answer
}

func TestABlankBoardWaitsForItsDebugger(t *testing.T) {
	for _, pty := range []bool{false, true} {
		b := start(t, Config{Kind: QEMU, Machine: "mps2-an385", Dir: t.TempDir(), Debug: true, Pty: pty})
		first := b.Debug()
		for range 2 {
			if answer := askDebugger(t, b, "$m0,4#fd"); answer != "+$00000000#" {
				t.Errorf("the memory of a blank board: %q", answer)
			}
			if err := b.Reset(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.PowerCut(); err != nil || b.Debug() != nil {
			t.Errorf("off: %v, %v", b.Debug(), err)
		}
		if err := b.PowerOn(t.Context()); err != nil || b.Debug() == first {
			t.Errorf("on again: the same debug port %t, %v", b.Debug() == first, err)
		}
		if answer := askDebugger(t, b, "$m0,4#fd"); answer != "+$00000000#" {
			t.Errorf("after a power cut: %q", answer)
		}
	}
}

func TestABoardWithoutDebugPortHasNone(t *testing.T) {
	b := start(t, echoConfig(t.TempDir()))
	if b.Debug() != nil {
		t.Error("there is a debug port")
	}
}

func TestABoardWithFirmwareRunsWithItsDebugPort(t *testing.T) {
	b := talkTo(start(t, Config{Kind: QEMU, Machine: "mps2-an385", Image: image(t, QEMU, "mps2-an385"), Dir: t.TempDir(), Debug: true}))
	before := b.hello(t)
	stopped := askDebugger(t, b.Board, "\x03") // stops the board
	if stopped != "$T02thread:01;#" {
		t.Errorf("stopped: %q", stopped)
	}
	if _, err := b.Debug().Write([]byte("+$c#63")); err != nil {
		t.Fatal(err)
	}
	if after := b.hello(t); after.ID != before.ID || !bytes.Equal([]byte(after.HardwareID), []byte(before.HardwareID)) {
		t.Errorf("another board: %+v", after)
	}
}
