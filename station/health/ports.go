package health

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"hallmark/devices/serial"
	"hallmark/devices/usb"
	"hallmark/station/instance"
)

// errNotPlugged: a warning. The port of a board with USB of its own appears with the board.
var errNotPlugged = errors.New("not plugged in yet")

// checkPorts opens and closes each serial port. It sends no octets, but the open raises DTR and RTS, which restarts some boards. At the start of a shift it looks only at the ports of the bays, and opens none.
func (c *Checker) checkPorts(context.Context) (finding, error) {
	if c.boards != nil {
		return c.examineBays()
	}
	ports, err := c.portNames()
	if err != nil || len(ports) == 0 {
		return said("no-port", "none is plugged in"), err
	}
	var bad []error
	for _, name := range ports {
		if err := tryPort(name); err != nil {
			bad = append(bad, err) // it names the port
		}
	}
	return finding{text: strings.Join(ports, ", ")}, errors.Join(bad...)
}

// tryPort opens and closes one port.
func tryPort(name string) error {
	port, err := instance.OpenPort(serial.Config{Name: name})
	if err != nil {
		return err
	}
	return port.Close()
}

// examineBays looks at the ports of the bays. A port that is missing is a warning, and everything else is a failure.
func (c *Checker) examineBays() (finding, error) {
	var good []string
	var missing, bad []error
	for _, bay := range c.bays {
		if bay.Kind != nil {
			continue
		}
		path, err := c.boards.ExaminePort(bay)
		switch {
		case err == nil:
			good = append(good, path)
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, usb.ErrAbsent):
			missing = append(missing, fmt.Errorf("bay %s: %w: %w", bay.Name, errNotPlugged, err))
		default:
			bad = append(bad, fmt.Errorf("bay %s: %w", bay.Name, err))
		}
	}
	if len(bad) > 0 {
		return finding{}, errors.Join(bad...)
	}
	if len(good)+len(missing) == 0 {
		return said("emulated", "the boards are emulated"), nil
	}
	return finding{text: strings.Join(good, ", ")}, errors.Join(missing...)
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
