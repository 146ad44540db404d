package openocd

import (
	"cmp"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hallmark/devices/probe"
	"hallmark/devices/probe/process"
	"hallmark/fixtures/jlink"
	"hallmark/fixtures/prerequisite"
	"hallmark/station/reason"
)

// Each fault ends in its refusal, and the next call works.
func TestFaultsOfProbeAndBoard(t *testing.T) {
	chip := jlink.NewNRF52840()
	bay := connect(t, Config{Chip: nrf52840()}, chip)
	image := segments(probe.Segment{Address: 0, Data: pattern(3 << 10)})
	flash := func(ctx context.Context, p probe.Probe) error { return p.Flash(ctx, image, nil) }
	info := func(ctx context.Context, p probe.Probe) error { _, err := p.Info(ctx); return err }
	for _, test := range []struct {
		name       string
		fault      jlink.Fault
		call       func(context.Context, probe.Probe) error
		want       *reason.Sentinel
		needsFlash bool
		word       *reason.Sentinel // which row names the ending; nil: want
	}{
		{"no debug cable", jlink.NoTarget, info, probe.ErrMissingTarget, false, nil},
		{"no supply", jlink.NoPower, info, probe.ErrVoltage, false, nil},
		{"no supply, but the chip answers", jlink.WeakPower, flash, probe.ErrVoltage, false, nil},
		{"no probe", jlink.Unplugged, info, probe.ErrMissing, false, nil},
		{"a probe that vanishes in the middle of a flash", jlink.DropInFlash, flash, probe.ErrLost, true, probe.ErrNeedsFlash},
		{"a flash with a bad bit", jlink.StuckBit, flash, probe.ErrMismatch, true, nil},
		{"memory that is not there", jlink.NoFault, readNothing, probe.ErrMemory, false, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			bay.jlink.Inject(test.fault)
			err := test.call(t.Context(), bay)
			word := cmp.Or(test.word, test.want).Word()
			if !errors.Is(err, test.want) || reason.Of(err).Word != word || errors.Is(err, probe.ErrNeedsFlash) != test.needsFlash {
				t.Errorf("got %v (%s), want %s", err, reason.Of(err).Word, word)
			}
			if test.want == probe.ErrMismatch && !strings.HasSuffix(err.Error(), probe.ErrMismatch.Error()) {
				t.Errorf("%v says more than that the flash differs", err)
			}
			bay.jlink.Inject(jlink.NoFault)
			if err := info(t.Context(), bay); err != nil {
				t.Errorf("the next call: %v", err)
			}
		})
	}
	if err := flash(t.Context(), bay); err != nil {
		t.Errorf("a flash after all faults: %v", err)
	}
}

func readNothing(ctx context.Context, p probe.Probe) error {
	_, err := p.ReadMemory(ctx, 0x3000_0000, 64)
	return err
}

func TestAnotherChipIsRefusedBeforeTheFlash(t *testing.T) {
	config := Config{Chip: nrf52840(), Part: parts[nrf52840().Target]}
	config.Part.Value = 0x52833
	chip := jlink.NewNRF52840()
	bay := connect(t, config, chip)
	err := bay.Flash(t.Context(), segments(probe.Segment{Address: 0, Data: pattern(64)}), nil)
	const says = "register 0x10000100 holds 0x52840, want 0x52833"
	if !errors.Is(err, probe.ErrWrongTarget) || !strings.HasSuffix(err.Error(), says) || errors.Is(err, probe.ErrNeedsFlash) || chip.Contents(0, 1)[0] != 0xff {
		t.Errorf("got %v", err)
	}
}

// A lock may leave the CPU open to a debugger, such as a readout protection. The state that was read counts, not the CPU.
func TestAChipThatIsReadAsLockedIsNotChangedThoughItsCPUAnswers(t *testing.T) {
	for _, locked := range []string{"0", "0x00", "shut"} {
		t.Run(locked, func(t *testing.T) {
			config := Config{Chip: nrf52840()}
			config.Chip.LockState, config.Chip.Locked, config.Chip.Open = "return -level 0 "+map[bool]string{true: "shut", false: "0"}[locked == "shut"], locked, "1"
			chip, ctx := jlink.NewNRF52840(), t.Context()
			bay := connect(t, config, chip)
			if state, err := bay.LockState(ctx); state != probe.Locked || err != nil {
				t.Fatalf("state %v, %v", state, err)
			}
			_, info := bay.Info(ctx)
			_, read := bay.ReadMemory(ctx, 0, 4)
			flash := bay.Flash(ctx, segments(probe.Segment{Address: 0, Data: pattern(64)}), nil)
			for name, err := range map[string]error{"flash": flash, "info": info, "read": read, "lock": bay.Lock(ctx)} {
				if !errors.Is(err, probe.ErrLocked) || errors.Is(err, probe.ErrNeedsFlash) {
					t.Errorf("%s: got %v", name, err)
				}
			}
			if chip.Contents(0, 1)[0] != 0xff || chip.Locked() {
				t.Error("the chip was changed")
			}
			if err := bay.Reset(ctx, probe.Run); err != nil { // by the pin, which changes nothing
				t.Errorf("reset: %v", err)
			}
			if err := bay.Recover(ctx); err != nil {
				t.Errorf("recover: %v", err)
			}
		})
	}
}

// OpenOCD's driver of the ST-Link logs the voltage and goes on. The log of the connection stands for the ST-Link here.
func TestTheVoltageOfAnSTLinkIsRead(t *testing.T) {
	prerequisite.Program(t, "openocd", "openocd")
	for _, test := range []struct {
		log  string
		want error
		info int
	}{
		{"Info : 12 3 stlink_usb.c:1399 stlink_usb_check_voltage(): Target voltage: 3.264073\n", nil, 3264},
		{"Info : 12 3 stlink_usb.c:1399 stlink_usb_check_voltage(): Target voltage: 0.002391\n", probe.ErrVoltage, 2},
		{"Info : 12 3 cmsis_dap.c:1 cmsis_dap_init(): CMSIS-DAP: Interface ready\n", nil, probe.VoltageUnknown},
	} {
		dir := t.TempDir()
		script := connectTcl + "hallmark_supply\nhallmark_done\n"
		if err := errors.Join(os.WriteFile(filepath.Join(dir, scriptFile), []byte(script), 0o600), os.WriteFile(filepath.Join(dir, initFile), []byte(test.log), 0o600)); err != nil {
			t.Fatal(err)
		}
		command := process.Command{Program: "openocd", Args: []string{"-f", scriptFile}, Dir: dir, Limit: defaultLimit}
		result, err := command.Run(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		o := newOutcome(result, dir)
		if err := o.failure(&device{}); !errors.Is(err, test.want) || o.has("done") != (test.want == nil) || o.millivolts() != test.info {
			t.Errorf("%s: %v, %d mV; it said %s", test.log, err, o.millivolts(), result.Text)
		}
	}
}
