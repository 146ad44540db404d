package openocd

import (
	"errors"
	"fmt"
	"testing"

	"hallmark/devices/probe"
)

// A board is bad only if the probe was there until the comparison ended: what a lost probe reads differs from every image.
func TestALostProbeSaysNothingAboutTheBoard(t *testing.T) {
	const mismatch, lost = "checksum mismatch - attempting binary compare\n", "Error: jaylink_swd_io() failed: input/output error\n"
	for name, test := range map[string]struct {
		text string
		want error
	}{
		"the flash differs":                       {mismatch, probe.ErrMismatch},
		"the probe was lost while it compared":    {mismatch + lost, probe.ErrLost},
		"the probe was lost before it compared":   {lost, probe.ErrLost},
		"the probe was lost, and nothing differs": {lost + "verified\n", probe.ErrLost},
	} {
		o := &outcome{exit: 1, text: "Open On-Chip Debugger 0.12.0\n" + test.text, marks: map[string]string{"refused": "verify"}}
		if err := o.because(&device{}); !errors.Is(err, test.want) || errors.Is(err, probe.ErrMismatch) != (test.want == probe.ErrMismatch) {
			t.Errorf("%s: got %v, want %v", name, err, test.want)
		}
	}
}

// Two probes are in each log. The texts of TCP are those of a run; those of USB are in libjaylink's source.
const (
	overTCP = "Found device (IPv4 address = 127.0.0.1)\nDevice: Serial number = 683806234\nAllocating new device instance\n" +
		"Found device (IPv4 address = 127.0.0.2)\nDevice: Serial number = 77\nAllocating new device instance\nTrying to open device (IPv4 address = 127.0.0.%s)\n"
	overUSB = "Found device (VID:PID = 1366:1015, bus:address = 001:004)\nDevice: USB address = 0\nDevice: Serial number = 683806234\n" +
		"Found device (VID:PID = 1366:1015, bus:address = 001:005)\nDevice: USB address = 0\nDevice: Serial number = 77\nTrying to open device (bus:address = 001:00%s)\n"
)

func TestTheProbeThatOpenOCDOpenedIsCompared(t *testing.T) {
	for _, test := range []struct {
		name, log string
		selected  probe.Selection
		atPath    probe.Serial
		serial    probe.Serial
		want      error
	}{
		{"the one by its number", fmt.Sprintf(overTCP, "1"), probe.Selection{Serial: "683806234"}, "", "683806234", nil},
		{"another one than the number", fmt.Sprintf(overTCP, "2"), probe.Selection{Serial: "683806234"}, "", "", probe.ErrWrongSerial},
		{"another one on USB", fmt.Sprintf(overUSB, "5"), probe.Selection{Serial: "683806234"}, "", "", probe.ErrWrongSerial},
		{"the one at the path", fmt.Sprintf(overUSB, "4"), probe.Selection{Location: "1-2"}, "000683806234", "683806234", nil},
		{"another one than at the path", fmt.Sprintf(overUSB, "5"), probe.Selection{Location: "1-2"}, "000683806234", "", probe.ErrWrongSerial},
		{"the one at the path, with other texts", "Device: Serial number = 683806234\nDevice: Serial number = 77\n", probe.Selection{Location: "1-2"}, "000683806234", "000683806234", nil},
		{"one that is no J-Link, at the path", "", probe.Selection{Location: "1-2"}, "066DFF", "066DFF", nil},
		{"whichever there is", fmt.Sprintf(overTCP, "2"), probe.Selection{}, "", "77", nil},
	} {
		o := &outcome{log: test.log, expected: test.atPath}
		if info, err := o.info(test.selected); info.Serial != test.serial || !errors.Is(err, test.want) {
			t.Errorf("%s: %q, %v; want %q, %v", test.name, info.Serial, err, test.serial, test.want)
		}
	}
}
