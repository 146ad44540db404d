package usb

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A Device is a USB device with a probe or a UART.
type Device struct {
	Path     string // USB path: "1-2.3"
	VID, PID string // four lower-case hexadecimal digits
	Serial   string // as the device says it, with its leading zeros; may be empty
	Product  string
	Probe    Kind   // NoProbe for a device that has only UARTs
	Ports    []Port // its UARTs, by interface number. Those of a probe are connected to the probe's board
}

// A Port is a UART.
type Port struct {
	Name      string // stable name: /dev/serial/by-path/…, or Device if udev gave it none
	Device    string // the device behind Name at this moment: /dev/ttyACM0
	Interface int    // USB interface number; -1 for a port that is not on USB
	Driver    string // kernel driver, such as cdc_acm or ftdi_sio
}

// Kind is the kind of a debug probe, for people.
type Kind string

// The kinds that Scan knows.
const (
	NoProbe  Kind = ""
	JLink    Kind = "J-Link"
	CMSISDAP Kind = "CMSIS-DAP"
	STLink   Kind = "ST-Link"
	ESPJTAG  Kind = "ESP USB-JTAG"
)

// Vendors of probes, and the products among the vendor's other products.
const (
	segger    = "1366" // all products of SEGGER are probes
	st        = "0483"
	espressif = "303a"
)

var (
	// 60-openocd.rules of OpenOCD 0.12 names these products.
	stLinks  = []string{"3744", "3748", "374b", "374d", "374e", "374f", "3752", "3753", "3754"}
	espJTAGs = []string{"1001", "1002"}
)

func kindByIDs(d *Device) Kind {
	switch {
	case d.VID == segger:
		return JLink
	case d.VID == st && slices.Contains(stLinks, d.PID):
		return STLink
	case d.VID == espressif && slices.Contains(espJTAGs, d.PID):
		return ESPJTAG
	}
	return NoProbe
}

// kindByTexts looks for "CMSIS-DAP" in the names of a product and of its interfaces, where such a probe must
// say it (Arm, CMSIS-DAP, "Connect a debug unit to the USB").
func kindByTexts(texts []string) Kind {
	if slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(text, "CMSIS-DAP") }) {
		return CMSISDAP
	}
	return NoProbe
}

// Port returns the UART with an interface number. -1 stands for the only UART.
func (d *Device) Port(number int) (Port, error) {
	if number < 0 && len(d.Ports) == 1 {
		return d.Ports[0], nil
	}
	for _, port := range d.Ports {
		if number >= 0 && port.Interface == number {
			return port, nil
		}
	}
	switch {
	case len(d.Ports) == 0:
		return Port{}, fmt.Errorf("USB path %s: %w", d.Path, ErrNoPort)
	case number < 0:
		return Port{}, fmt.Errorf("USB path %s: %w: %s", d.Path, ErrWhichPort, d.interfaces())
	}
	return Port{}, fmt.Errorf("USB path %s: %w: interface %d; it has %s", d.Path, ErrNoInterface, number, d.interfaces())
}

func (d *Device) interfaces() string {
	var all []string
	for _, port := range d.Ports {
		all = append(all, fmt.Sprintf("interface %d (%s)", port.Interface, port.Device))
	}
	return strings.Join(all, ", ")
}

// comparePaths orders USB paths by their numbers, so that 1-10 comes after 1-9.
func comparePaths(a, b string) int {
	split := func(r rune) bool { return r == '-' || r == '.' }
	return slices.CompareFunc(strings.FieldsFunc(a, split), strings.FieldsFunc(b, split), func(a, b string) int {
		return cmp.Or(len(a)-len(b), strings.Compare(a, b))
	})
}
