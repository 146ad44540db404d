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

// acquireStart waits until no other OpenOCD of this user looks for its probe.
func acquireStart(ctx context.Context, dir string) (release func(), err error) {
	path := filepath.Join(dir, fmt.Sprintf("hallmark-openocd-%d.lock", os.Geteuid()))
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the lock for the start of OpenOCD: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, startBound, fmt.Errorf("%w: another OpenOCD is starting for %v", probe.ErrSilent, startBound))
	defer cancel()
	if err := waitForLock(ctx, file); err != nil {
		return nil, errors.Join(fmt.Errorf("waiting for the start of another OpenOCD: %w", err), file.Close())
	}
	return func() { _ = file.Close() }, nil // closing releases the lock; nothing was written
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
