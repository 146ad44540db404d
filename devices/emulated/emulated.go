// Package emulated runs boards that are processes of this machine: QEMU's mps2
// machines with the bare-metal firmware or a Zephyr image, or the same core as a Linux
// process.
//
// A [Board] has one directory and one UART. The directory is the hardware that survives
// a power cut:
//
//	fuses.bin   32 octets HUK, 16 octets hardware id; mode 0600, written once
//	flash.bin   the flash of the certificate store; erased octets are 0xff
//	program.bin the program memory of a board without image, as a debug probe wrote it
//	debug.bin   the lock of the debug port of such a board
//	stderr.log  output of the process and of the firmware's console, for people
//
// The station and the board's process hold a lock of the directory (flock(2)).
//
// The process is the board's power. [Start] switches the board on, [Board.PowerCut]
// ends the process with SIGKILL, [Board.PowerOn] starts a new one on the same UART. When
// the station ends, in whatever way, the kernel kills the process, and the lock is held
// until the process has ended.
//
// The process gets the HUK as an inherited descriptor, never by name, argument or
// environment. Nothing but the file's mode protects the HUK: emulated boards are for
// demonstrations and tests.
package emulated

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"sync"
	"time"

	"hallmark/devices"
)

// A Kind says how a board is emulated.
type Kind int

// The kinds of emulated boards.
const (
	QEMU  Kind = iota + 1 // bare metal on an emulated Cortex-M
	Posix                 // the same core as a Linux process
)

// String returns the word that flags use.
func (k Kind) String() string {
	switch k {
	case QEMU:
		return "qemu"
	case Posix:
		return "posix"
	}
	return fmt.Sprintf("Kind(%d)", int(k))
}

// AnswerTime is devices.Options.Answer for emulated boards. Their UART loses nothing, and an emulator on a busy machine is slow.
const AnswerTime = 10 * time.Second

// Errors of this package.
var (
	// ErrConfig: the Config does not describe a possible board.
	ErrConfig = errors.New("not a board")
	// ErrNoQEMU: the emulator is not installed.
	ErrNoQEMU = errors.New("qemu-system-arm is not installed")
	// ErrNoImage: the firmware image does not exist.
	ErrNoImage = errors.New("no firmware image")
	// ErrInUse: a board already runs in this directory.
	ErrInUse = errors.New("a board already runs in this directory")
	// ErrFuses: fuses.bin was not written by this package, or others may read it.
	ErrFuses = errors.New("unusable fuses")
	// ErrFlash: flash.bin was not written by this package.
	ErrFlash = errors.New("unusable flash")
	// ErrDied: the board's process ended by itself.
	ErrDied = errors.New("the board's process ended")
	// ErrOff: the board is switched off.
	ErrOff = errors.New("the board is off")
	// ErrClosed: the board was closed.
	ErrClosed = errors.New("the board is closed")
	// ErrStuck: the process did not end in time, not even after SIGKILL.
	ErrStuck = errors.New("the board's process does not end")
)

// FusesSize is the length in octets of a board's fuses.
const FusesSize = 48

// Fuses are the contents of a board's fuses: 32 octets HUK, 16 octets hardware id.
// Printing gives a placeholder.
type Fuses [FusesSize]byte

// Format writes a placeholder for every verb.
func (Fuses) Format(s fmt.State, _ rune) { io.WriteString(s, "[fuses]") }

