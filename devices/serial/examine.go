package serial

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// Examine looks at a port without opening it. Its errors are those of Open for a port that is not there, that is no
// serial port, that this user may not open, or that another program uses.
func Examine(config Config) error {
	if err := examine(config); err != nil {
		return fmt.Errorf("port %q: %w", config.Name, err)
	}
	return nil
}

func examine(config Config) error {
	if err := CheckKind(config.Name); err != nil {
		return err
	}
	if err := mayOpen(config.Name); err != nil {
		return err
	}
	return notInUse(config.LockDir, config.Name)
}

// CheckKind returns fs.ErrNotExist, or ErrNotSerial for a file that can be no serial port.
func CheckKind(name string) error {
	info, err := os.Stat(name)
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err // the caller names the port
	}
	if err != nil {
		return err
	}
	kind := ""
	switch mode := info.Mode(); {
	case mode.IsDir():
		kind = "it is a directory: name one port in it"
	case mode.IsRegular():
		kind = "it is a file"
	case mode&fs.ModeCharDevice == 0:
		kind = "it is a pipe, a socket or a disk"
	default:
		if file, ok := info.Sys().(*syscall.Stat_t); ok {
			kind = otherDevice("/sys/dev/char", file.Rdev)
		}
	}
	if kind == "" {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrNotSerial, kind)
}

// otherDevice says what a character device is that is no serial port, and returns nothing for one that may be one. It does not
// open the device, because the open of some has an effect: a watchdog restarts the machine. sys is /sys/dev/char, which does not
// have pseudo-terminals.
func otherDevice(sys string, device uint64) string {
	const memory, terminals, special, consoles = 1, 4, 5, 64 // devices.txt of Linux; 4:64 is ttyS0
	switch major, minor := unix.Major(device), unix.Minor(device); {
	case major == memory:
		return "it is a device of memory, as /dev/null is, and answers nothing"
	case major == special, major == terminals && minor < consoles:
		return "it is the terminal or a console of this machine"
	}
	class, err := os.Readlink(filepath.Join(sys, fmt.Sprintf("%d:%d", unix.Major(device), unix.Minor(device)), "subsystem"))
	if class = filepath.Base(class); err != nil || class == "tty" {
		return ""
	}
	return "it is a device of the class " + class
}

// A DeniedError says that this user may not open a port, and how that is mended. It wraps ErrDenied and fs.ErrPermission.
type DeniedError struct {
	Owner, Group string
	Mode         fs.FileMode
	User         string
}

func (e *DeniedError) Error() string {
	const group = 0o060
	if e.Group == "root" || e.Mode&group != group {
		return fmt.Sprintf("%v: it belongs to %s:%s with mode %04o, so a udev rule must give it to a group of its own", ErrDenied, e.Owner, e.Group, e.Mode)
	}
	return fmt.Sprintf("%v: it belongs to the group %s; run `sudo usermod -aG %s %s` and sign in again", ErrDenied, e.Group, e.Group, e.User)
}
func (e *DeniedError) Unwrap() []error { return []error{ErrDenied, fs.ErrPermission} }

// Detail names the group, see reason.Detail.
func (e *DeniedError) Detail() string { return e.Group }

// mayOpen returns a DeniedError if this user may not read and write a port.
func mayOpen(name string) error {
	if unix.Access(name, unix.R_OK|unix.W_OK) == nil {
		return nil
	}
	var file unix.Stat_t
	if err := unix.Stat(name, &file); err != nil {
		return err
	}
	return denied(&file, strconv.Itoa(os.Geteuid()))
}

func denied(file *unix.Stat_t, uid string) *DeniedError {
	e := &DeniedError{Mode: fs.FileMode(file.Mode & 0o777), User: uid}
	owner, group := strconv.FormatUint(uint64(file.Uid), 10), strconv.FormatUint(uint64(file.Gid), 10)
	e.Owner, e.Group = owner, group
	if who, err := user.LookupId(uid); err == nil {
		e.User = who.Username
	}
	if who, err := user.LookupId(owner); err == nil {
		e.Owner = who.Username
	}
	if of, err := user.LookupGroupId(group); err == nil {
		e.Group = cmp.Or(of.Name, group)
	}
	return e
}

// realPath returns the path of the tty behind a name.
func realPath(name string) (string, error) {
	real, err := filepath.EvalSymlinks(name)
	if err != nil {
		return "", err
	}
	return filepath.Abs(real)
}
