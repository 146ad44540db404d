package configs

import (
	"errors"
	"strings"
	"testing"
	"time"
)

const bays = minimal + `bays:
  - {name: bay-1, usb: 1-2.3, interface: 0, baud: 1000000, settle: 500ms, board: nrf52840dk, probe: {driver: openocd, serial: 683806234}}
  - {name: bay-2, port: /dev/serial/by-path/pci-usb-0:4:1.0, probe: {driver: nrfutil, usb: 1-5, serial: 5}}
  - {name: bay-3, board: qemu-an385}
  - {name: bay-4, port: "rfc2217://bench-4:4001"}
`

func TestBaysAreRead(t *testing.T) {
	config, err := Parse("x.yaml", []byte(bays))
	if err != nil {
		t.Fatal(err)
	}
	first, second := config.Bays[0], config.Bays[1]
	if first.USB != "1-2.3" || *first.Interface != 0 || first.Settle != 500*time.Millisecond || first.Probe.Serial != "683806234" || first.ProbeLocation() != "1-2.3" {
		t.Errorf("%+v", first)
	}
	if second.ProbeLocation() != "1-5" || second.Interface != nil || second.Probe.Driver != "nrfutil" {
		t.Errorf("%+v", second)
	}
}

func TestBaysAreRefused(t *testing.T) {
	for _, c := range []struct {
		name, bays string
		want       error
		says       string
	}{
		{"no name", "[{usb: 1-2}]", ErrValue, "bays[0].name"},
		{"no place", "[{name: a}]", ErrValue, "neither usb nor port"},
		{"two places", "[{name: a, usb: 1-2, port: /dev/ttyACM0}]", ErrValue, "usb and port"},
		{"a USB path that is none", "[{name: a, usb: 1:2}]", ErrValue, "bays[0].usb"},
		{"the path of a root hub", "[{name: a, usb: usb1}]", ErrValue, "bays[0].usb"},
		{"a path of sysfs that leads elsewhere", "[{name: a, usb: ../1-2}]", ErrValue, "bays[0].usb"},
		{"a relative port", "[{name: a, port: ttyACM0}]", ErrValue, "bays[0].port"},
		{"a port that leads elsewhere", "[{name: a, port: /dev/../etc/passwd}]", ErrValue, "bays[0].port"},
		{"a remote port without a number", "[{name: a, port: \"tcp://bench\"}]", ErrValue, "bays[0].port"},
		{"a remote port in another spelling", "[{name: a, port: \"tcp://Bench:4001\"}]", ErrValue, "bays[0].port"},
		{"one remote port", "[{name: a, port: \"tcp://b:1\"}, {name: b, port: \"tcp://b:1\"}]", ErrValue, "bays[1].port"},
		{"one remote port by two protocols", "[{name: a, port: \"tcp://b:1\"}, {name: b, port: \"rfc2217://b:1\"}]", ErrValue, "bays[1].port"},
		{"a baud rate that is too small", "[{name: a, usb: 1-2, baud: 300}]", ErrValue, "bays[0].baud"},
		{"an interface that no device has", "[{name: a, usb: 1-2, interface: -1}]", ErrValue, "bays[0].interface"},
		{"a settle time without end", "[{name: a, usb: 1-2, settle: 2m}]", ErrValue, "bays[0].settle"},
		{"a probe without driver", "[{name: a, usb: 1-2, probe: {serial: 1}}]", ErrValue, "bays[0].probe.driver"},
		{"a serial number that is none", "[{name: a, usb: 1-2, probe: {driver: openocd, serial: \"1 2\"}}]", ErrValue, "bays[0].probe.serial"},
		{"a serial number that would be an option", "[{name: a, usb: 1-2, probe: {driver: openocd, serial: \"-5\"}}]", ErrValue, "bays[0].probe.serial"},
		{"a probe that nothing selects", "[{name: a, port: /dev/ttyACM0, probe: {driver: openocd}}]", ErrValue, "neither serial nor usb"},
		{"one name", "[{name: a, usb: 1-2}, {name: a, usb: 1-3}]", ErrValue, `bays[1].name: value not possible: "a" as in bay "a"`},
		{"one USB path", "[{name: a, usb: 1-2}, {name: b, usb: 1-2}]", ErrValue, `bays[1].usb: value not possible: "1-2" as in bay "a"`},
		{"one USB path and one interface", "[{name: a, usb: 1-2, interface: 1}, {name: b, usb: 1-2, interface: 1}]", ErrValue, "bays[1].usb"},
		{"one port", "[{name: a, port: /dev/ttyACM0}, {name: b, port: /dev/ttyACM0}]", ErrValue, "bays[1].port"},
		{"one probe by its serial number in two spellings", "[{name: a, port: /dev/p, probe: {driver: pyocd, serial: 066dff}}, {name: b, usb: 1-3, probe: {driver: pyocd, serial: 066DFF}}]", ErrValue, "bays[1].probe"},
		{"one probe by its serial number", "[{name: a, port: /dev/p, probe: {driver: openocd, serial: 17}}, {name: b, usb: 1-3, probe: {driver: openocd, serial: \"0017\"}}]", ErrValue, "bays[1].probe"},
		{"one probe by its USB path", "[{name: a, usb: 1-2, probe: {driver: openocd, usb: 1-4}}, {name: b, usb: 1-3, probe: {driver: openocd, usb: 1-4}}]", ErrValue, "bays[1].probe"},
		{"clones with a programmer that selects by the number", "[{name: a, usb: 1-2, probe: {driver: nrfutil, serial: 17}}, {name: b, usb: 1-3, probe: {driver: nrfutil, serial: 17}}]", ErrValue, "only the driver openocd tells"},
		{"clones of which one has such a programmer", "[{name: a, usb: 1-2, probe: {driver: openocd, serial: 17}}, {name: b, usb: 1-3, probe: {driver: jlinkexe, serial: 17}}]", ErrValue, "bays[1].probe.serial"},
		{"RTT without a serial number", "[{name: a, port: \"rtt:\", board: qemu-an385}]", ErrValue, "bays[0].port"},
		{"RTT with a serial number that is none", "[{name: a, port: \"rtt:1 2\", board: qemu-an385}]", ErrValue, "bays[0].port"},
		{"RTT without a board definition", "[{name: a, port: \"rtt:17\"}]", ErrValue, "bays[0].board"},
		{"RTT with a baud rate", "[{name: a, port: \"rtt:17\", board: qemu-an385, baud: 115200}]", ErrValue, "RTT has no UART"},
		{"RTT by another probe than the one that flashes", "[{name: a, port: \"rtt:17\", board: qemu-an385, probe: {driver: openocd, serial: 18}}]", ErrValue, "bays[0].probe.serial"},
		{"one probe for RTT and for another bay", "[{name: a, port: \"rtt:17\", board: qemu-an385}, {name: b, usb: 1-3, probe: {driver: openocd, serial: \"0017\"}}]", ErrValue, "bays[1].probe"},
		{"an unknown key", "[{name: a, usb: 1-2, bord: x}]", ErrUnknownKey, `unknown key "bord"; did you mean "board"?`},
		{"an unknown key of a probe", "[{name: a, usb: 1-2, probe: {driver: x, serail: 1}}]", ErrUnknownKey, "serail"},
		{"a key twice", "[{name: a, name: b, usb: 1-2}]", ErrDuplicateKey, "keep one"},
		{"a map instead of a list", "{name: a}", ErrSyntax, "x.yaml"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse("x.yaml", []byte(minimal+"bays: "+c.bays+"\n"))
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %v that says %q", err, c.want, c.says)
			}
		})
	}
}

