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

// line is a socket pair: one end for the station, the other is inherited by
// each process of the board, so that the line outlives a power cut. Or it is
// the station's end of a pseudo terminal that the process made.
type line struct {
	near devices.Transport
	far  *os.File // nil: a pseudo terminal
	died atomic.Pointer[error]
	shut atomic.Bool // the station has closed its end
}

func newLine() (*line, error) {
	near, far, err := socketPair("line")
	if err != nil {
		return nil, fmt.Errorf("making the line: %w", err)
	}
	return &line{near: near, far: far}, nil
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

func (l *line) Read(p []byte) (int, error) {
	n, err := l.near.Read(p)
	return n, l.explain(err)
}

func (l *line) Write(p []byte) (int, error) {
	n, err := l.near.Write(p)
	return n, l.explain(err)
}

func (l *line) SetReadDeadline(t time.Time) error { return l.near.SetReadDeadline(t) }

// Close closes the station's end only. A QEMU board goes on; a Posix board
// ends, which is then no death.
func (l *line) Close() error {
	l.shut.Store(true)
	return l.near.Close()
}

// explain replaces the end of the stream by the reason for it.
func (l *line) explain(err error) error {
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed) {
		return err
	}
	if reason := l.reason(); reason != nil {
		return reason
	}
	return err
}

// reason is why the process ended by itself, nil if it did not.
func (l *line) reason() error {
	if reason := l.died.Load(); reason != nil {
		return *reason
	}
	return nil
}

// cut ends the stream in both directions: the process ended by itself.
func (l *line) cut(reason error) {
	l.died.Store(&reason)
	if l.far == nil {
		return // it went with the process
	}
	// Fails only if the line is closed already, and then nobody reads.
	_ = unix.Shutdown(int(l.far.Fd()), unix.SHUT_RDWR)
}

// drain drops what the station sent while the board was off.
func (l *line) drain() error {
	if l.far == nil {
		return nil
	}
	return drain(l.far)
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
func (l *line) plugIn(path, lockDir string) error {
	port, err := serial.Open(serial.Config{Name: path, LockDir: lockDir})
	if err != nil {
		return err
	}
	l.near = port
	return nil
}

// release closes both ends; the station may have closed its own before.
func (l *line) release() error {
	var errs []error
	if l.near != nil {
		if err := l.near.Close(); !errors.Is(err, net.ErrClosed) && !errors.Is(err, os.ErrClosed) {
			errs = append(errs, err)
		}
	}
	if l.far != nil {
		errs = append(errs, l.far.Close())
	}
	return errors.Join(errs...)
}
