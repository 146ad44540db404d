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
// Without Selection.Network such a J-Link is refused: everybody on the network can answer a broadcast with this number.
func (d *device) searches() bool {
	if d.selected.Serial == "" {
		return false
	}
	found, err := probe.JLinks(d.cfg.USB)
	return err != nil || !slices.ContainsFunc(found, func(f probe.Found) bool { return d.selected.Serial.Is(f.Serial) })
}

// expected returns the serial number of the selected probe, from sysfs where a USB path is selected. It refuses another one at
// the path, and, without a path, two probes with the number: OpenOCD would take the first.
func (d *device) expected() (probe.Serial, error) {
	if d.selected.Location == "" {
		return d.selected.Only(d.cfg.USB)
	}
	return d.selected.AtPath(d.cfg.USB)
}
