package probe

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
)

// USBDevices is where Linux shows the devices on USB.
const USBDevices = "/sys/bus/usb/devices"

// segger is the USB vendor id of SEGGER.
const segger = "1366"

// JLinks returns the J-Links on USB, from a directory such as USBDevices.
func JLinks(dir string) (all []Found, err error) {
	devices := os.DirFS(dir)
	names, err := fs.ReadDir(devices, ".")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // a machine without USB
	}
	for _, entry := range names {
		if attribute(devices, entry.Name(), "idVendor") != segger {
			continue
		}
		serial, err := ParseSerial(attribute(devices, entry.Name(), "serial"))
		if err != nil {
			continue // a probe without serial number cannot be selected
		}
		id := segger + ":" + attribute(devices, entry.Name(), "idProduct")
		all = append(all, Found{Serial: serial, Location: entry.Name(), USBID: id, Product: attribute(devices, entry.Name(), "product")})
	}
	return all, err
}

// attribute reads an attribute of a device. Interfaces and hubs lack some; a device may vanish meanwhile.
func attribute(devices fs.FS, name, attribute string) string {
	text, err := fs.ReadFile(devices, path.Join(name, attribute))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// AtPath returns the serial number at the selected USB path. It refuses another one than the selected one.
func (s Selection) AtPath(dir string) (Serial, error) {
	text := attribute(os.DirFS(dir), s.Location, "serial")
	if text == "" {
		return "", fmt.Errorf("%w: nothing is connected at the USB path %s", ErrMissing, s.Location)
	}
	serial, err := ParseSerial(text)
	if err != nil {
		return "", fmt.Errorf("%w: at the USB path %s is a device with the serial number %.40q", ErrWrongSerial, s.Location, text)
	}
	if err := s.MustBe(serial); err != nil {
		return "", fmt.Errorf("at the USB path %s: %w", s.Location, err)
	}
	return serial, nil
}
