package workdir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"hallmark/station/reason"
)

// ErrForeign: another user owns what runs as code of the station, or a directory on the way to it.
var ErrForeign = reason.New("writable-by-others", "another user owns this, and so decides which code the station runs")

// CheckCode refuses a file whose content runs as code of the station if everybody may write or replace it, or if another user than root and this
// one owns it. It looks at each directory and each link on the way to the file, because whoever may write there may put
// another file in its place. A group may write, as in CheckModes.
func CheckCode(path string) error {
	_, err := follow(path, isTrusted)
	if errors.Is(err, unix.ELOOP) {
		return nil // whoever opens the file says it
	}
	return err
}

// isTrusted refuses a file, a directory or a link that somebody else may change.
func isTrusted(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return nil // whoever needs the file says that it is missing
	} else if err != nil {
		return fmt.Errorf("looking who may change %s: %w", path, err)
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Uid != 0 && int(stat.Uid) != os.Geteuid() && !isUnmapped(stat.Uid) {
		return fmt.Errorf("%s belongs to user %d: %w; look whether somebody changed it, then give it to this user with chown", path, stat.Uid, ErrForeign)
	}
	switch {
	case info.Mode()&fs.ModeSymlink != 0: // a link has no mode of its own
		return nil
	case info.IsDir() && info.Mode()&fs.ModeSticky != 0: // nobody replaces the file of another user there
		return nil
	case info.Mode().Perm()&0o002 != 0:
		return writable(path, info)
	}
	return nil
}

// isUnmapped reports whether a user id stands for all users that a user namespace does not have, root outside of it among
// them (user_namespaces(7)). There nobody can say who owns the file.
func isUnmapped(user uint32) bool {
	overflow, err := os.ReadFile("/proc/sys/kernel/overflowuid")
	if err != nil || strings.TrimSpace(string(overflow)) != strconv.FormatUint(uint64(user), 10) {
		return false
	}
	users, err := os.ReadFile("/proc/self/uid_map")
	return err == nil && strings.Join(strings.Fields(string(users)), " ") != "0 0 4294967295"
}
