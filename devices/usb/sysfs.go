package usb

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// A root is the directory that holds sys and dev.
type root string

func (r root) at(elements ...string) string {
	return filepath.Join(append([]string{string(r)}, elements...)...)
}

const (
	usbDevices = "sys/bus/usb/devices"
	ttyClass   = "sys/class/tty"
	byPath     = "dev/serial/by-path"
	byID       = "dev/serial/by-id"
)

// vanished reports whether an error means that a device was pulled while it was read: its
// directory is gone, or the kernel refuses to read the attribute.
func vanished(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENODEV) || errors.Is(err, syscall.ENOTDIR)
}

// names returns the names in a directory; none if the directory does not exist. Kernel and udev use printable ASCII only
// (udev writes others as \x20); other names, which a recorded bench may have, would write commands to a terminal or lines into YAML.
func names(dir string) ([]string, error) {
	directory, err := os.OpenFile(dir, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NONBLOCK, 0) // a recorded bench may have a pipe there
	if vanished(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	entries, err := directory.Readdirnames(-1)
	entries = slices.DeleteFunc(entries, func(name string) bool { return strings.ContainsFunc(name, unprintable) })
	return entries, errors.Join(err, directory.Close())
}

func unprintable(r rune) bool { return r < 0x20 || r > 0x7e }

// maxAttribute is how much of an attribute is kept, in octets. A USB string has at most 126 characters
// (USB 2.0 section 9.6.7).
const maxAttribute = 126

// attribute reads a file of sysfs; "" if there is none. A link is none: in a recorded bench it could lead anywhere. A directory is none, either. It keeps only printable ASCII, because the text comes from a device.
func attribute(dir, name string) (string, error) {
	text, err := firstOctets(filepath.Join(dir, name))
	if vanished(err) || errors.Is(err, syscall.ELOOP) || errors.Is(err, syscall.EISDIR) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	clean := strings.Map(func(r rune) rune {
		if unprintable(r) {
			return -1
		}
		return r
	}, string(text))
	return strings.TrimSpace(clean[:min(len(clean), maxAttribute)]), nil
}

// firstOctets reads the beginning of a file with one read, as sysfs wants it. os.ReadFile needs twice as many system
// calls, and a bench has some hundred attributes. It does not wait for the writer of a pipe.
func firstOctets(path string) ([]byte, error) {
	fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	text := make([]byte, 2*maxAttribute)
	n, err := syscall.Read(fd, text)
	if closed := syscall.Close(fd); err == nil {
		err = closed
	}
	if err != nil {
		return nil, &fs.PathError{Op: "read", Path: path, Err: err}
	}
	return text[:n], nil
}

// link returns the last element of the target of a symbolic link; "" if there is no link.
func link(path string) (string, error) {
	target, err := readlink(path)
	if target == "" || err != nil {
		return "", err
	}
	return filepath.Base(target), nil
}

// readlink returns the target of a symbolic link; "" if there is no link.
func readlink(path string) (string, error) {
	target, err := os.Readlink(path)
	if vanished(err) || errors.Is(err, syscall.EINVAL) {
		return "", nil
	}
	return target, err
}
