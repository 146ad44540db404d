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
	case isNull(info):
		kind = "it is /dev/null, which answers nothing"
	default:
		return nil
	}
	return fmt.Errorf("%w: %s", ErrNotSerial, kind)
}

// isNull recognises /dev/null and the other devices of memory by their major number (Linux, devices.txt: 1 char).
func isNull(info fs.FileInfo) bool {
	const memory = 1
	file, ok := info.Sys().(*syscall.Stat_t)
	return ok && unix.Major(file.Rdev) == memory
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