// A port that settles for longer than the first step may take never gets a question to its board.
func TestASettleTimeMustLeaveTheStepItsAnswer(t *testing.T) {
	for text, says := range map[string]string{
		"bays: [{name: a, usb: 1-2, settle: 29s}]\n":                                                  "",
		"bays: [{name: a, usb: 1-2, settle: 30s}]\n":                                                  `bays[0].settle: value not possible: 30s, want at most 29s, because the step identify may take 30s and an answer 1s; write a smaller settle, or a greater timeouts.steps.identify`,
		"bays: [{name: a, usb: 1-2, settle: 26s, answer: 5s}]\n":                                      "want at most 25s",
		"bays: [{name: a, usb: 1-2, settle: 40s}]\ntimeouts: {steps: {identify: 50s}}\n":              "",
		"bays: [{name: a, usb: 1-2, settle: 4s}]\ntimeouts: {steps: {identify: 4s}}\n":                "want at most 3s",
		"bays: [{name: a, usb: 1-2, settle: 40s}]\ntimeouts: {run: 30s, steps: {identify: 50s}}\n":    "the Run may take 30s",
		"bays: [{name: a, usb: 1-2}]\ntimeouts: {step: 1s}\n":                                         "",
		"bays: [{name: a, usb: 1-2, settle: 1s, answer: 200ms}]\ntimeouts: {steps: {identify: 1s}}\n": "want at most 800ms",
	} {
		_, err := Parse("x.yaml", []byte(minimal+text))
		if (err == nil) != (says == "") || err != nil && (!errors.Is(err, ErrValue) || !strings.Contains(err.Error(), says)) {
			t.Errorf("%s: %v, want %q", text, err, says)
		}
	}
}

func TestBaysThatOnlyLookAlikeAreGood(t *testing.T) {
	for name, text := range map[string]string{
		"RTT by the probe that flashes":                   "[{name: a, port: \"rtt:17\", board: qemu-an385, probe: {driver: openocd, serial: \"0017\"}}]",
		"RTT by the probe at a USB path":                  "[{name: a, port: \"rtt:17\", board: qemu-an385, probe: {driver: openocd, usb: 1-4}}]",
		"two UARTs of one adapter":                        "[{name: a, usb: 1-2, interface: 0}, {name: b, usb: 1-2, interface: 1}]",
		"two copies of a probe, told apart by their path": "[{name: a, usb: 1-2, probe: {driver: openocd, serial: 123}}, {name: b, usb: 1-3, probe: {driver: openocd, serial: 123}}]",
		"two probes without serial number":                "[{name: a, usb: 1-2, probe: {driver: openocd}}, {name: b, usb: 1-3, probe: {driver: openocd}}]",
	} {
		if _, err := Parse("x.yaml", []byte(minimal+"bays: "+text+"\n")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSerialNumbersAreComparedAsNumbersWhereTheyAreNumbers(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"000683806234", "683806234", true},
		{"683806234", "683806235", false},
		{"066DFF", "66DFF", false},
		{"066DFF", "066DFF", true},
		{"", "", false},
		{"0", "00", true},
		{"066DFF", "066dff", true},
	} {
		if got := SameSerial(c.a, c.b); got != c.want {
			t.Errorf("%q and %q: %t", c.a, c.b, got)
		}
	}
}

func TestUSBPaths(t *testing.T) {
	for text, want := range map[string]bool{"1-2": true, "12-1.2.3.4": true, "1-2:1.0": false, "usb1": false, "1": false, "1-": false, "1-2.": false, "1-0": false, "": false, "1-2/..": false} {
		if IsUSBPath(text) != want {
			t.Errorf("%q: %t", text, !want)
		}
	}
}
