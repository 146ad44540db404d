package openocd

import (
	"cmp"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"hallmark/devices/probe"
	"hallmark/devices/probe/process"
	"hallmark/fixtures/jlink"
	"hallmark/fixtures/prerequisite"
	"hallmark/fixtures/usbtree"
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

func TestAProbeThatHangsIsGivenUp(t *testing.T) {
	chip := jlink.NewNRF52840()
	bay := connect(t, Config{Chip: nrf52840(), Limit: 300 * time.Millisecond, FlashLimit: 3 * time.Second}, chip)
	image := segments(probe.Segment{Address: 0, Data: pattern(3 << 10)})

	bay.jlink.Inject(jlink.HangInFlash)
	if err := bay.Flash(t.Context(), image, nil); !errors.Is(err, probe.ErrSilent) || !errors.Is(err, probe.ErrNeedsFlash) {
		t.Errorf("in the middle of a flash: %v", err)
	}
	bay.jlink.Inject(jlink.Hang)
	if _, err := bay.Info(t.Context()); !errors.Is(err, probe.ErrSilent) {
		t.Errorf("at the start: %v", err)
	}
	bay.jlink.Inject(jlink.NoFault)
	after := New(Config{Chip: nrf52840()}).Open(probe.Selection{Serial: serial, Network: true})
	if err := after.Flash(t.Context(), image, nil); err != nil {
		t.Errorf("the next call: %v", err)
	}
}

// The time limit of a flash is minutes. A probe that hangs in the middle of it is given up when nothing moves any more, and the
// search for a probe that hangs does not go through all attempts.
func TestAProbeThatHangsIsNamedSoon(t *testing.T) {
	bay := connect(t, Config{Chip: nrf52840(), StallLimit: 500 * time.Millisecond}, jlink.NewNRF52840())
	image := segments(probe.Segment{Address: 0, Data: pattern(40 << 10)})
	bay.jlink.Inject(jlink.HangInFlash)
	begun := time.Now()
	if err := bay.Flash(t.Context(), image, nil); !errors.Is(err, probe.ErrSilent) || !errors.Is(err, probe.ErrNeedsFlash) || time.Since(begun) > 20*time.Second {
		t.Errorf("in the middle of a flash, after %v: %v", time.Since(begun), err)
	}
	tries := filepath.Join(t.TempDir(), "tries")
	slow := New(Config{Program: fake(t, "echo x >>"+tries+"; sleep 0.2; echo 'Error: No J-Link device found'; exit 1"), LockDir: t.TempDir(), FindLimit: 300 * time.Millisecond, Chip: nrf52840()})
	_, err := slow.Open(probe.Selection{Serial: "5"}).Info(t.Context())
	if text, readErr := os.ReadFile(tries); !errors.Is(err, probe.ErrMissing) || readErr != nil || len(text) > len("x\n")*2 {
		t.Errorf("a probe that is slow to be missing: %v after the tries %q, %v", err, text, readErr)
	}
}

// The time in which other bays look for their probes is not that of this bay.
func TestTheWaitForOtherBaysEndsNoSearch(t *testing.T) {
	tries := filepath.Join(t.TempDir(), "tries")
	config := Config{Program: fake(t, "echo x >>"+tries+"; echo 'hallmark: asks'; while ! test -e go; do sleep 0.02; done; echo 'Error: No J-Link device found'; exit 1"),
		LockDir: t.TempDir(), USB: t.TempDir(), FindLimit: time.Second, Chip: nrf52840()}
	release, err := acquireStart(t.Context(), config.LockDir)
	if err != nil {
		t.Fatal(err)
	}
	free := sync.OnceFunc(release)
	defer free()
	look := work{limit: defaultLimit, line: func(line string) {
		if line == reportPrefix+"asks" {
			time.AfterFunc(config.FindLimit+200*time.Millisecond, free)
		}
	}}
	_, err = New(config).Open(probe.Selection{Serial: "5", Network: true}).(*device).do(t.Context(), &look)
	if text, readErr := os.ReadFile(tries); !errors.Is(err, probe.ErrMissing) || readErr != nil || len(text) < len("x\n")*2 {
		t.Errorf("%v after the tries %q, %v", err, text, readErr)
	}
}

func TestAnotherSerialNumberIsNamed(t *testing.T) {
	connect(t, Config{}, jlink.NewNRF52840())
	_, err := New(Config{Chip: nrf52840()}).Open(probe.Selection{Serial: "7", Network: true}).Info(t.Context())
	if !errors.Is(err, probe.ErrWrongSerial) || !strings.Contains(err.Error(), "683806234 answered, want 7") {
		t.Errorf("got %v", err)
	}
}

func TestTwoProbesWithOneSerialNumberAreRefused(t *testing.T) {
	chip := jlink.NewNRF52840()
	bay := connect(t, Config{Chip: nrf52840()}, chip)
	twin, err := jlink.Start(jlink.Config{Serial: number, Host: 2, Chip: jlink.NewNRF52840()})
	if err != nil {
		t.Fatal(err)
	}
	image := segments(probe.Segment{Address: 0, Data: pattern(64)})
	if err := bay.Flash(t.Context(), image, nil); !errors.Is(err, probe.ErrAmbiguous) || errors.Is(err, probe.ErrNeedsFlash) {
		t.Errorf("got %v", err)
	}
	closes(t, twin.Close)
	if err := bay.Flash(t.Context(), image, nil); err != nil {
		t.Errorf("the next call: %v", err)
	}
}

func TestOneOfTwoProbesIsNamedByWhatOpenOCDOpened(t *testing.T) {
	bay := connect(t, Config{Chip: nrf52840()}, jlink.NewNRF52840())
	other, err := jlink.Start(jlink.Config{Serial: 77, Host: 2, Chip: jlink.NewNRF52840()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closes(t, other.Close) })
	for _, want := range []probe.Serial{serial, "77"} {
		if info, err := New(Config{Chip: nrf52840()}).Open(probe.Selection{Serial: "000" + want, Network: true}).Info(t.Context()); err != nil || info.Serial != want {
			t.Errorf("%+v, %v, want %s", info, err, want)
		}
	}
	if _, err := bay.Info(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAnotherChipIsRefusedBeforeTheFlash(t *testing.T) {
	config := Config{Chip: nrf52840()}
	config.Chip.Part.Value = 0x52833
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

// The serial number at a USB path is looked up in a recorded tree.
func TestTheProbeAtAUSBPath(t *testing.T) {
	tree := t.TempDir()
	for name, attributes := range map[string]map[string]string{
		"1-2":     {"idVendor": "1366", "idProduct": "1015", "serial": "000683806234", "product": "J-Link"},
		"1-3":     {"idVendor": "1366", "idProduct": "1015", "serial": "000683806234", "product": "J-Link"},
		"1-4":     {"idVendor": "0403", "idProduct": "6001", "serial": "FT1234"},
		"1-2:1.0": {"bInterfaceNumber": "00"},
		"1-5":     {"idVendor": "1366", "idProduct": "1015"},
	} {
		if err := os.Mkdir(filepath.Join(tree, name), 0o700); err != nil {
			t.Fatal(err)
		}
		for attribute, value := range attributes {
			if err := os.WriteFile(filepath.Join(tree, name, attribute), []byte(value+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	driver := New(Config{USB: tree, Chip: nrf52840()})
	found, err := driver.List(t.Context())
	want := probe.Found{Serial: "000683806234", Location: "1-2", USBID: "1366:1015", Product: "J-Link"}
	if err != nil || len(found) != 2 || found[0] != want || found[1].Location != "1-3" {
		t.Errorf("found %+v, %v", found, err)
	}
	for _, test := range []struct {
		name     string
		selected probe.Selection
		want     error
	}{
		{"nothing is plugged in there", probe.Selection{Serial: serial, Location: "1-9"}, probe.ErrMissing},
		{"another probe is plugged in there", probe.Selection{Serial: "5", Location: "1-2"}, probe.ErrWrongSerial},
		{"something else is plugged in there", probe.Selection{Serial: serial, Location: "1-4"}, probe.ErrWrongSerial},
	} {
		if _, err := driver.Open(test.selected).Info(t.Context()); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", test.name, err, test.want)
		}
	}
	if found, err := New(Config{USB: filepath.Join(tree, "none")}).List(t.Context()); err != nil || len(found) != 0 {
		t.Errorf("without USB: %v, %v", found, err)
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

// OpenOCD takes the first adapter with the serial number that is asked for, if no path is.
func TestTwoAdaptersWithOneSerialNumberOnUSBAreRefused(t *testing.T) {
	machine, err := usbtree.Unfold(t.TempDir(), "1-1 0483:374e serial=066DFF product=STLINK-V3\n1-2 0483:374e serial=066DFF product=STLINK-V3\n")
	if err != nil {
		t.Fatal(err)
	}
	config := Config{Program: fake(t, "echo run >>"+filepath.Join(t.TempDir(), "runs")), USB: filepath.Join(machine.Dir(), "sys/bus/usb/devices"), Interface: "interface/stlink-dap.cfg"}
	for selected, want := range map[probe.Selection]bool{{Serial: "066dff"}: true, {Serial: "066DFF", Location: "1-2"}: false, {Serial: "5"}: false} {
		if _, err := New(config).Open(selected).Info(t.Context()); errors.Is(err, probe.ErrAmbiguous) != want {
			t.Errorf("%+v: %v", selected, err)
		}
	}
}

// fake is a program in the place of OpenOCD.
func fake(t *testing.T, script string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "openocd")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAnOpenOCDThatIsNotWhatIsExpected(t *testing.T) {
	const banner, done = "echo 'Open On-Chip Debugger 0.12.0'\n", "echo 'hallmark: done'\n"
	for _, test := range []struct {
		name, script string
		want         error
	}{
		{"an older version", "echo 'Open On-Chip Debugger 0.11.0'; echo 'invalid command name'; exit 1", probe.ErrToolVersion},
		{"no report at all", banner, probe.ErrUnclear},
		{"a report and a failure", banner + done + "exit 1", probe.ErrUnclear},
		{"a report and a refusal", banner + "echo 'hallmark: refused part 0x1'\n" + done, probe.ErrUnclear},
		{"a failure for an unknown reason", banner + "echo 'Error: out of order'; exit 1", probe.ErrTool},
		{"a crash", banner + "kill -SEGV $$", probe.ErrTool},
		{"a question", "echo 'Really? [y/N]'; read answer || exit 0\n" + banner + done, probe.ErrUnclear},
		{"100 MB of text", "head -c 100000000 /dev/zero", probe.ErrUnclear},
		{"a child that stays", banner + "sleep 1000 &\n" + done, nil},
		{"nothing for ever", "sleep 1000", probe.ErrSilent},
	} {
		t.Run(test.name, func(t *testing.T) {
			program := fake(t, test.script)
			t.Parallel() // only now, because a program that is being written cannot be started
			limit := 30 * time.Second
			if test.want == probe.ErrSilent {
				limit = 100 * time.Millisecond
			}
			driver := New(Config{Program: program, LockDir: t.TempDir(), Limit: limit, Chip: nrf52840()})
			if err := driver.Open(probe.Selection{Serial: "5"}).Reset(t.Context(), probe.Run); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

func TestWorkThatTheBoardDefinitionDoesNotDescribe(t *testing.T) {
	p := New(Config{Program: "/no/openocd"}).Open(probe.Selection{Serial: "5"})
	_, stateErr := p.LockState(t.Context())
	for name, err := range map[string]error{
		"recover": p.Recover(t.Context()), "lock": p.Lock(t.Context()), "state": stateErr, "reset": p.Reset(t.Context(), 0),
	} {
		if !errors.Is(err, probe.ErrCannot) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := p.ReadMemory(t.Context(), 0, 0); !errors.Is(err, probe.ErrMemory) {
		t.Errorf("no octets: got %v", err)
	}
	if err := p.Reset(t.Context(), probe.Run); !errors.Is(err, probe.ErrNoTool) {
		t.Errorf("no program: got %v", err)
	}
}

func TestARecoverThatSaysNothingIsNoRecover(t *testing.T) {
	config := Config{Chip: nrf52840()}
	config.Chip.Recover = []string{"echo {Error: recovery failed.}"}
	bay := connect(t, config, jlink.NewNRF52840())
	if err := bay.Recover(t.Context()); !errors.Is(err, probe.ErrNotErased) {
		t.Errorf("got %v", err)
	}
}

// Eight probes at once: starts are serialised, so that no OpenOCD disturbs the discovery of another one.
func TestEightBaysFlashAtTheSameTime(t *testing.T) {
	const bays = 8
	results := make(chan error, bays)
	image := segments(probe.Segment{Address: 0, Data: pattern(4 << 10)})
	driver := New(Config{Chip: nrf52840()})
	for i := range bays {
		emulation, err := jlink.Start(jlink.Config{Serial: uint32(100 + i), Host: byte(1 + i), Chip: jlink.NewNRF52840()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { closes(t, emulation.Close) })
	}
	for i := range bays {
		go func() {
			results <- driver.Open(probe.Selection{Serial: probe.Serial(strconv.Itoa(100 + i)), Network: true}).Flash(t.Context(), image, nil)
		}()
	}
	for range bays {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
}

// The probe's interface of the definition is the transport that OpenOCD selects, unless the commands of the chip select one.
func TestTheTransportIsTheOneOfTheDefinition(t *testing.T) {
	prerequisite.Program(t, "openocd", "openocd")
	for _, test := range []struct {
		name, want string
		config     Config
	}{
		{"nothing", "transport select swd\n", Config{Chip: nrf52840()}},
		{"JTAG", "transport select jtag\n", Config{Transport: "jtag", Chip: nrf52840()}},
		{"a choice of its own", "transport select dapdirect_swd\n", Config{Interface: "interface/stlink-dap.cfg", Transport: "swd", USB: t.TempDir(),
			Chip: Chip{Before: []string{"transport select dapdirect_swd"}, Target: "target/stm32u5x.cfg"}}},
	} {
		d := New(test.config).Open(probe.Selection{Serial: "5"}).(*device)
		if script := string(d.script(&work{})); strings.Count(script, "transport select") != 1 || !strings.Contains(script, test.want) {
			t.Errorf("%s: want %q in\n%s", test.name, test.want, script)
		}
		if _, err := d.Info(t.Context()); err == nil || strings.Contains(err.Error(), "transport") { // there is no such probe
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

// Anybody on the network can answer a broadcast with the serial number of a probe.
func TestAProbeOnTheNetworkIsOnlyTakenIfTheSelectionSaysSo(t *testing.T) {
	bay := connect(t, Config{}, jlink.NewNRF52840())
	tries := filepath.Join(t.TempDir(), "tries")
	counted := fake(t, "echo x >>"+tries+`; exec openocd "$@"`)
	_, err := New(Config{Program: counted, Chip: nrf52840(), USB: t.TempDir()}).Open(probe.Selection{Serial: serial}).Info(t.Context())
	if !errors.Is(err, probe.ErrMissing) || !strings.Contains(err.Error(), "network: true") || bay.jlink.Sessions() != 0 {
		t.Errorf("got %v, and %d connections", err, bay.jlink.Sessions())
	}
	if text, err := os.ReadFile(tries); err != nil || string(text) != "x\n" {
		t.Errorf("a second attempt cannot find more: %q, %v", text, err)
	}
}
