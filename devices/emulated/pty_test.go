package emulated

import (
	"errors"
	"strings"
	"testing"

	"hallmark/devices"
	"hallmark/devices/serial"
)

func TestABoardOnAPtyIsABoardOnAPort(t *testing.T) {
	for _, cfg := range firmwares {
		t.Run(cfg.name(), func(t *testing.T) {
			cfg.Image, cfg.Dir, cfg.Pty = image(t, cfg.Kind, cfg.Machine), t.TempDir(), true
			b := talkTo(start(t, cfg))
			first := b.hello(t)
			// A reset does not unplug the adapter.
			if _, boot, err := b.Client.Reset(t.Context()); err != nil || boot == first.Boot {
				t.Fatalf("reset: %x, %v", boot, err)
			}
			// A power cut unplugs the adapter; PowerOn plugs in a new one.
			old := b.Transport()
			if err := b.PowerCut(); err != nil {
				t.Fatal(err)
			}
			if _, err := b.Identify(t.Context()); !errors.Is(err, devices.ErrLineClosed) || !errors.Is(err, serial.ErrUnplugged) {
				t.Errorf("without power: %v", err)
			}
			if err := errors.Join(b.Client.Close(), b.PowerOn(t.Context())); err != nil {
				t.Fatal(err)
			}
			if b.Transport() == old {
				t.Error("the transport is the one from before the power cut")
			}
			again := talkTo(b.Board)
			if id := again.hello(t); id.ID != first.ID {
				t.Errorf("BoardID is %v, was %v", id.ID, first.ID)
			}
			if err := errors.Join(again.Client.Close(), b.Board.Close()); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestAnImageThatMakesNoPtyIsNamed(t *testing.T) {
	for name, image := range map[string]string{"it says nothing and ends": "/bin/true", "it says another thing": "/bin/echo"} {
		t.Run(name, func(t *testing.T) {
			b, err := Start(t.Context(), Config{Kind: Posix, Image: image, Dir: t.TempDir(), Pty: true})
			if err == nil {
				b.Close()
			}
			if err == nil || !strings.Contains(err.Error(), "switching on") {
				t.Fatalf("got %v", err)
			}
		})
	}
}
