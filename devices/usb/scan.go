package usb

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A Tree is what is plugged in.
type Tree struct {
	Devices []Device // with a probe or a UART, by USB path
	Other   []Port   // ports that are not on USB and that udev names by their place

	aliases map[string]string // device by its names in /dev/serial
	dir     root
}

// Scan reads what is plugged in. It leaves out a device that is pulled meanwhile.
func Scan(dir string) (*Tree, error) {
	r := root(dir)
	tree, err := r.scan()
	if err != nil {
		return nil, fmt.Errorf("looking at USB: %w", err)
	}
	return tree, nil
}

func (r root) scan() (*Tree, error) {
	entries, err := names(r.at(usbDevices))
	if err != nil {
		return nil, err
	}
	stable, err := r.stableNames()
	if err != nil {
		return nil, err
	}
	ttys, err := r.ttys()
	if err != nil {
		return nil, err
	}
	tree := &Tree{dir: r}
	for path, interfaces := range grouped(entries) {
		device, err := r.device(path, interfaces, ttys[path], stable)
		if err != nil {
			return nil, err
		}
		if device.Probe != NoProbe || len(device.Ports) > 0 {
			tree.Devices = append(tree.Devices, device)
		}
	}
	slices.SortFunc(tree.Devices, func(a, b Device) int { return comparePaths(a.Path, b.Path) })
	tree.aliases, tree.Other = stable.aliases, tree.others(stable)
	return tree, nil
}

// grouped returns the interfaces of each device: "1-2" has "1-2:1.0". Root hubs, which are named "usb1", are left out.
func grouped(entries []string) map[string][]string {
	devices := map[string][]string{}
	for _, entry := range entries {
		path, _, isInterface := strings.Cut(entry, ":")
		if strings.HasPrefix(path, "usb") || !strings.Contains(path, "-") {
			continue
		}
		if isInterface {
			devices[path] = append(devices[path], entry)
		} else if devices[path] == nil {
			devices[path] = []string{}
		}
	}
	return devices
}

// Directory is where Linux shows the devices on USB.
const Directory = "/" + usbDevices