// Config describes a board.
type Config struct {
	Kind    Kind
	Machine string // QEMU only: "mps2-an385" or "mps2-an521"
	Image   string // firmware: an ELF file for QEMU, an executable for Posix
	Dir     string // made with mode 0700 if it does not exist; never removed

	// Fuses are written when the directory is new. Otherwise they must be equal to the
	// existing ones, or nil. nil in a new directory: drawn from Random.
	Fuses *Fuses
	// Random is the source of new fuses; nil: crypto/rand.Reader.
	Random io.Reader

	// Pty makes the UART a pseudo-terminal, which is opened through devices/serial. The
	// process owns the terminal, like an adapter on the board: a power cut unplugs it,
	// and PowerOn makes a new Transport.
	Pty bool

	// Ethernet gives a QEMU board a network of its own, in which only [EthernetPeer]
	// answers. A posix board uses the network of this machine.
	Ethernet bool

	// Debug gives a QEMU board a debug port ([Board.Debug]). Such a board may have no Image:
	// then it is blank, and its memory is empty until a debug probe fills it. What a probe
	// writes there survives resets; what it also stores in [Board.Program] survives power cuts.
	// The process of such a board has the normal priority.
	Debug bool
	// DebugSocket is Debug, with the debug port on the Unix socket DebugSocketFile in Dir, where
	// another process connects to it.
	DebugSocket bool

	// Unwired: nothing is connected to the UART of a QEMU board, as where a debug probe carries SMP. [Board.Transport]
	// is then silent.
	Unwired bool

	// Silence is how long a TLS session of a posix board waits for the station's next request; 0: as long as the firmware
	// says, 30 s. A whole number of milliseconds.
	Silence time.Duration
	// ReadableMemory lets this user read the memory of a posix board ([Board.Memory]).
	ReadableMemory bool

	testingOnlyTRNG string // QEMU character device instead of the host's random device
}

// Time limits for a healthy process. They are long, because a machine may run many
// boards on few cores.
const (
	startBound = 2 * time.Minute
	stopBound  = 2 * time.Second
	killBound  = 10 * time.Second
)

// A Board is an emulated board. Its methods may be called from several goroutines.
type Board struct {
	cfg  Config
	dir  *directory
	uart *uart
	net  *ethernet // nil: no network

	mu     sync.Mutex // guards uart, power and closed
	power  *process   // nil: the board is off
	closed bool
}

// Start opens the board's directory, makes it if necessary, and switches the board on.
// ctx limits the start only; the board runs until [Board.Close]. The UART is open
// before the firmware's first instruction, so no octet is lost.
func Start(ctx context.Context, cfg Config) (*Board, error) {
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("starting %v board: %w", cfg.Kind, err)
	}
	b := &Board{cfg: cfg}
	if err := b.open(ctx); err != nil {
		return nil, fmt.Errorf("starting %v board in %s: %w", cfg.Kind, cfg.Dir, errors.Join(err, b.release()))
	}
	return b, nil
}

func (b *Board) open(ctx context.Context) (err error) {
	if b.dir, err = openDirectory(ctx, b.cfg); err != nil {
		return err
	}
	if !b.cfg.Pty {
		if b.uart, err = newUART(); err != nil {
			return err
		}
	}
	if b.cfg.Ethernet {
		if b.net, err = newEthernet(); err != nil {
			return err
		}
	}
	return b.PowerOn(ctx)
}

func (c *Config) check() error {
	if c.Random == nil {
		c.Random = rand.Reader
	}
	switch {
	case c.Kind != QEMU && c.Kind != Posix:
		return fmt.Errorf("%w: unknown kind %d", ErrConfig, c.Kind)
	case c.Dir == "":
		return fmt.Errorf("%w: no directory", ErrConfig)
	case c.Kind == QEMU && machines[c.Machine] == nil:
		return fmt.Errorf("%w: unknown machine %q (want mps2-an385 or mps2-an521)", ErrConfig, c.Machine)
	case c.Kind == Posix && c.Ethernet:
		return fmt.Errorf("%w: a posix board has the network of this machine, no Ethernet", ErrConfig)
	case c.Kind == Posix && (c.Debug || c.DebugSocket):
		return fmt.Errorf("%w: a posix board has no debug port", ErrConfig)
	case c.Kind != Posix && (c.Silence != 0 || c.ReadableMemory):
		return fmt.Errorf("%w: Silence and ReadableMemory are for a posix board", ErrConfig)
	case c.Kind == Posix && c.Machine != "":
		return fmt.Errorf("%w: a posix board has no machine, got %q", ErrConfig, c.Machine)
	}
	if (c.Debug || c.DebugSocket) && c.blank() {
		return nil
	}
	return c.checkImage()
}

