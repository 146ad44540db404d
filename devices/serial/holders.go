package serial

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Holders says which programs have a tty open, by device: "/dev/ttyACM0" → "ModemManager (PID 812)". It opens no
// port. It sees the programs of this user, and those of all users for root.
func Holders() (map[string]string, error) {
	links, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return nil, fmt.Errorf("looking for programs that use ports: %w", err)
	}
	holders := map[string]string{}
	for _, link := range links {
		device, err := os.Readlink(link) // an error means that the file was closed meanwhile
		if err == nil && strings.HasPrefix(device, "/dev/tty") {
			holders[device] = program(filepath.Dir(filepath.Dir(link)))
		}
	}
	return holders, nil
}

// program names the process of a directory in /proc. A process may end meanwhile.
func program(dir string) string {
	name, _ := os.ReadFile(filepath.Join(dir, "comm"))
	return fmt.Sprintf("%s (PID %s)", cmp.Or(strings.TrimSpace(string(name)), "a program"), filepath.Base(dir))
}

// Locked reports whether a station has the port open, also a station of another user.
func Locked(config Config) (bool, error) {
	name, err := lockFile(config.LockDir, config.Name)
	if err != nil {
		return false, err
	}
	lock, err := os.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) { // never used, or by another user: Open says so
		return errors.Is(err, os.ErrPermission), nil
	}
	if err != nil {
		return false, fmt.Errorf("looking at the lock of port %q: %w", config.Name, err)
	}
	err = unix.Flock(int(lock.Fd()), unix.LOCK_SH|unix.LOCK_NB)
	return errors.Is(err, unix.EWOULDBLOCK), lock.Close() // closing gives the lock back
}
