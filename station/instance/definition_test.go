package instance_test

import (
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"hallmark/configs"
	"hallmark/fixtures"
	"hallmark/fixtures/prerequisite"
	"hallmark/station/instance"
)

// The hash that boards report is over the octets in flash, so nobody can compute it from the file with sha256sum.
func TestTheFactsOfAnImageHaveTheHashThatABoardReports(t *testing.T) {
	board := definition(t, "octets")
	octets := fmt.Sprintf("a board that runs it reports %x", sha256.Sum256([]byte("octets")))
	if got, _ := instance.ImageFacts(board); !strings.Contains(got, octets) || !strings.Contains(got, "0x00001000 to 0x00001005") {
		t.Errorf("got %q", got)
	}
	board.Firmware.Address = nil
	if got, _ := instance.ImageFacts(board); got != "" {
		t.Errorf("without a place: %q", got)
	}
}

// Only an image that can write a CSR has the OID of the nonce.
func TestTheImageOfAProductIsNamed(t *testing.T) {
	for name, product := range map[string]bool{"mps2-an385.elf": false, "mps2-an385-product.elf": true, "mps2-an521.elf": false, "mps2-an521-product.elf": true} {
		board := &configs.Board{Firmware: configs.BoardImage{Image: prerequisite.Firmware(t, filepath.Join("..", "..", "devices", "firmware", "build", "qemu", name))}}
		if _, doubt := instance.ImageFacts(board); (doubt != "") != product || product && !strings.Contains(doubt, "image of a product") {
			t.Errorf("%s: %q", name, doubt)
		}
	}
}

func TestOpenOCDReadsTheScriptsOfADefinition(t *testing.T) {
	prerequisite.Program(t, "openocd", "openocd")
	board := fixtures.Must(configs.LoadBoard("nrf52840dk", "."))(t)
	if missing, note := instance.Scripts(t.Context(), board); len(missing) > 0 || !strings.HasPrefix(note, "Open On-Chip Debugger 0.12") {
		t.Errorf("a good one: %v, %q", missing, note)
	}
	board.Probe.OpenOCD.Target = "target/nrf25.cfg"
	if missing, _ := instance.Scripts(t.Context(), board); len(missing) != 1 || !strings.Contains(missing[0].String(), "Can't find target/nrf25.cfg") {
		t.Errorf("a typing mistake: %v", missing)
	}
	if missing, note := instance.Scripts(t.Context(), fixtures.Must(configs.LoadBoard("nrf5340dk", "."))(t)); len(missing) > 0 || note != "" {
		t.Errorf("without openocd: %v, %q", missing, note)
	}
	t.Setenv("PATH", t.TempDir())
	if missing, note := instance.Scripts(t.Context(), board); len(missing) > 0 || !strings.Contains(note, "programmer is not installed") {
		t.Errorf("without OpenOCD: %v, %q", missing, note)
	}
}
