package ui

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// standardError is the file descriptor of standard error.
const standardError = 2

// divert sends what is written to a terminal by its descriptor to the end of a file, until restore is called. PKCS#11 modules
// and other C libraries write to standard error, and would write over the screen. The stack of a crash goes to the file, too. A
// descriptor that is no terminal stays as it is.
func divert(fd int, path string) (restore func() error, err error) {
	if path == "" || !term.IsTerminal(fd) {
		return func() error { return nil }, nil
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("sending standard error to the log: %w", err)
	}
	saved, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, standardError+1)
	if err == nil {
		err = unix.Dup3(int(file.Fd()), fd, 0)
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, fmt.Errorf("sending standard error to the log: %w", err)
	}
	return func() error {
		if err := errors.Join(unix.Dup3(saved, fd, 0), unix.Close(saved)); err != nil {
			return fmt.Errorf("giving standard error back: %w", err)
		}
		return nil
	}, nil
}
