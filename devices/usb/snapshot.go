package usb

import (
	"errors"
	"fmt"
)

// A Snapshot is which UARTs the devices on USB had at one moment, by USB path. It reads only names and links, because a station looks
// whenever something is plugged in. Of a Port it has Device and Interface; [Scan] reads the rest.
type Snapshot map[string][]Port

// TakeSnapshot takes a Snapshot.
func TakeSnapshot(dir string) (Snapshot, error) {
	found, err := root(dir).snapshot()
	if err != nil {
		return nil, fmt.Errorf("looking at USB: %w", err)
	}
	return found, nil
}

func (r root) snapshot() (Snapshot, error) {
	devices, err := names(r.at(usbDevices))
	if err != nil {
		return nil, err
	}
	ttys, err := names(r.at(ttyClass))
	if err != nil {
		return nil, err
	}
	return r.uarts(devices, ttys)
}

// uarts follows the links of ttys. A device that was plugged in since the names were read is left out.
func (r root) uarts(devices, names []string) (Snapshot, error) {
	ttys, err := r.ttysOf(names)
	if err != nil {
		return nil, err
	}
	found := Snapshot{}
	for path := range grouped(devices) {
		found[path] = nil
		for _, tty := range ttys[path] {
			found[path] = append(found[path], Port{Device: "/dev/" + tty.name, Interface: tty.number})
		}
		sortPorts(found[path])
	}
	return found, nil
}

// Refusals of Find and of [Device.Port].
var (
	ErrAbsent      = errors.New("nothing is plugged in here")
	ErrNoPort      = errors.New("the device has no UART")
	ErrWhichPort   = errors.New("the device has several UARTs: name one of them with interface")
	ErrNoInterface = errors.New("the device has no such UART")
)

// Find returns the tty of the UART with an interface number of the device at a USB path, such as /dev/ttyACM0. -1 stands for
// the only UART.
func (s Snapshot) Find(path string, number int) (device string, err error) {
	ports, there := s[path]
	if !there {
		return "", fmt.Errorf("USB path %s: %w", path, ErrAbsent)
	}
	port, err := (&Device{Path: path, Ports: ports}).Port(number)
	return port.Device, err
}
