package openocd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"hallmark/devices/probe"
)

// segger is the USB vendor id of SEGGER.
const segger = "1366"

// List returns the J-Links on USB, from sysfs: OpenOCD itself cannot list probes.
func (d *Driver) List(ctx context.Context) ([]probe.Found, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	found, err := list(os.DirFS(d.cfg.USB))
	if err != nil {
		return nil, fmt.Errorf("listing the probes on USB: %w", err)
	}
	return found, nil
}

func list(devices fs.FS) (all []probe.Found, err error) {
	names, err := fs.ReadDir(devices, ".")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // a machine without USB
	}
	for _, entry := range names {
		if attribute(devices, entry.Name(), "idVendor") != segger {
			continue
		}
		serial, err := probe.ParseSerial(attribute(devices, entry.Name(), "serial"))
		if err != nil {
			continue // a probe without serial number cannot be selected
		}
		id := segger + ":" + attribute(devices, entry.Name(), "idProduct")
		all = append(all, probe.Found{Serial: serial, Location: entry.Name(), USBID: id, Product: attribute(devices, entry.Name(), "product")})
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

// checkLocation compares the serial number at the selected USB path with the selected one, where both are given.
func (d *device) checkLocation() error {
	if d.selected.Location == "" {
		return nil
	}
	text := attribute(os.DirFS(d.cfg.USB), d.selected.Location, "serial")
	if text == "" {
		return fmt.Errorf("%w: nothing is connected at the USB path %s", probe.ErrMissing, d.selected.Location)
	}
	serial, err := probe.ParseSerial(text)
	if err != nil {
		return fmt.Errorf("%w: at the USB path %s is a device with the serial number %.40q", probe.ErrWrongSerial, d.selected.Location, text)
	}
	if err := d.selected.MustBe(serial); err != nil {
		return fmt.Errorf("at the USB path %s: %w", d.selected.Location, err)
	}
	return nil
}
