package probe

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
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

// Only is AtPath for a programmer that selects by the serial number alone: it also refuses a second probe with the serial
// number, because the programmer would take either of them. Without a USB path, all devices on USB count.
func (s Selection) Only(dir string) (serial Serial, err error) {
	if serial = s.Serial; s.Location != "" {
		if serial, err = s.AtPath(dir); err != nil {
			return "", err
		}
	}
	if serial == "" {
		return "", nil
	}
	devices := os.DirFS(dir)
	names, err := fs.ReadDir(devices, ".")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("looking for a second probe with the serial number %s: %w", serial, err)
	}
	mine := kindsOf(devices, names, s.Location)
	places := map[string]string{} // kind → USB path of the first device with the serial number
	for _, entry := range names {
		if !Serial(attribute(devices, entry.Name(), "serial")).Is(serial) {
			continue
		}
		for _, kind := range kindsOf(devices, names, entry.Name()) {
			if len(mine) > 0 && !slices.Contains(mine, kind) {
				continue
			}
			if first := places[kind]; first != "" {
				return "", fmt.Errorf("%w: %s at the USB paths %s and %s, and this programmer selects by the serial number only", ErrAmbiguous, serial, first, entry.Name())
			}
			places[kind] = entry.Name()
		}
	}
	return serial, nil
}

// cmsisDAP is in a name of each probe of this kind, whoever made it (CMSIS-DAP specification, USB Interface).
const cmsisDAP = "CMSIS-DAP"

// kindsOf returns what a programmer could take the device for: a device of its maker, and a CMSIS-DAP probe. Other devices of another
// maker may have the serial number of a probe.
func kindsOf(devices fs.FS, all []fs.DirEntry, name string) (kinds []string) {
	maker := attribute(devices, name, "idVendor")
	if maker == "" {
		return nil
	}
	texts := attribute(devices, name, "product")
	for _, entry := range all {
		if strings.HasPrefix(entry.Name(), name+":") {
			texts += "\n" + attribute(devices, entry.Name(), "interface")
		}
	}
	if kinds = []string{maker}; strings.Contains(texts, cmsisDAP) {
		kinds = append(kinds, cmsisDAP)
	}
	return kinds
}
