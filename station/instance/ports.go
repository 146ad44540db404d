package instance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"hallmark/devices/serial"
	"hallmark/devices/serial/remote"
	"hallmark/devices/usb"
)

// Root returns the directory that holds dev and sys of this machine.
func (s *BoardSource) Root() string { return s.files.Machine() }

// Sight looks once at what is plugged in. The function that it returns reports whether the port of a bay exists and can be opened
// by this user. A port that has just appeared belongs to root until udev has given it to the users. A remote port, and a probe that
// carries SMP, are always present, as an adapter that is built in.
func (s *BoardSource) Sight() (present func(BaySpec) bool) {
	snapshot := sync.OnceValues(func() (usb.Snapshot, error) { return usb.TakeSnapshot(s.Root()) })
	return func(bay BaySpec) bool {
		if bay.overRTT() {
			return true
		}
		path := bay.Port
		if path == "" {
			seen, err := snapshot()
			if err != nil {
				return false
			}
			device, err := seen.Find(bay.Bay.USB, bay.Bay.UARTInterface(bay.Board))
			if err != nil {
				return false
			}
			path = filepath.Join(s.Root(), device)
		}
		return remote.Is(path) || unix.Access(path, unix.R_OK|unix.W_OK) == nil
	}
}

// portConfig says how the port of a bay is found and opened. The values of the bay override those of its board
// definition, and those override boards.baud.
func (s *BoardSource) portConfig(bay BaySpec) serial.StableConfig {
	config := serial.StableConfig{Config: serial.Config{Name: bay.Port, Baud: s.files.Config.Boards.Baud}, Open: OpenPort}
	if bay.Board != nil {
		uart := bay.Board.UART
		config.Settle = uart.Settle
		config.Baud = cmp.Or(uart.Baud, config.Baud)
		config.LowDTR, config.LowRTS = slices.Contains(uart.Low, "dtr"), slices.Contains(uart.Low, "rts")
	}
	if bay.Bay != nil {
		config.Settle, config.Baud = cmp.Or(bay.Bay.Settle, config.Settle), cmp.Or(bay.Bay.Baud, config.Baud)
		if low := bay.Bay.Low; low != nil {
			config.LowDTR, config.LowRTS = slices.Contains(low, "dtr"), slices.Contains(low, "rts")
		}
	}
	config.Find = func() (string, error) { return bay.Port, nil }
	if bay.Port == "" {
		config.Name = "USB path " + bay.Bay.USB
		config.Find = func() (string, error) { return findOnUSB(s.Root(), bay.Bay.USB, bay.Bay.UARTInterface(bay.Board)) }
	}
	return config
}

// OpenPort opens a port of this machine by its path, or one that another machine serves by its address.
func OpenPort(config serial.Config) (serial.AnyPort, error) {
	if !remote.Is(config.Name) {
		port, err := serial.Open(config)
		if err != nil {
			return nil, err
		}
		return port, nil
	}
	address, err := remote.Parse(config.Name)
	if err != nil {
		return nil, err
	}
	port, err := remote.Open(remote.Config{Address: address, Baud: config.Baud, LowDTR: config.LowDTR, LowRTS: config.LowRTS})
	if err != nil {
		return nil, err
	}
	return port, nil
}

// followed returns a function that finds a port again by its place, after the kernel has given it another number. A
// port that is no device of USB, or has a name of its place, is found by its name.
func (s *BoardSource) followed(port string, byName func() (string, error)) func() (string, error) {
	tree, err := usb.Scan(s.Root())
	if err != nil {
		return byName // a machine without sysfs
	}
	device := "/" + strings.TrimPrefix(strings.TrimPrefix(port, s.Root()), "/")
	at := tree.ByPort(device)
	if at == nil || tree.DeviceOf(device) != device {
		return byName
	}
	i := slices.IndexFunc(at.Ports, func(p usb.Port) bool { return p.Device == device })
	return func() (string, error) { return findOnUSB(s.Root(), at.Path, at.Ports[i].Interface) }
}

// ExaminePort looks at the port of a bay without opening it, and returns its path. The error wraps fs.ErrNotExist or
// usb.ErrAbsent if no board is there. It does not connect to a remote port, because a connection may reset the board, and says so behind its name. It asks no probe.
func (s *BoardSource) ExaminePort(bay BaySpec) (string, error) {
	if bay.overRTT() {
		return bay.Port, s.findProbe(bay)
	}
	config := s.portConfig(bay)
	path, err := config.Find()
	if err != nil {
		return config.Name, err
	}
	config.Name = path
	if remote.Is(path) {
		return path + " (not examined)", nil
	}
	return path, serial.Examine(config.Config)
}

