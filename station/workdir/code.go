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
	return checkWay(path, isTrusted)
}

// CheckWriters refuses a file that everybody may write or replace. It looks at the whole way, as CheckCode does, and at no owner: an
// administrator calls the program as the user of the station, with a file in a directory of his own.
func CheckWriters(path string) error {
	return checkWay(path, isClosed)
}

// checkWay checks each directory and each link on the way to a file, and the file.
func checkWay(path string, check func(path string) error) error {
	_, err := follow(path, check)
	if errors.Is(err, unix.ELOOP) {
		return nil // whoever opens the file says it
	}
	return err
}

// isTrusted refuses a file, a directory or a link that somebody else may change.
func isTrusted(path string) error {
	info, err := describe(path)
	if info == nil {
		return err
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Uid != 0 && int(stat.Uid) != os.Geteuid() && !isUnmapped(stat.Uid) {
		next := "give it to this user with chown"
		if info.IsDir() { // it may be the home of a person
			next = "move the file to a directory of root or of this user"
		}
		return fmt.Errorf("%s belongs to user %d: %w; look whether somebody changed it, then %s", path, stat.Uid, ErrForeign, next)
	}
	return closed(path, info)
}

// isClosed refuses a file or a directory that everybody may change.
func isClosed(path string) error {
	info, err := describe(path)
	if info == nil {
		return err
	}
	return closed(path, info)
}

// describe says what lies under a path, not following a link. It returns nil for a file that is missing: whoever needs it says so.
func describe(path string) (fs.FileInfo, error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("looking who may change %s: %w", path, err)
	}
	return info, nil
}

// closed refuses modes with which everybody may write.
func closed(path string, info fs.FileInfo) error {
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
