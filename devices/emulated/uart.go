package emulated

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"hallmark/devices"
	"hallmark/devices/serial"
)

// A uart is a socket pair: the station has one end, and each process of the board
// inherits the other, so that the UART stays open through a power cut. With Config.Pty
// it is the station's end of a pseudo-terminal that the process made.
type uart struct {
	near devices.Transport
	far  *os.File // nil: a pseudo-terminal
	died atomic.Pointer[error]
	shut atomic.Bool // the station has closed its end
}

func newUART() (*uart, error) {
	near, far, err := socketPair("line")
	if err != nil {
		return nil, fmt.Errorf("making the line: %w", err)
	}
	return &uart{near: near, far: far}, nil
}

// socketPair returns one end as a connection and the other for a process to inherit.
func socketPair(name string) (net.Conn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	near, far := os.NewFile(uintptr(fds[0]), name), os.NewFile(uintptr(fds[1]), name)
	defer near.Close() // FileConn makes a duplicate
	conn, err := net.FileConn(near)
	if err != nil {
		return nil, nil, errors.Join(err, far.Close())
	}
	return conn, far, nil
}

func (u *uart) Read(p []byte) (int, error) {
	n, err := u.near.Read(p)
	return n, u.explain(err)
}

func (u *uart) Write(p []byte) (int, error) {
	n, err := u.near.Write(p)
	return n, u.explain(err)
}

func (u *uart) SetReadDeadline(t time.Time) error { return u.near.SetReadDeadline(t) }

// Close closes the station's end. A QEMU board continues; a Posix board ends, which does
// not count as ErrDied.
func (u *uart) Close() error {
	u.shut.Store(true)
	return u.near.Close()
}

// explain replaces the end of the stream by the reason for it.
func (u *uart) explain(err error) error {
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed) {
		return err
	}
	if reason := u.reason(); reason != nil {
		return reason
	}
	return err
}

// reason returns why the process ended by itself, or nil.
func (u *uart) reason() error {
	if reason := u.died.Load(); reason != nil {
		return *reason
	}
	return nil
}

// cut ends the stream in both directions after the process ended by itself.
func (u *uart) cut(reason error) {
	u.died.Store(&reason)
	if u.far == nil {
		return // the pseudo-terminal ended with the process
	}
	// Shutdown fails only for a UART that is closed, which nobody reads.
	_ = unix.Shutdown(int(u.far.Fd()), unix.SHUT_RDWR)
}

// drain drops the octets that the station sent while the board was off.
func (u *uart) drain() error {
	if u.far == nil {
		return nil
	}
	return drain(u.far)
}

// drain reads and drops everything at the end that a process inherits.
func drain(far *os.File) error {
	var lost [4096]byte
	for {
		n, _, err := unix.Recvfrom(int(far.Fd()), lost[:], unix.MSG_DONTWAIT)
		if errors.Is(err, unix.EAGAIN) || n == 0 && err == nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("emptying the line: %w", os.NewSyscallError("recvfrom", err))
		}
	}
}

// plugIn opens the pseudo-terminal that a process made.
func (u *uart) plugIn(path, lockDir string) error {
	port, err := serial.Open(serial.Config{Name: path, LockDir: lockDir})
	if err != nil {
		return err
	}
	u.near = port
	return nil
}

// release closes both ends. The station may have closed its end before.
func (u *uart) release() error {
	var errs []error
	if u.near != nil {
		if err := u.near.Close(); !errors.Is(err, net.ErrClosed) && !errors.Is(err, os.ErrClosed) {
			errs = append(errs, err)
		}
	}
	if u.far != nil {
		errs = append(errs, u.far.Close())
	}
	return errors.Join(errs...)
}
