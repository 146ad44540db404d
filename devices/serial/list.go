package serial

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A Found is a port that is plugged in. The port is not opened to find it.
type Found struct {
	Path      string // stable name by position: /dev/serial/by-path/…; it names the bay
	Device    string // the device behind Path at this moment: /dev/ttyACM0
	VID, PID  string // USB ids, four lower-case hexadecimal digits; "" when it is not on USB
	Serial    string // serial number of the adapter or probe
	Product   string
	Interface int // USB interface number; -1 when it is not on USB
}

const byPath = "dev/serial/by-path"

// List returns the ports below root ("/" for this machine), sorted by path. It leaves
// out a port that disappears meanwhile. udev may give one port two names; List takes
// the shorter one.
func List(root string) ([]Found, error) {
	entries, err := os.ReadDir(filepath.Join(root, byPath))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // udev makes the directory with the first port
	}
	if err != nil {
		return nil, fmt.Errorf("listing ports: %w", err)
	}
	names := make([]string, 0, len(entries))
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	slices.SortFunc(names, func(a, b string) int { return len(a) - len(b) })
	taken := map[string]bool{}
	var found []Found
	for _, name := range names {
		port, err := findPort(root, name)
		if errors.Is(err, fs.ErrNotExist) || err == nil && taken[port.Device] {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("looking at port %q: %w", name, err)
		}
		taken[port.Device] = true
		found = append(found, port)
	}
	slices.SortFunc(found, func(a, b Found) int { return strings.Compare(a.Path, b.Path) })
	return found, nil
}

func findPort(root, name string) (Found, error) {
	target, err := os.Readlink(filepath.Join(root, byPath, name))
	if err != nil {
		return Found{}, err
	}
	tty := filepath.Base(target)
	port := Found{
		Path:      filepath.Join("/", byPath, name),
		Device:    filepath.Join("/dev", tty),
		Interface: -1,
	}
	device, err := filepath.EvalSymlinks(filepath.Join(root, "sys/class/tty", tty, "device"))
	if err != nil {
		return Found{}, err
	}
	return port, port.climb(device, filepath.Clean(root))
}

// climb reads the attributes of the tty's USB interface and of its USB device.
func (f *Found) climb(dir, root string) error {
	for ; len(dir) > len(root) && dir != "/"; dir = filepath.Dir(dir) {
		if number, err := attribute(dir, "bInterfaceNumber"); err != nil {
			return err
		} else if value, bad := strconv.ParseUint(number, 16, 8); bad == nil && f.Interface < 0 {
			f.Interface = int(value)
		}
		vid, err := attribute(dir, "idVendor")
		if err != nil {
			return err
		}
		if vid != "" {
			f.VID = strings.ToLower(vid)
			return f.describe(dir)
		}
	}
	return nil
}

func (f *Found) describe(dir string) error {
	for name, field := range map[string]*string{"idProduct": &f.PID, "serial": &f.Serial, "product": &f.Product} {
		text, err := attribute(dir, name)
		if err != nil {
			return err
		}
		*field = text
	}
	f.PID = strings.ToLower(f.PID)
	return nil
}

// attribute reads a file of sysfs; "" when there is none. It keeps only printable ASCII
// of a device's text, at most 64 octets.
func attribute(dir, name string) (string, error) {
	text, err := os.ReadFile(filepath.Join(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	clean := strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e {
			return -1
		}
		return r
	}, string(text))
	return clean[:min(len(clean), 64)], nil
}