// findProbe looks for the probe of a bay on USB. It starts no programmer.
func (s *BoardSource) findProbe(bay BaySpec) error {
	tree, err := usb.Scan(s.Root())
	if err != nil {
		return err
	}
	if device := tree.FindProbe(bay.Bay.ProbeLocation(), bay.Bay.HasSerial); device != nil && bay.Bay.HasSerial(device.Serial) {
		return nil
	}
	return fmt.Errorf("probe %s: %w", bay.Bay.ProbeSerial(), usb.ErrAbsent)
}

// findOnUSB returns the tty that the kernel has now for a UART. The kernel may have it before udev has made a name for it.
func findOnUSB(root, path string, number int) (string, error) {
	seen, err := usb.TakeSnapshot(root)
	if err != nil {
		return "", err
	}
	device, err := seen.Find(path, number)
	if err != nil {
		return "", err
	}
	return filepath.Join(root, device), nil
}

var errSameProbe = errors.New("two bays have the same probe: name another probe for one of them; `station bays` shows which probe belongs to which bay")

var errSamePort = errors.New("two bays have the same port: name another port for one of them")

// distinctPorts refuses two bays with the same port, and a path of --boards that can be no port. It looks only at ports that
// are plugged in.
func (s *BoardSource) distinctPorts(bays []BaySpec) error {
	seen := map[string]string{}
	var remotes []remotePort
	for _, bay := range bays {
		if bay.Kind != nil || bay.overRTT() {
			continue
		}
		path, err := s.portConfig(bay).Find()
		if err != nil {
			continue // not plugged in: the bay says so when its Run begins
		}
		if address, err := remote.Parse(path); err == nil {
			remotes = append(remotes, remotePort{bay.Name, address})
			continue
		}
		if err := serial.CheckKind(path); bay.Bay == nil && errors.Is(err, serial.ErrNotSerial) {
			return fmt.Errorf("bay %q: %s: %w", bay.Name, path, err)
		}
		if path, err = filepath.EvalSymlinks(path); err != nil {
			continue
		}
		if other, taken := seen[path]; taken {
			return fmt.Errorf("bays %q and %q, %s: %w", other, bay.Name, path, errSamePort)
		}
		seen[path] = bay.Name
	}
	return distinctRemotes(remotes)
}

type remotePort struct {
	bay     string
	address remote.Address
}

// resolveTime bounds the questions to the resolver. A host that is not known by then is compared by its name alone.
const resolveTime = 2 * time.Second

// distinctRemotes refuses two bays with the same remote port, whose host each may name in another way. It asks the resolver only
// about hosts with the same number of a port.
func distinctRemotes(ports []remotePort) error {
	ctx, cancel := context.WithTimeout(context.Background(), resolveTime)
	defer cancel()
	for i, a := range ports {
		for _, b := range ports[:i] {
			if a.address.Port != b.address.Port {
				continue
			}
			known := a.address.Servers(ctx)
			if remote.SamePort(a.address, b.address) || slices.ContainsFunc(b.address.Servers(ctx), func(ip netip.Addr) bool { return slices.Contains(known, ip) }) {
				return fmt.Errorf("bays %q and %q: %w", b.bay, a.bay, errSamePort)
			}
		}
	}
	return nil
}

// distinctProbes refuses two bays with the same probe, which each may name in another way. It looks only at probes that are plugged in.
func (s *BoardSource) distinctProbes(bays []BaySpec) error {
	bays = slices.DeleteFunc(slices.Clone(bays), func(b BaySpec) bool { return b.Kind != nil || b.Bay == nil || !b.Bay.HasProbe() })
	if len(bays) < 2 {
		return nil
	}
	tree, err := usb.Scan(s.Root())
	if err != nil {
		return err
	}
	seen := map[string]string{}
	for _, bay := range bays {
		device := tree.FindProbe(bay.Bay.ProbeLocation(), bay.Bay.HasSerial)
		if device == nil {
			continue // not plugged in: the bay says so when its Run begins
		}
		if other, taken := seen[device.Path]; taken {
			return fmt.Errorf("bays %q and %q, probe at USB path %s: %w", other, bay.Name, device.Path, errSameProbe)
		}
		seen[device.Path] = bay.Name
	}
	return nil
}
