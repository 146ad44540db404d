package emulated_test

import (
	"bytes"
	"path/filepath"
	"testing"

	"hallmark/devices"
	"hallmark/devices/emulated"
	"hallmark/fixtures/prerequisite"
)

// The QEMU boards have a second transport: rings in RAM that a debugger reads and writes. A provisioning image was given it; a product's
// image was not, and then nothing is in RAM that a debugger could speak to.
func TestAProductsImageHasNoRingsForADebugger(t *testing.T) {
	prerequisite.Program(t, "qemu-system-arm", "qemu-system-arm")
	for image, given := range map[string]bool{"mps2-an385": true, "mps2-an521": true, "mps2-an385-product": false, "mps2-an521-product": false} {
		t.Run(image, func(t *testing.T) {
			t.Parallel()
			board, err := emulated.Start(t.Context(), emulated.Config{Kind: emulated.QEMU, Machine: image[:len("mps2-an385")], Dir: t.TempDir(),
				Fuses: &emulated.Fuses{1}, Image: prerequisite.Firmware(t, filepath.Join("..", "firmware", "build", "qemu", image+".elf"))})
			if err != nil {
				t.Fatal(err)
			}
			defer board.Close()
			client := devices.NewClient(board.Transport(), devices.Options{Answer: emulated.AnswerTime})
			defer client.Close()
			if _, err := client.Identify(t.Context()); err != nil { // the firmware has started
				t.Fatal(err)
			}
			ram, err := board.Memory(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if has := bytes.Contains(ram, []byte("SEGGER RTT\x00")); has != given {
				t.Errorf("the rings are there: %v, want %v", has, given)
			}
		})
	}
}
