package openocd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
	path := filepath.Join(dir, fmt.Sprintf("hallmark-openocd-%d.lock", os.Geteuid()))
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