func (c *Config) checkImage() error {
	info, err := os.Stat(c.Image)
	switch {
	case c.Image == "" || errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("%w at %q: build it with `make firmware`", ErrNoImage, c.Image)
	case err != nil:
		return fmt.Errorf("looking at the firmware image: %w", err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%w: %q is not a file", ErrNoImage, c.Image)
	}
	return nil
}

// ImageName returns the path of a board's image in the firmware's build directory.
func ImageName(kind Kind, machine string) string {
	if kind == Posix {
		return "posix/hallmark-posix"
	}
	return "qemu/" + machine + ".elf"
}

// Transport returns the board's UART. Without [Config.Pty] the UART is the same for the
// whole life of the Board: it stays open through resets and power cuts, and is silent
// while the board is off. When the process ends by itself, Read and Write return ErrDied
// with the end of the process's output.
func (b *Board) Transport() devices.Transport {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.uart
}

// PowerOn starts a process after a power cut. Octets that the station sent meanwhile are
// lost. PowerOn of a running board does nothing.
func (b *Board) PowerOn(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return ErrClosed
	}
	if b.power != nil {
		return b.uart.reason()
	}
	return b.powerOn(ctx)
}

func (b *Board) powerOn(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startBound)
	defer cancel()
	if err := b.newPty(); err != nil {
		return fmt.Errorf("switching on: %w", err)
	}
	p, err := b.launch(ctx)
	if err != nil {
		return fmt.Errorf("switching on: %w", err)
	}
	b.power = p
	return nil
}

// newPty prepares a new UART for the next process, which makes its own pseudo-terminal.
func (b *Board) newPty() error {
	if !b.cfg.Pty {
		return nil
	}
	var err error
	if b.uart != nil {
		err = b.uart.release()
	}
	b.uart = &uart{}
	return err
}

// launch starts the process of the configured kind.
func (b *Board) launch(ctx context.Context) (*process, error) {
	if b.cfg.Kind == Posix {
		return b.launchPosix(ctx)
	}
	return b.launchQEMU(ctx)
}

// PowerCut ends the process with SIGKILL, whatever the board does, and returns when the
// process has ended. The UART stays open.
func (b *Board) PowerCut() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.power == nil {
		return nil
	}
	if err := b.power.cut(); err != nil {
		return fmt.Errorf("cutting the power: %w", err)
	}
	b.power = nil
	return nil
}

// Reset asserts the board's reset pin and returns when the board was reset and its
// firmware starts. A Posix board has a short power cut instead.
func (b *Board) Reset(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.closed:
		return ErrClosed
	case b.power == nil:
		return fmt.Errorf("resetting: %w", ErrOff)
	}
	if err := b.reset(ctx); err != nil {
		return fmt.Errorf("resetting: %w", err)
	}
	return nil
}

func (b *Board) reset(ctx context.Context) error {
	if err := b.uart.reason(); err != nil {
		return err
	}
	if b.power.monitor != nil {
		return b.power.monitor.reset(ctx)
	}
	if err := b.power.cut(); err != nil {
		return err
	}
	b.power = nil
	return b.powerOn(ctx)
}

// Close ends the process, waits for it, and closes UART and directory. If the process had
// ended by itself, Close returns the reason. A second Close does nothing.
func (b *Board) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil
	}
	return errors.Join(b.release(), b.uart.reason())
}

// release frees everything that Start acquired.
func (b *Board) release() error {
	b.closed = true
	var errs []error
	if b.power != nil {
		errs = append(errs, b.power.stop())
	}
	if b.uart != nil {
		errs = append(errs, b.uart.release())
	}
	if b.net != nil {
		errs = append(errs, b.net.release())
	}
	if b.dir != nil {
		errs = append(errs, b.dir.Close())
	}
	return errors.Join(errs...)
}

// Reach connects the board's network to this TCP address, instead of the address before,
// and returns the address that the board must dial. The zero address disconnects the
// network, which the board does not notice.
func (b *Board) Reach(address netip.AddrPort) netip.AddrPort {
	if b.net == nil {
		return address
	}
	_ = b.net.setTarget(address) // fails only for a closed board, which dials nobody
	return EthernetPeer()
}

// Stderr returns the end of the process's output since the last power-on, at most 4 KiB.
func (b *Board) Stderr() string {
	if b.dir == nil {
		return ""
	}
	return b.dir.stderrTail()
}
