package emulated

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"

	"hallmark/devices/emulated/gdb"
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

// blank reports whether the board has no image, so that its program memory is what a debug probe wrote. QEMU ends when
// its CPU runs without vectors, so such a board is stopped until its memory is filled.
func (c *Config) blank() bool { return c.Image == "" }

// letRun lets a machine run that was paused at its start.
func (b *Board) letRun(ctx context.Context, p *process) (err error) {
	runs := b.cfg.Pty
	if b.cfg.blank() {
		runs, err = b.restore(ctx, p)
	}
	if err != nil || !runs {
		return err
	}
	_, err = p.monitor.execute(ctx, "cont", nil)
	return err
}

// restore fills the program memory of a board without image, and reports whether there is firmware that runs.
func (b *Board) restore(ctx context.Context, p *process) (runs bool, err error) {
	octets, err := b.Program().contents()
	if err != nil || len(octets) == 0 {
		return false, err
	}
	state, err := b.Program().State()
	if err != nil {
		return false, err
	}
	if err := b.fill(p, octets); err != nil {
		return false, fmt.Errorf("filling the program memory: %w", err)
	}
	if !state.Runs {
		return false, nil
	}
	return true, p.monitor.reset(ctx) // the CPU takes its stack and its first instruction from the memory
}

// fill writes the program memory through the debug port.
func (b *Board) fill(p *process, octets []byte) error {
	if p.debug != nil {
		return fillBy(p.debug.near, b.cfg.Machine, octets)
	}
	conn, err := DialDebugger(b.dir.path)
	if err != nil {
		return err
	}
	return errors.Join(fillBy(conn, b.cfg.Machine, octets), conn.Close())
}

func fillBy(conn net.Conn, name string, octets []byte) error {
	debugger := gdb.New(conn)
	if err := debugger.Attach(); err != nil {
		return err
	}
	return debugger.WriteMemory(machines[name].program, octets)
}

// DialDebugger connects to the debug port of a board with [Config.DebugSocket] in a directory. It reaches the socket by a
// short path, because the address of a socket has at most 108 octets.
func DialDebugger(dir string) (*net.UnixConn, error) {
	folder, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer folder.Close() // only its descriptor was used
	path := "/proc/self/fd/" + strconv.Itoa(int(folder.Fd())) + "/" + DebugSocketFile
	return net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
}

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
