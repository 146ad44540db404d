package hsm

import (
	"context"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// askTerminal asks a person for the PIN on the terminal at path, without echo. It
// ends when ctx ends. It restores the terminal's settings in every case.
func askTerminal(ctx context.Context, path string) (secret Secret, err error) {
	// O_NONBLOCK keeps the file in Go's poller, so that ctx can interrupt a read.
	tty, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return Secret{}, refuse(ErrPINSource, "no terminal to ask for the PIN: %w", err)
	}
	defer tty.Close()
	restore, err := hideInput(tty)
	if err != nil {
		return Secret{}, refuse(ErrPINSource, "turning echo off on %s: %w", path, err)
	}
	defer func() {
		if failed := restore(); failed != nil && err == nil {
			err = refuse(ErrPINSource, "turning echo on again on %s: %w", path, failed)
		}
	}()
	if _, err := io.WriteString(tty, "HSM PIN: "); err != nil {
		return Secret{}, refuse(ErrPINSource, "asking on %s: %w", path, err)
	}
	defer interrupt(ctx, tty)()
	secret, err = readLine(tty)
	if ctx.Err() != nil {
		return Secret{}, refuse(ErrPINSource, "waiting for the PIN: %w", ctx.Err())
	}
	if _, failed := io.WriteString(tty, "\n"); failed != nil && err == nil {
		err = refuse(ErrPINSource, "answering on %s: %w", path, failed)
	}
	return secret, err
}

// readLine reads one line. The terminal's line editing delivers the line in one read.
func readLine(tty *os.File) (Secret, error) {
	buffer := make([]byte, maxPIN+1)
	n, err := tty.Read(buffer)
	if err != nil {
		return Secret{}, refuse(ErrPINSource, "reading the terminal: %w", err)
	}
	return checkPIN(buffer[:n])
}

// hideInput turns echo off. The returned function turns echo on again.
func hideInput(tty *os.File) (restore func() error, err error) {
	var before *unix.Termios
	err = control(tty, func(fd int) (err error) {
		if before, err = unix.IoctlGetTermios(fd, unix.TCGETS); err != nil {
			return err
		}
		hidden := *before
		hidden.Lflag = hidden.Lflag&^(unix.ECHO|unix.ECHONL) | unix.ICANON | unix.ISIG
		hidden.Iflag |= unix.ICRNL
		hidden.Cc[unix.VQUIT], hidden.Cc[unix.VSUSP] = 0, 0 // disabled: Ctrl-\ and Ctrl-Z would leave echo off, and the first prints registers, in which the PIN may be
		return unix.IoctlSetTermios(fd, unix.TCSETSF, &hidden)
	})
	return func() error {
		return control(tty, func(fd int) error { return unix.IoctlSetTermios(fd, unix.TCSETSF, before) })
	}, err
}

// control runs f on the descriptor and leaves the file in Go's poller.
func control(file *os.File, f func(fd int) error) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := raw.Control(func(fd uintptr) { inner = f(int(fd)) }); err != nil {
		return err
	}
	return inner
}
