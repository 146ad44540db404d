package openocd

import (
	"context"
	"fmt"
	"slices"

	"hallmark/devices/probe"
)

// List returns the J-Links on USB, from sysfs: OpenOCD itself cannot list probes.
func (d *Driver) List(ctx context.Context) ([]probe.Found, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	found, err := probe.JLinks(d.cfg.USB)
	if err != nil {
		return nil, fmt.Errorf("listing the probes on USB: %w", err)
	}
	return found, nil
}

// searches reports whether OpenOCD looks for the probe on the network: only there two OpenOCD that start together
// disturb each other. It looks there for a serial number that no J-Link on USB has.
func (d *device) searches() bool {
	if d.selected.Serial == "" {
		return false
	}
	found, err := probe.JLinks(d.cfg.USB)
	return err != nil || !slices.ContainsFunc(found, func(f probe.Found) bool { return d.selected.Serial.Is(f.Serial) })
}

// atPath returns the serial number at the selected USB path, and compares it with the selected one; "": no path is selected.
func (d *device) atPath() (probe.Serial, error) {
	if d.selected.Location == "" {
		return "", nil
	}
	return d.selected.AtPath(d.cfg.USB)
}
