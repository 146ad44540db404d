package emulated

import (
	"errors"
	"fmt"
	"net"
	"os"
)

// DebugSocketFile is the name of the socket of a board with [Config.DebugSocket]. QEMU makes it anew at
// each power-on, and serves one connection at a time.
const DebugSocketFile = "debug.sock"

// socketArguments are QEMU's arguments for a debug port on a socket in its working directory.
func (c *Config) socketArguments() []string {
	if !c.DebugSocket {
		return nil
	}
	return []string{"-chardev", "socket,id=debug,server=on,wait=off,path=" + DebugSocketFile, "-gdb", "chardev:debug"}
}

// debugPort is the board's end of a debug cable: QEMU's gdbstub (GDB Remote Serial
// Protocol) on a socket pair of its own for each power-on.
type debugPort struct {
	near net.Conn
	far  *os.File // the process inherits it; closed after the start
}

// newDebugPort returns nil for a board without [Config.Debug].
func (b *Board) newDebugPort() (*debugPort, error) {
	if !b.cfg.Debug {
		return nil, nil
	}
	near, far, err := socketPair("debug")
	if err != nil {
		return nil, fmt.Errorf("making the debug port: %w", err)
	}
	return &debugPort{near, far}, nil
}

// arguments are QEMU's arguments for the debug port.
func (d *debugPort) arguments(fd int) []string {
	return []string{"-chardev", fmt.Sprintf("socket,id=debug,fd=%d", fd), "-gdb", "chardev:debug"}
}

// started closes this process's copy of QEMU's end, which would hide that QEMU ended.
func (d *debugPort) started() {
	if d != nil {
		d.far.Close()
	}
}

func (d *debugPort) close() error {
	if d == nil {
		return nil
	}
	if err := d.near.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// blank reports whether the board has no firmware at power-on. QEMU ends when its CPU runs
// without vectors, so a blank board is stopped until a debugger lets it run.
func (c *Config) blank() bool { return c.Image == "" }

// Debug returns the debug port of a board with [Config.Debug] since its last power-on, and
// nil while the board is off. On it QEMU's gdbstub speaks the GDB Remote Serial Protocol.
func (b *Board) Debug() net.Conn {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.power == nil || b.power.debug == nil {
		return nil
	}
	return b.power.debug.near
}
