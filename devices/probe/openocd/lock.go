package openocd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"hallmark/devices/probe"
)

// Another OpenOCD needs about a tenth of a second to find its probe.
const (
	startBound = 30 * time.Second
	startPoll  = 2 * time.Millisecond
)

// acquireStart waits until no other OpenOCD of this user looks for its probe. The release removes
// the file of the lock, so that nothing is left in dir.
func acquireStart(ctx context.Context, dir string) (release func(), err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, startBound, fmt.Errorf("%w: another OpenOCD is starting for %v", probe.ErrSilent, startBound))
	defer cancel()
	if dir == "" {
		if dir, err = privateDir("/run/user", sharedDir("/run/lock")); err != nil {
			return nil, fmt.Errorf("finding a place for the lock for the start of OpenOCD: %w", err)
		}
	}
	path := filepath.Join(dir, "hallmark-openocd.lock")
	for {
		file, err := openLock(path)
		if err != nil {
			return nil, fmt.Errorf("opening the lock for the start of OpenOCD: %w", err)
		}
		err = waitForLock(ctx, file)
		if err == nil && stillAt(path, file) {
			return func() { _ = os.Remove(path); _ = file.Close() }, nil // closing releases the lock; nothing was written
		}
		if err = errors.Join(err, file.Close()); err != nil {
			return nil, fmt.Errorf("waiting for the start of another OpenOCD: %w", err)
		}
	}
}

// sharedDir returns the directory for lock files (FHS 3.0, 5.9) if it is there, or else the one for temporary files. What
// is made in the first one outlasts no restart.
func sharedDir(locks string) string {
	if unix.Access(locks, unix.W_OK|unix.X_OK) == nil {
		return locks
	}
	return os.TempDir()
}

// privateDir returns the directory of this user in run, or else one in shared, which it makes. In a directory where
// others may write, anybody could hold the lock for ever.
func privateDir(run, shared string) (string, error) {
	user := strconv.Itoa(os.Geteuid())
	path := filepath.Join(run, user)
	if checkPrivate(path) == nil {
		return path, nil
	}
	path = filepath.Join(shared, "hallmark-"+user)
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	return path, checkPrivate(path)
}

// checkPrivate refuses what is no directory of this user, a link also, and a directory where others may write.
func checkPrivate(path string) error {
	var stat unix.Stat_t
	if err := unix.Lstat(path, &stat); err != nil {
		return fmt.Errorf("looking at %s: %w", path, err)
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFDIR || int(stat.Uid) != os.Geteuid() || stat.Mode&0o022 != 0 {
		return fmt.Errorf("%s is no directory that only this user may write (owner %d, mode %#o): remove it", path, stat.Uid, stat.Mode&0o7777)
	}
	if err := unix.Access(path, unix.W_OK|unix.X_OK); err != nil {
		return fmt.Errorf("writing in %s: %w", path, err)
	}
	return nil
}

// openLock refuses a file of another user, who could hold the lock for ever.
func openLock(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	var stat unix.Stat_t
	err = unix.Fstat(int(file.Fd()), &stat)
	if err == nil && int(stat.Uid) != os.Geteuid() {
		err = fmt.Errorf("%s belongs to user %d: remove it", path, stat.Uid)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// stillAt reports whether the path names the file. Whoever held the lock before has removed it.
func stillAt(path string, file *os.File) bool {
	named, err := os.Lstat(path)
	if err != nil {
		return false
	}
	held, err := file.Stat()
	return err == nil && os.SameFile(named, held)
}

func waitForLock(ctx context.Context, file *os.File) error {
	for {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(startPoll):
		}
	}
}
