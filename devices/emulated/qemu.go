package emulated

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// A machine holds what this package must know of a QEMU machine: the addresses of its program memory and its
// fuses (port/qemu/<machine>.ld, regions IMAGE and FUSES), and of all RAM as the monitor sees it: on the bus there is no Secure alias.
type machine struct {
	program, fuses uint32
	memory         [2]uint32
}

const memorySize = 4 << 20 // octets from each address of memory: program memory with fuses, and RAM

var machines = map[string]*machine{
	"mps2-an385": {program: 0, fuses: programSize, memory: [2]uint32{0, 0x2000_0000}},
	"mps2-an521": {program: 0x1000_0000, fuses: 0x1000_0000 + programSize, memory: [2]uint32{0, 0x2800_0000}},
}

// The descriptors that QEMU inherits, in the order of launchQEMU. With Config.Pty there is
// no descriptor for the UART.
const (
	monitorFD = 3
	fusesFD   = 4
	uartFD    = 5 // followed by the network's descriptor
)

// launchQEMU starts the emulator and returns when its monitor answers. Then the machine is
// complete and the firmware runs.
func (b *Board) launchQEMU(ctx context.Context) (*process, error) {
	path, err := exec.LookPath("qemu-system-arm")
	if err != nil {
		return nil, fmt.Errorf("%w: apt-get install qemu-system-arm (%w)", ErrNoQEMU, err)
	}
	args, err := b.qemuArgs()
	if err != nil {
		return nil, err
	}
	p, err := b.beginQEMU(path, args)
	if err != nil {
		return nil, err
	}
	err = p.monitor.greet(ctx)
	if err == nil && b.cfg.Pty {
		err = b.plugIn(ctx, p.monitor)
	}
	if err == nil {
		err = b.letRun(ctx, p)
	}
	if err != nil {
		return nil, errors.Join(b.failedStart(p, err), p.stop())
	}
	return p, nil
}

// beginQEMU starts the emulator with monitor, UART, network and debug port as inherited descriptors.
func (b *Board) beginQEMU(path string, args []string) (*process, error) {
	near, far, err := socketPair("monitor")
	if err != nil {
		return nil, fmt.Errorf("making the monitor's socket: %w", err)
	}
	defer far.Close() // QEMU has its own copy; an open copy here would hide its end
	debug, err := b.newDebugPort()
	if err != nil {
		return nil, errors.Join(err, near.Close())
	}
	defer debug.started()
	files := []*os.File{far, b.dir.fuses}
	if !b.cfg.Pty {
		files = append(files, b.uart.far)
	}
	if b.net != nil {
		args = append(args, b.net.arguments(monitorFD+len(files))...)
		files = append(files, b.net.far)
	}
	args = append(args, b.cfg.socketArguments()...)
	if debug != nil {
		args = append(args, debug.arguments(monitorFD+len(files))...)
		files = append(files, debug.far)
	}
	p, err := b.begin(b.command(path, args, files...))
	if err != nil {
		return nil, errors.Join(err, near.Close(), debug.close())
	}
	p.monitor, p.debug = newMonitor(near), debug
	return p, nil
}

// plugIn opens the pseudo-terminal while the machine is paused, so that no octet is lost.
func (b *Board) plugIn(ctx context.Context, m *monitor) error {
	path, err := m.pty(ctx)
	if err != nil {
		return err
	}
	return b.uart.plugIn(path, b.dir.path)
}

// begin starts a process on an empty UART.
func (b *Board) begin(cmd *exec.Cmd) (*process, error) {
	if err := errors.Join(b.uart.drain(), b.net.cut(), b.dir.markPowerOn()); err != nil {
		return nil, err
	}
	uart := b.uart
	polite := !b.cfg.Debug && !b.cfg.DebugSocket // a debugger gives a board up that does not answer in a few seconds
	return launch(cmd, polite, func(err error) {
		if err != nil || !uart.shut.Load() {
			uart.cut(b.exitError(err))
		}
	})
}

// failedStart returns the end of the process's output if QEMU ended, otherwise err.
func (b *Board) failedStart(p *process, err error) error {
	if errors.Is(err, errMonitorGone) && p.exited(stopBound) {
		if reason := b.uart.reason(); reason != nil {
			return reason
		}
	}
	return err
}

func (b *Board) qemuArgs() ([]string, error) {
	kernel, err := b.kernel()
	if err != nil {
		return nil, err
	}
	loader := fmt.Sprintf("loader,file=/proc/self/fd/%d,addr=%#x,force-raw=on", fusesFD, machines[b.cfg.Machine].fuses)
	chardev := fmt.Sprintf("socket,id=line,fd=%d,mux=on", uartFD)
	switch {
	case b.cfg.Pty:
		chardev = "pty,id=line,mux=on"
	case b.cfg.Unwired:
		chardev = "null,id=line,mux=on" // a socket that nobody reads would stop the firmware in the end
	}
	return append(kernel, []string{
		// A bare machine: no default devices, no screen, no configuration files, no core dump of its memory.
		"-machine", b.cfg.Machine + ",memory-backend=flash,dump-guest-core=off",
		"-nodefaults", "-no-user-config", "-display", "none",
		"-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
		// The flash; the path is relative to the board's directory.
		"-object", fmt.Sprintf("memory-backend-file,id=flash,mem-path=%s,size=%d,share=on", flashFile, flashRegion),
		"-device", loader,
		// UART0 goes to the station, UART1 is the console, UART2 the entropy source. A multiplexer
		// with one client adds a buffer of 32 octets, from which QEMU refills the UART without its
		// main loop. That saves two thirds of the CPU time for each octet received. No octet is
		// 0x100, so the multiplexer never sees its escape character.
		"-chardev", chardev, "-serial", "chardev:line",
		"-chardev", "file,id=console,path=/dev/stdout,append=on", "-serial", "chardev:console",
		"-chardev", b.trng() + ",id=trng,mux=on", "-serial", "chardev:trng",
		"-echr", "0x100",
		"-chardev", fmt.Sprintf("socket,id=monitor,fd=%d", monitorFD), "-mon", "chardev=monitor,mode=control",
	}...), nil
}

// kernel returns QEMU's arguments for the firmware. The machine is paused at the start if its
// UART is not open yet, or if there is no firmware.
func (b *Board) kernel() ([]string, error) {
	if b.cfg.blank() {
		return []string{"-S"}, nil
	}
	image, err := filepath.Abs(b.cfg.Image)
	if err != nil {
		return nil, fmt.Errorf("finding the firmware image: %w", err)
	}
	if b.cfg.Pty {
		return []string{"-S", "-kernel", image}, nil
	}
	return []string{"-kernel", image}, nil
}

// trng returns QEMU's source of the board's entropy. It is fresh at each start and never a file.
func (b *Board) trng() string {
	if b.cfg.testingOnlyTRNG != "" {
		return b.cfg.testingOnlyTRNG
	}
	return "pipe,path=/dev/urandom"
}
