package openocd_test

import (
	"bytes"
	"errors"
	"testing"

	"hallmark/configs"
	"hallmark/devices/probe"
	"hallmark/devices/probe/openocd"
	"hallmark/fixtures/jlink"
	"hallmark/fixtures/prerequisite"
)

// stm32u5 is OpenOCD's part of the board definition, for the emulated J-Link instead of the ST-LINK of the board.
func stm32u5(t *testing.T) openocd.Config {
	t.Helper()
	board, err := configs.LoadBoard("b-u585i-iot02a", ".")
	if err != nil {
		t.Fatal(err)
	}
	return openocd.Config{Part: board.Probe.Part, Chip: openocd.Chip{Target: board.Probe.OpenOCD.Target}}
}

// inPlaceOf starts an emulated probe with a chip, which an STM32U5 is expected at.
func inPlaceOf(t *testing.T, config openocd.Config, chip jlink.Chip) probe.Probe {
	t.Helper()
	prerequisite.Program(t, "openocd", "openocd")
	emulation, err := jlink.Start(jlink.Config{Serial: 683806234, Chip: chip})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := emulation.Close(); err != nil {
			t.Error(err)
		}
	})
	return openocd.New(config).Open(probe.Selection{Serial: "683806234", Network: true})
}

// What can be run of an STM32U5 without one: Debian's OpenOCD has the script of the chip, takes the commands of the driver
// beside it, and finds neither the chip of the script nor its flash in another chip.
func TestTheScriptOfTheSTM32U5IsAcceptedAndAnotherChipRefused(t *testing.T) {
	chip := jlink.NewNRF52840()
	p := inPlaceOf(t, stm32u5(t), chip)
	err := p.Flash(t.Context(), &probe.Image{Name: "x.bin", Segments: []probe.Segment{{Address: 0x0800_0000, Data: make([]byte, 64)}}}, nil)
	if !errors.Is(err, probe.ErrWrongTarget) {
		t.Errorf("got %v", err)
	}
	if held := chip.Contents(0, 64); !bytes.Equal(held, bytes.Repeat([]byte{0xff}, 64)) {
		t.Errorf("the flash holds %x", held)
	}
	if _, err := p.ReadMemory(t.Context(), 0, 64); !errors.Is(err, probe.ErrWrongTarget) {
		t.Errorf("reading: %v", err)
	}
}

// The emulated CPU keeps what is written to registers that it does not know, so the event makes it an STM32U585.
func TestTheScriptOfTheSTM32U5FindsItsChip(t *testing.T) {
	config := stm32u5(t)
	config.Chip.After = []string{"stm32u5x.cpu configure -event examine-end {stm32u5x.cpu mww 0xe0044000 0x20016482}"}
	p := inPlaceOf(t, config, jlink.NewNRF52840())
	if _, err := p.Info(t.Context()); err != nil {
		t.Error(err)
	}
	if held, err := p.ReadMemory(t.Context(), 0, 64); err != nil || !bytes.Equal(held, bytes.Repeat([]byte{0xff}, 64)) {
		t.Errorf("%x, %v", held, err)
	}
}
