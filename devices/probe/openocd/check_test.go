package openocd

import (
	"errors"
	"strings"
	"testing"

	"hallmark/devices/probe"
	"hallmark/fixtures/prerequisite"
	"hallmark/station/reason"
)

// OpenOCD's own text names the script, so the refusal keeps it. A retry would not help.
func TestAScriptThatOpenOCDLacksIsNamed(t *testing.T) {
	prerequisite.Program(t, "openocd", "openocd")
	for _, test := range []struct {
		name   string
		config Config
		says   string
	}{
		{"of the chip", Config{Chip: Chip{Target: "target/nrf25.cfg"}}, "Can't find target/nrf25.cfg"},
		{"of the probe", Config{Chip: Chip{Interface: "interface/none.cfg", Target: nrf52840().Target}}, "Can't find interface/none.cfg"},
		{"a command", Config{Chip: Chip{Target: "target/nrf52.cfg", After: []string{"nonsense 1"}}}, `invalid command name "nonsense"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.config.LockDir = t.TempDir()
			driver := New(test.config)
			_, checked := driver.Check(t.Context())
			for work, err := range map[string]error{"check": checked, "reset": driver.Open(probe.Selection{Serial: "5"}).Reset(t.Context(), probe.Run)} {
				if !errors.Is(err, probe.ErrScript) || !strings.Contains(err.Error(), test.says) || strings.Contains(reason.Of(err).Next, "try the board again") {
					t.Errorf("%s: got %v", work, err)
				}
			}
		})
	}
}

func TestAnOpenOCDThatFitsSaysItsVersion(t *testing.T) {
	prerequisite.Program(t, "openocd", "openocd")
	version, err := New(Config{Chip: nrf52840()}).Check(t.Context())
	if err != nil || !strings.HasPrefix(version, "Open On-Chip Debugger 0.12") {
		t.Errorf("got %q, %v", version, err)
	}
	if _, err := New(Config{Program: "/no/openocd"}).Check(t.Context()); !errors.Is(err, probe.ErrNoTool) {
		t.Errorf("no program: got %v", err)
	}
	if _, err := New(Config{Program: fake(t, "echo 'Open On-Chip Debugger 0.11.0'; exit 1")}).Check(t.Context()); !errors.Is(err, probe.ErrToolVersion) {
		t.Errorf("an older one: got %v", err)
	}
}
