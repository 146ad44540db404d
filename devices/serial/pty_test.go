package serial

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// pty makes a pseudo-terminal: the board's end, and the name of the station's end.
func pty(t *testing.T) (board *os.File, name string) {
	t.Helper()
	board, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { board.Close() })
	connection, err := board.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var number int
	var failed error
	if err := connection.Control(func(fd uintptr) {
		if failed = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); failed == nil {
			number, failed = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	}); err != nil || failed != nil {
		t.Fatal(err, failed)
	}
	return board, fmt.Sprintf("/dev/pts/%d", number)
}

// plugged opens a port on a pseudo-terminal.
func plugged(t *testing.T, change func(*Config)) (board *os.File, port *Port) {
	t.Helper()
	board, name := pty(t)
	config := Config{Name: name, LockDir: t.TempDir()}
	if change != nil {
		change(&config)
	}
	port, err := Open(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { port.Close() })
	return board, port
}

// Octets that were there, and that another reader took, show another program, also where /proc shows none.
func TestAPortWhoseOctetsSomebodyElseTookIsInUse(t *testing.T) {
	_, port := plugged(t, nil)
	if err := port.InUse(); err != nil {
		t.Fatal(err)
	}
	port.robbed.Store(true)
	if err := port.InUse(); !errors.Is(err, ErrBusy) {
		t.Errorf("%v, want %v", err, ErrBusy)
	}
}
