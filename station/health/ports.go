package health

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"hallmark/devices/serial"
	"hallmark/devices/usb"
)

// checkPorts opens and closes each serial port. It sends nothing to the boards, so it does not
// disturb them.
func (c *Checker) checkPorts(context.Context) (string, error) {
	ports, err := c.portNames()
	if err != nil || len(ports) == 0 {
		return "none is plugged in", err
	}
	var bad []error
	for _, name := range ports {
		port, err := serial.Open(serial.Config{Name: name})
		if err == nil {
			err = port.Close()
		}
		if err != nil {
			bad = append(bad, fmt.Errorf("%s: %w", name, err))
		}
	}
	return strings.Join(ports, ", "), errors.Join(bad...)
}

// portNames returns the ports of the command line, or all ports of the machine.
func (c *Checker) portNames() ([]string, error) {
	if c.ports != nil {
		return c.ports, nil
	}
	tree, err := usb.Scan("/")
	if err != nil {
		return nil, err
	}
	return tree.Names(), nil
}
