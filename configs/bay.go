package configs

import (
	"strings"
	"time"
)

// A Bay is one place on the bench, an entry of `bays:` in station.yaml.
type Bay struct {
	Name string `yaml:"name"`
	// USB is the USB path of the device that has the board's UART, as sysfs names it: "1-2.3". A
	// composite probe has UART and probe behind one path.
	USB string `yaml:"usb"`
	// Port is the stable name of the UART, /dev/serial/by-path/…; instead of USB. "rtt:SERIAL" is the probe that carries
	// SMP over RTT, for a board without UART.
	Port  string    `yaml:"port"`
	Probe *BayProbe `yaml:"probe"` // nil: a bay without probe
	Board string    `yaml:"board"` // an embedded board definition by its name, or the path of a file; empty: none
	// UART interface, baud rate, settle time and low modem lines of this bay. Nil or 0: those of the board definition.
	Interface *int          `yaml:"interface"`
	Baud      int           `yaml:"baud"`
	Settle    time.Duration `yaml:"settle"`
	Low       []string      `yaml:"low"`
	// Answer is how long the board may take for an answer before the station asks again; 0: devices.Options.
	Answer time.Duration `yaml:"answer"`
}

// BayProbe says which probe belongs to a bay.
type BayProbe struct {
	Driver string `yaml:"driver"` // openocd, jlinkexe, or the name of a recipe
	Serial string `yaml:"serial"` // as the probe says it; empty: whichever probe is at the USB path
	USB    string `yaml:"usb"`    // USB path of the probe; empty: that of the bay
	// Network allows a probe that answers over the network. Emulated boards always have one.
	Network bool `yaml:"network"`
}

// UARTInterface returns the USB interface of the bay's UART, by the bay or its board definition (nil: none); -1: the only one.
func (b *Bay) UARTInterface(board *Board) int {
	switch {
	case b.Interface != nil:
		return *b.Interface
	case board != nil:
		return board.UART.Interface
	}
	return -1
}

// rttScheme begins a Port that is a probe.
const rttScheme = "rtt:"

// IsRTT reports whether a port is a probe that carries SMP over RTT.
func IsRTT(port string) bool { return strings.HasPrefix(port, rttScheme) }

// RTT returns the serial number of the probe that carries SMP, and false for a bay with a UART.
func (b *Bay) RTT() (serial string, ok bool) { return strings.CutPrefix(b.Port, rttScheme) }

// HasProbe reports whether a probe belongs to the bay.
func (b *Bay) HasProbe() bool { return b.Probe != nil || IsRTT(b.Port) }

// ProbeSerial returns the serial number of the bay's probe, and "" if only a USB path selects it.
func (b *Bay) ProbeSerial() string {
	if serial, ok := b.RTT(); ok {
		return serial
	}
	if b.Probe == nil {
		return ""
	}
	return b.Probe.Serial
}

// HasSerial reports whether the bay's probe has this serial number, as a device says it.
func (b *Bay) HasSerial(serial string) bool { return SameSerial(serial, b.ProbeSerial()) }

// ProbeLocation returns the USB path of the bay's probe, and "" if only the serial number selects it.
func (b *Bay) ProbeLocation() string {
	if b.Probe != nil && b.Probe.USB != "" {
		return b.Probe.USB
	}
	return b.USB
}
