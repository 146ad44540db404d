package openocd

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hallmark/devices/probe"
	"hallmark/fixtures/jlink"
	"hallmark/fixtures/prerequisite"
)

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

// The probe's interface of the definition is the transport that OpenOCD selects, unless the commands of the chip select one.
func TestTheTransportIsTheOneOfTheDefinition(t *testing.T) {
	prerequisite.Program(t, "openocd", "openocd")
	for _, test := range []struct {
		name, want string
		config     Config
	}{
		{"nothing", "transport select swd\n", Config{Chip: nrf52840()}},
		{"JTAG", "transport select jtag\n", Config{Transport: "jtag", Chip: nrf52840()}},
		{"a choice of its own", "transport select dapdirect_swd\n", Config{Transport: "swd", USB: t.TempDir(),
			Chip: Chip{Interface: "interface/stlink-dap.cfg", Before: []string{"transport select dapdirect_swd"}, Target: "target/stm32u5x.cfg"}}},
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
