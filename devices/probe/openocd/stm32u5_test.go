package openocd

import (
	"bytes"
	"errors"
	"testing"

	"hallmark/configs"
	"hallmark/devices/probe"
	"hallmark/fixtures/jlink"
)

// stm32u5 is OpenOCD's part of the board definition, for the emulated J-Link instead of the ST-LINK of the board.
func stm32u5(t *testing.T) Chip {
	t.Helper()
	board, err := configs.LoadBoard("b-u585i-iot02a", ".")
	if err != nil {
		t.Fatal(err)
	}
	return Chip{Target: board.Probe.OpenOCD.Target, Part: board.Probe.Part}
}

// What can be run of an STM32U5 without one: Debian's OpenOCD has the script of the chip, takes the commands of the driver
// beside it, and finds neither the chip of the script nor its flash in another chip.
func TestTheScriptOfTheSTM32U5IsAcceptedAndAnotherChipRefused(t *testing.T) {
	chip := jlink.NewNRF52840()
	bay := connect(t, Config{Chip: stm32u5(t)}, chip)
	err := bay.Flash(t.Context(), &probe.Image{Name: "x.bin", Segments: []probe.Segment{{Address: 0x0800_0000, Data: make([]byte, 64)}}}, nil)
	if !errors.Is(err, probe.ErrWrongTarget) {
		t.Errorf("got %v", err)
	}
	if held := chip.Contents(0, 64); !bytes.Equal(held, bytes.Repeat([]byte{0xff}, 64)) {
		t.Errorf("the flash holds %x", held)
	}
	if _, err := bay.ReadMemory(t.Context(), 0, 64); !errors.Is(err, probe.ErrWrongTarget) {
		t.Errorf("reading: %v", err)
	}
}

// The emulated CPU keeps what is written to registers that it does not know, so the event makes it an STM32U585.
func TestTheScriptOfTheSTM32U5FindsItsChip(t *testing.T) {
	config := Config{Chip: stm32u5(t)}
	config.Chip.After = []string{"stm32u5x.cpu configure -event examine-end {stm32u5x.cpu mww 0xe0044000 0x20016482}"}
	bay := connect(t, config, jlink.NewNRF52840())
	if _, err := bay.Info(t.Context()); err != nil {
		t.Error(err)
	}
	if held, err := bay.ReadMemory(t.Context(), 0, 64); err != nil || !bytes.Equal(held, bytes.Repeat([]byte{0xff}, 64)) {
		t.Errorf("%x, %v", held, err)
	}
}
