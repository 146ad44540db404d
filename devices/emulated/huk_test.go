package emulated

import (
	"bytes"
	"errors"
	"testing"

	"hallmark/devices"
)

// Fuses that were never written hold no key: with such a key all boards would have one identity.
func TestABoardWithoutAHUKRefusesEverything(t *testing.T) {
	for name, blank := range map[string]byte{"all zero": 0x00, "all one": 0xff} {
		for _, cfg := range firmwares {
			t.Run(cfg.name()+" with fuses "+name, func(t *testing.T) {
				cfg.Image, cfg.Dir, cfg.Fuses = image(t, cfg.Kind, cfg.Machine), t.TempDir(), new(Fuses)
				copy(cfg.Fuses[:], bytes.Repeat([]byte{blank}, 32))
				copy(cfg.Fuses[32:], "a hardware id 16")
				b := talkTo(start(t, cfg))
				_, hello := b.Identify(t.Context())
				_, csr := b.CSR(t.Context(), devices.PurposeTLS, [devices.NonceSize]byte{1}, devices.Subject{})
				for command, err := range map[string]error{"hello": hello, "csr": csr, "seal": b.Seal(t.Context())} {
					if !errors.Is(err, devices.ErrNoHUK) {
						t.Errorf("%s: %v, want %v", command, err, devices.ErrNoHUK)
					}
				}
				if err := b.Echo(t.Context(), "still there"); err != nil {
					t.Errorf("the OS group is not concerned: %v", err)
				}
			})
		}
	}
}
