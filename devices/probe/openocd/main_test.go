package openocd

import (
	"os"
	"path/filepath"
	"testing"

	"hallmark/devices/emulated"
	"hallmark/devices/probe"
	"hallmark/fixtures/jlink"
	"hallmark/fixtures/prerequisite"
)

func TestMain(m *testing.M) { os.Exit(jlink.Run(m.Run)) }

// ctrlAP reads the state of the lock from the CTRL-AP of nRF52 chips (APPROTECTSTATUS).
const ctrlAP = "[[target current] cget -dap] apreg 1 0xc"

// nrf52840 is the chip with OpenOCD's own script. The model has no CPU that runs, so there is no work area for code.
func nrf52840() Chip {
	return Chip{
		Before: []string{"set WORKAREASIZE 0"}, Target: "target/nrf52.cfg",
		Recover: []string{"nrf52_recover"}, Recovered: "successfully erased and unlocked",
		Lock:      []string{"reset halt", "flash fillw 0x10001208 0xffffff00 1", "catch {reset run}"},
		LockState: ctrlAP, Locked: "0", Open: "1",
	}
}

// an385 is QEMU's board, whose program memory is RAM. The emulated probe gives the board a lock as in nRF52 chips.
func an385() Chip {
	return Chip{
		Before: []string{
			"swd newdap mps2 cpu -expected-id 0x2ba01477", "dap create mps2.dap -chain-position mps2.cpu",
			"target create mps2.cpu cortex_m -dap mps2.dap", "cortex_m reset_config sysresetreq", "adapter speed 4000",
		},
		InRAM: true,
		Recover: []string{
			"set dap [[target current] cget -dap]", "$dap apreg 1 4 1", "while {[$dap apreg 1 8] != 0} { sleep 1 }",
			"$dap apreg 1 0 1", "$dap apreg 1 0 0", "$dap apreg 1 4 0", "echo erased",
		},
		Recovered: "erased",
		Lock:      []string{"mww 0x10001208 0xffffff00", "catch {reset run}"},
		LockState: ctrlAP, Locked: "0", Open: "1",
	}
}

// parts are the types of the chips, by their scripts.
var parts = map[string]probe.Part{nrf52840().Target: {Address: 0x1000_0100, Value: 0x52840}, an385().Target: {Address: 0xe000_ed00, Mask: 0xfff0, Value: 0xc230}}

// A bay is an emulated probe with its chip, and the driver's view of it.
type bay struct {
	probe.Probe
	jlink *jlink.Probe
}

// number is the serial number of the emulated probe, and serial is its text.
const (
	number = 683806234
	serial = "683806234"
)

// connect starts an emulated probe.
func connect(t *testing.T, config Config, chip jlink.Chip) *bay {
	t.Helper()
	prerequisite.Program(t, "openocd", "openocd")
	emulation, err := jlink.Start(jlink.Config{Serial: number, Chip: chip})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closes(t, emulation.Close) })
	if config.Part == (probe.Part{}) {
		config.Part = parts[config.Chip.Target]
	}
	return &bay{New(config).Open(probe.Selection{Serial: serial, Network: true}), emulation}
}

func closes(t *testing.T, close func() error) {
	t.Helper()
	if err := close(); err != nil {
		t.Error(err)
	}
}

// blankBoard starts a QEMU board without firmware.
func blankBoard(t *testing.T) *emulated.Board { return boardWith(t, emulated.Config{}) }

func boardWith(t *testing.T, config emulated.Config) *emulated.Board {
	t.Helper()
	prerequisite.Program(t, "qemu-system-arm", "qemu-system-arm")
	config.Kind, config.Machine, config.Dir, config.Debug = emulated.QEMU, "mps2-an385", t.TempDir(), true
	board, err := emulated.Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closes(t, board.Close) })
	return board
}

// provisioning is the firmware of the QEMU board.
func provisioning(t *testing.T) *probe.Image {
	t.Helper()
	path := prerequisite.Firmware(t, filepath.Join("..", "..", "firmware", "build", emulated.ImageName(emulated.QEMU, "mps2-an385")))
	image, err := probe.ReadImage(path, 0)
	if err != nil {
		t.Fatal(err)
	}
	return image
}
