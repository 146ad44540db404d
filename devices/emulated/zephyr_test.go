//go:build zephyr

package emulated

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"hallmark/devices"
)

// These tests need images of Zephyr, which this repository does not build by itself, so only `make zephyr-suite` runs them. The
// variables of the environment ZEPHYR_ELF and ZEPHYR_ELF2 name the images; ZEPHYR_MACHINE is the machine of both (an521, an385).

// zephyrImage returns a board with the image that a variable names, in a directory.
func zephyrImage(t *testing.T, variable, dir string) Config {
	t.Helper()
	image := os.Getenv(variable)
	if image == "" {
		t.Fatalf("%s names no image of Zephyr: make zephyr builds them", variable)
	}
	path, err := filepath.Abs(image)
	if err != nil {
		t.Fatal(err)
	}
	return Config{Kind: QEMU, Machine: "mps2-" + cmp.Or(os.Getenv("ZEPHYR_MACHINE"), "an521"), Image: path, Dir: dir}
}

// A silent source once gave its driver interrupts without octets, and the board waited for ever.
func TestAZephyrBoardWithoutEntropyRefuses(t *testing.T) {
	for name, source := range map[string]string{
		"a source that is silent":      "null",
		"a source that repeats itself": "pipe,path=/dev/zero",
	} {
		t.Run(name, func(t *testing.T) {
			cfg := zephyrImage(t, "ZEPHYR_ELF", t.TempDir())
			cfg.testingOnlyTRNG = source
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if _, err := talkTo(start(t, cfg)).Identify(ctx); !errors.Is(err, devices.ErrNoEntropy) {
				t.Fatalf("got %v, want no-entropy", err)
			}
		})
	}
}

func TestAnUpdateOfZephyrKeepsIdentityAndStore(t *testing.T) {
	dir := t.TempDir()
	before, after := zephyrImage(t, "ZEPHYR_ELF", dir), zephyrImage(t, "ZEPHYR_ELF2", dir)
	want := anchor(t)
	board, err := Start(t.Context(), before)
	if err != nil {
		t.Fatal(err)
	}
	b := talkTo(board)
	old, key := b.hello(t), publicKeyOf(t, b)
	if err := b.Write(t.Context(), devices.SlotAnchor, want); err != nil {
		t.Fatal(err)
	}
	if err := board.Close(); err != nil {
		t.Fatal(err)
	}
	b = talkTo(start(t, after))
	now := b.hello(t)
	if now.ID != old.ID || !bytes.Equal(publicKeyOf(t, b), key) {
		t.Errorf("the update gives BoardID %v another key or name: it was %v", now.ID, old.ID)
	}
	if now.FirmwareHash == old.FirmwareHash {
		t.Error("both images have the same firmware hash")
	}
	if kept, err := b.Read(t.Context(), devices.SlotAnchor); err != nil || !bytes.Equal(kept, want) {
		t.Errorf("the anchor: %x, %v", kept, err)
	}
}

// publicKeyOf returns the point on P-256 in the board's CSR without its first octet: 64 octets after the BIT STRING of SubjectPublicKeyInfo (RFC 5480).
func publicKeyOf(t *testing.T, b *talker) []byte {
	t.Helper()
	der, err := b.CSR(t.Context(), devices.PurposeTLS, [devices.NonceSize]byte{1}, devices.Subject{})
	if err != nil {
		t.Fatal(err)
	}
	_, point, found := bytes.Cut(der, []byte{0x03, 0x42, 0x00, 0x04})
	if !found || len(point) < 64 {
		t.Fatalf("no point on P-256 in the CSR %x", der)
	}
	return point[:64]
}