// Identities reads who each device on USB is, in a directory such as Directory, by USB path. It looks for no UARTs, and knows
// probes by their ids alone. A machine without USB has none.
func Identities(dir string) (all []Device, err error) {
	entries, err := names(dir)
	for path, interfaces := range grouped(entries) {
		device, failed := identity(dir, path)
		if failed == nil {
			device.Probe, failed = probeOf(dir, &device, interfaces)
		}
		if err = errors.Join(err, failed); failed == nil {
			all = append(all, device)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("looking at USB: %w", err)
	}
	slices.SortFunc(all, func(a, b Device) int { return comparePaths(a.Path, b.Path) })
	return all, nil
}

// identity reads the ids and texts of one device.
func identity(dir, path string) (Device, error) {
	device := Device{Path: path}
	for name, field := range map[string]*string{"idVendor": &device.VID, "idProduct": &device.PID, "serial": &device.Serial, "product": &device.Product} {
		text, err := attribute(filepath.Join(dir, path), name)
		if err != nil {
			return Device{}, err
		}
		*field = text
	}
	device.VID, device.PID = strings.ToLower(device.VID), strings.ToLower(device.PID)
	return device, nil
}

// device reads one device. A device that was pulled meanwhile has neither probe nor UART.
func (r root) device(path string, interfaces []string, ttys []tty, stable *stableNames) (_ Device, err error) {
	device, err := identity(r.at(usbDevices), path)
	if err != nil {
		return Device{}, err
	}
	for _, tty := range ttys {
		driver, err := link(r.at(usbDevices, tty.of, "driver"))
		if err != nil {
			return Device{}, err
		}
		device.Ports = append(device.Ports, stable.port(tty.name, tty.number, driver))
	}
	sortPorts(device.Ports)
	device.Probe, err = probeOf(r.at(usbDevices), &device, interfaces)
	return device, err
}

func sortPorts(ports []Port) {
	slices.SortFunc(ports, func(a, b Port) int { return cmp.Or(a.Interface-b.Interface, strings.Compare(a.Device, b.Device)) })
}

// probeOf says whether a device is a probe. It reads the texts of the interfaces only where the ids do not say so.
func probeOf(dir string, d *Device, interfaces []string) (Kind, error) {
	if kind := kindByIDs(d); kind != NoProbe {
		return kind, nil
	}
	texts := []string{d.Product}
	for _, name := range interfaces {
		text, err := attribute(filepath.Join(dir, name), "interface")
		if err != nil {
			return NoProbe, err
		}
		texts = append(texts, text)
	}
	return kindByTexts(texts), nil
}

// A tty is a UART on USB.
type tty struct {
	name   string // ttyACM0
	of     string // its USB interface: "1-2:1.0"
	number int    // bInterfaceNumber
}

// ttys returns the UARTs by the USB path of their device. The target of the link in the class tty names everything on
// the way, so one call answers what a walk through all interfaces would: ../../devices/…/1-2/1-2:1.0/tty/ttyACM0.
func (r root) ttys() (map[string][]tty, error) {
	entries, err := names(r.at(ttyClass))
	if err != nil {
		return nil, err
	}
	return r.ttysOf(entries)
}

func (r root) ttysOf(entries []string) (map[string][]tty, error) {
	ttys := map[string][]tty{}
	for _, name := range entries {
		if !mayBeUSB(name) {
			continue
		}
		target, err := readlink(r.at(ttyClass, name))
		if err != nil {
			return nil, err
		}
		if path, found := ttyBehind(name, target); found.name != "" {
			ttys[path] = append(ttys[path], found)
		}
	}
	return ttys, nil
}

// mayBeUSB is false for the consoles and the 16550 UARTs, of which a machine has 64 and more.
func mayBeUSB(name string) bool {
	kind := strings.TrimRight(name, "0123456789")
	return strings.HasPrefix(kind, "tty") && kind != "tty" && kind != "ttyS"
}

// ttyBehind finds the USB interface in the target of a link. Its name is PATH:CONFIGURATION.NUMBER, and the number is
// bInterfaceNumber in decimal (usb_set_configuration of Linux).
func ttyBehind(name, target string) (path string, found tty) {
	for element := range strings.SplitSeq(target, "/") {
		path, rest, _ := strings.Cut(element, ":")
		_, number, isInterface := strings.Cut(rest, ".")
		value, err := strconv.ParseUint(number, 10, 8)
		if isInterface && err == nil && strings.Contains(path, "-") {
			return path, tty{name, element, int(value)}
		}
	}
	return "", tty{}
}

// stableNames are the names that udev gives to ports.
type stableNames struct {
	byPath  map[string]string // the shortest name below /dev/serial/by-path, by tty
	aliases map[string]string // device, by name below by-path and by-id
}

// stableNames reads /dev/serial. udev makes the directory with the first port, and may give a port two names.
func (r root) stableNames() (*stableNames, error) {
	stable := &stableNames{byPath: map[string]string{}, aliases: map[string]string{}}
	for _, folder := range []string{byPath, byID} {
		entries, err := names(r.at(folder))
		if err != nil {
			return nil, err
		}
		for _, name := range entries {
			tty, err := link(r.at(folder, name))
			if err != nil {
				return nil, err
			}
			full := "/" + folder + "/" + name
			stable.aliases[full] = "/dev/" + tty
			if known := stable.byPath[tty]; folder == byPath && (known == "" || len(full) < len(known)) {
				stable.byPath[tty] = full
			}
		}
	}
	return stable, nil
}

func (s *stableNames) port(tty string, number int, driver string) Port {
	device := "/dev/" + tty
	return Port{Name: cmp.Or(s.byPath[tty], device), Device: device, Interface: number, Driver: driver}
}

// others returns the ports that udev names by their place and that are not on USB.
func (t *Tree) others(stable *stableNames) (ports []Port) {
	for tty, name := range stable.byPath {
		if t.byDevice("/dev/"+tty) == nil && !strings.Contains(name, "-usb") {
			ports = append(ports, stable.port(tty, -1, ""))
		}
	}
	slices.SortFunc(ports, func(a, b Port) int { return strings.Compare(a.Name, b.Name) })
	return ports
}

// At returns the device at a USB path, or nil.
func (t *Tree) At(path string) *Device {
	for i := range t.Devices {
		if t.Devices[i].Path == path {
			return &t.Devices[i]
		}
	}
	return nil
}

// FindProbe returns the device at a USB path, or, without a path, the first probe whose serial number same accepts; nil: none is there.
func (t *Tree) FindProbe(path string, same func(serial string) bool) *Device {
	if path != "" {
		return t.At(path)
	}
	i := slices.IndexFunc(t.Devices, func(d Device) bool { return d.Probe != NoProbe && same(d.Serial) })
	if i < 0 {
		return nil
	}
	return &t.Devices[i]
}

// ByPort returns the device that a UART belongs to, and nil for a name that is not on USB. The
// UART may have any of its names.
func (t *Tree) ByPort(name string) *Device {
	return t.byDevice(t.DeviceOf(name))
}

// DeviceOf returns the device behind a name of a port at this moment, or the name itself.
func (t *Tree) DeviceOf(name string) string {
	return cmp.Or(t.aliases[name], name)
}

// Has reports whether there is a port of any kind with this name, such as a UART of the board of this machine, or a pseudo terminal.
func (t *Tree) Has(name string) bool {
	look := os.Lstat // a link of a recorded machine must not lead out of the record
	if t.dir == "/" {
		look = os.Stat
	}
	_, err := look(t.dir.at(t.DeviceOf(name)))
	return err == nil
}

func (t *Tree) byDevice(device string) *Device {
	i := slices.IndexFunc(t.Devices, func(d Device) bool {
		return slices.ContainsFunc(d.Ports, func(p Port) bool { return p.Device == device })
	})
	if i < 0 {
		return nil
	}
	return &t.Devices[i]
}

// Names returns the stable names of all ports.
func (t *Tree) Names() (all []string) {
	for _, device := range t.Devices {
		for _, port := range device.Ports {
			all = append(all, port.Name)
		}
	}
	for _, port := range t.Other {
		all = append(all, port.Name)
	}
	return all
}
