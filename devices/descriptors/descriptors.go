// Package descriptors keeps descriptors of this process out of the programs that it starts.
package descriptors

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// first is the first descriptor after standard input, output and error, which each program gets on purpose.
const first = 3

// CloseOnExec marks all descriptors of this process, so that no program gets one of those that C libraries opened. Go's own
// are marked already.
func CloseOnExec() error { return closeOnExec(unix.CloseRange) }

// closeOnExec walks through the descriptors where the system call does not do it: Linux before 5.11 lacks the flag, and a
// sandbox may forbid the call.
func closeOnExec(closeRange func(first, last uint, flags uint) error) error {
	refused := closeRange(first, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC)
	if refused == nil {
		return nil
	}
	if err := markEach("/proc/self/fd"); err != nil {
		return fmt.Errorf("marking descriptors close-on-exec: %w", errors.Join(err, refused))
	}
	return nil
}

// markEach marks each descriptor that a directory names. One that was closed meanwhile is no error.
func markEach(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		number, err := strconv.ParseUint(entry.Name(), 10, 31)
		if err != nil {
			return err
		}
		if number < first {
			continue
		}
		if err := mark(uintptr(number)); err != nil && !errors.Is(err, unix.EBADF) {
			return fmt.Errorf("descriptor %d: %w", number, err)
		}
	}
	return nil
}

func mark(number uintptr) error {
	flags, err := unix.FcntlInt(number, unix.F_GETFD, 0)
	if err != nil || flags&unix.FD_CLOEXEC != 0 {
		return err
	}
	_, err = unix.FcntlInt(number, unix.F_SETFD, flags|unix.FD_CLOEXEC)
	return err
}
