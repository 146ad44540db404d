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

// A uart is a socket pair: one end for the station, the other is inherited by
// each process of the board, so that the line outlives a power cut. Or it is
// the station's end of a pseudo terminal that the process made.
type uart struct {
	near devices.Transport
	far  *os.File // nil: a pseudo terminal
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

// socketPair gives one end as a connection and one to be inherited.
func socketPair(name string) (net.Conn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	near, far := os.NewFile(uintptr(fds[0]), name), os.NewFile(uintptr(fds[1]), name)
	defer near.Close() // FileConn duplicates it
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

// Close closes the station's end only. A QEMU board goes on; a Posix board
// ends, which is then no death.
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

// reason is why the process ended by itself, nil if it did not.
func (u *uart) reason() error {
	if reason := u.died.Load(); reason != nil {
		return *reason
	}
	return nil
}

// cut ends the stream in both directions: the process ended by itself.
func (u *uart) cut(reason error) {
	u.died.Store(&reason)
	if u.far == nil {
		return // it went with the process
	}
	// Fails only if the line is closed already, and then nobody reads.
	_ = unix.Shutdown(int(u.far.Fd()), unix.SHUT_RDWR)
}

// drain drops what the station sent while the board was off.
func (u *uart) drain() error {
	if u.far == nil {
		return nil
	}
	return drain(u.far)
}

// drain empties the end of a socket pair that a process inherits.
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

// plugIn opens the pseudo terminal that a process made.
func (u *uart) plugIn(path, lockDir string) error {
	port, err := serial.Open(serial.Config{Name: path, LockDir: lockDir})
	if err != nil {
		return err
	}
	u.near = port
	return nil
}

// release closes both ends; the station may have closed its own before.
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
