package serial

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"syscall"

	"go.bug.st/serial"
	"golang.org/x/sys/unix"
)

// selectLimit is FD_SETSIZE. The library's Read panics for larger descriptors.
const selectLimit = 1024

// openUninherited opens a port. No child process inherits its descriptors, and its
// writes do not block. Go starts no child while ForkLock is held for reading.
func openUninherited(name string, mode *serial.Mode) (serial.Port, error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	port, err := serial.Open(name, mode)
	if err != nil {
		return nil, err
	}
	if err := protectDescriptors(name); err != nil {
		return nil, errors.Join(err, port.Close())
	}
	return port, nil
}

// protectDescriptors sets FD_CLOEXEC on each descriptor above 2 that lacks it. Go sets
// it on its own descriptors, so these are the library's: the tty and a pipe. The tty
// also becomes non-blocking, because nothing could end a blocked write.
func protectDescriptors(name string) error {
	var tty, file unix.Stat_t
	if err := unix.Stat(name, &tty); err != nil {
		return err
	}
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return fmt.Errorf("looking for the port's descriptors: %w", err)
	}
	for _, entry := range entries {
		fd, err := strconv.Atoi(entry.Name())
		if err != nil || fd <= 2 {
			continue
		}
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err != nil || flags&unix.FD_CLOEXEC != 0 {
			continue // closed meanwhile, such as the descriptor of the listing itself
		}
		if fd >= selectLimit {
			return fmt.Errorf("%w: it is %d", ErrDescriptor, fd)
		}
		unix.CloseOnExec(fd)
		if unix.Fstat(fd, &file) == nil && file.Mode&unix.S_IFMT == unix.S_IFCHR && file.Rdev == tty.Rdev {
			if err := unix.SetNonblock(fd, true); err != nil {
				return fmt.Errorf("making the port non-blocking: %w", err)
			}
		}
	}
	return nil
}

// unwrappable turns the library's errors into errors that errors.Is can examine.
func unwrappable(err error) error {
	var port *serial.PortError
	if !errors.As(err, &port) {
		return err
	}
	var sentinel error = ErrConfig
	switch port.Code() {
	case serial.PortBusy:
		return &InUseError{}
	case serial.PortNotFound:
		sentinel = fs.ErrNotExist
	case serial.PermissionDenied:
		sentinel = ErrDenied
	case serial.InvalidSerialPort:
		sentinel = ErrNotSerial
	}
	return fmt.Errorf("%w (%w)", sentinel, err)
}

// lockPort locks the tty behind a name. The kernel's TIOCEXCL does not keep out root, and two symlinks may lead to one
// tty. The lock is on the tty itself: it needs no directory, every user who may open the port can take it, picocom and tio
// know it, and it ends with the process.
func lockPort(config Config) (*os.File, error) {
	if err := examine(config); err != nil {
		return nil, err
	}
	fd, err := unix.Open(config.Name, unix.O_RDONLY|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, unix.EBUSY): // TIOCEXCL of another program, since examine
		return nil, &InUseError{}
	case err != nil:
		return nil, fmt.Errorf("locking: %w", err)
	}
	lock := os.NewFile(uintptr(fd), config.Name)
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = &InUseError{lockHolder(config)}
		}
		return nil, errors.Join(err, lock.Close())
	}
	return lock, nil
}

// lockHolder names who has the lock of a port: this process, if no other has.
func lockHolder(config Config) User {
	programs, err := ListPrograms(config.LockDir)
	if err != nil {
		return User{}
	}
	if user, used := programs.Using(config.Name); used {
		return user
	}
	return User{"this station", os.Getpid()}
}

// unlockPort gives the lock back. Closing the file is not enough: a child process that was forked, and has
// not yet begun its program, has the file open, too.
func unlockPort(lock *os.File) error {
	return errors.Join(unix.Flock(int(lock.Fd()), unix.LOCK_UN), lock.Close())
}
