package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"hallmark/devices"
	"hallmark/devices/serial"
	"hallmark/station"
)

// serial gives the board that is wired to a port. The port is opened for each
// Run, so that an adapter that was pulled and put back is found again.
func (f *fleet) serial(p place) next {
	return func(context.Context) (station.Board, io.Closer, error) {
		port, err := serial.Open(serial.Config{Name: p.port, Baud: f.baud})
		if err != nil {
			return nil, nil, err
		}
		client := devices.NewClient(port, devices.Options{})
		return client, client, nil // closing the client closes the port
	}
}

// serialPorts opens and closes each port. A board behind it is not asked: the
// examination changes nothing on the bench.
func (p *patient) serialPorts(context.Context) (string, error) {
	ports, err := p.portNames()
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

// portNames are those asked for, or all that are found.
func (p *patient) portNames() ([]string, error) {
	if p.ports != nil {
		return p.ports, nil
	}
	found, err := serial.List("/")
	var names []string
	for _, port := range found {
		names = append(names, port.Path)
	}
	return names, err
}
