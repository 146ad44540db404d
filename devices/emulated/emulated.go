// Package emulated runs boards that are processes of this machine: QEMU's
// mps2 machines with the bare-metal firmware or a Zephyr image, or the same core
// as a Linux process.
//
// One [Board] is one directory and one line. The directory is the hardware
// that survives a power cut:
//
//	fuses.bin   32 octets HUK, 16 octets hardware id; mode 0600, written once, never again
//	flash.bin   the certificate store's flash; 0xff where nothing was written
//	stderr.log  what the process and the firmware's console said, for people
//	lock        held by the station and by the board's process
//
// The process is the board's power: [Start] switches it on, [Board.PowerCut]
// ends it with SIGKILL, [Board.PowerOn] starts it again on the same line. The
// process never outlives the station: the kernel kills it when the station
// ends, however that happens, and the lock stays taken until it is gone.
//
// The HUK goes to the process as an inherited descriptor, never by name,
// argument or environment. It has no protection beyond the file's mode: an
// emulated board is for benches and tests.
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

// Kind says what a board is made of.
type Kind int

// The kinds of emulated boards.
const (
	QEMU  Kind = iota + 1 // bare metal on an emulated Cortex-M
	Posix                 // the same core as a Linux process
)

// String gives the word used on the command line.
func (k Kind) String() string {
	switch k {
	case QEMU:
		return "qemu"
	case Posix:
		return "posix"
	}
	return fmt.Sprintf("Kind(%d)", int(k))
}

// The refusals of this package.
var (
	// ErrConfig says that a Config cannot describe a board.
	ErrConfig = errors.New("not a board")
	// ErrNoQEMU says that the emulator is not installed.
	ErrNoQEMU = errors.New("qemu-system-arm is not installed")
	// ErrNoImage says that the firmware was not built.
	ErrNoImage = errors.New("no firmware image")
	// ErrInUse says that a board already runs in this directory.
	ErrInUse = errors.New("a board already runs in this directory")
	// ErrFuses says that fuses.bin is not what this package wrote.
	ErrFuses = errors.New("unusable fuses")
	// ErrFlash says that flash.bin is not what this package wrote.
	ErrFlash = errors.New("unusable flash")
	// ErrDied says that the board's process ended by itself.
	ErrDied = errors.New("the board's process ended")
	// ErrOff says that the board is switched off.
	ErrOff = errors.New("the board is off")
	// ErrClosed says that the board was closed.
	ErrClosed = errors.New("the board is closed")
	// ErrStuck says that the process did not end in time, even after SIGKILL.
	ErrStuck = errors.New("the board's process does not end")
)

// FusesSize is the length in octets of a board's fuses.
const FusesSize = 48

// Fuses is the content of a board's fuses: 32 octets HUK, 16 octets hardware
// id. It never prints.
type Fuses [FusesSize]byte

// Format writes a placeholder for every verb.
func (Fuses) Format(s fmt.State, _ rune) { io.WriteString(s, "[fuses]") }

// Config describes a board.
type Config struct {
	Kind    Kind
	Machine string // QEMU only: "mps2-an385" or "mps2-an521"
	Image   string // firmware: an ELF file for QEMU, an executable for Posix
	Dir     string // made when missing (0700), kept

	// Fuses are burned when the directory is new and must be nil or equal
	// to what is there otherwise. Nil: drawn from Random.
	Fuses *Fuses
	// Random is crypto/rand.Reader when nil.
	Random io.Reader

	// Pty makes the line a pseudo terminal that is opened as a UART is, through
	// devices/serial. It belongs to the process, as an adapter on the board
	// does: a power cut unplugs it, and after PowerOn there is a new Line.
	Pty bool

	// Ethernet gives a QEMU board a network of its own, which leads to nothing
	// but [EthernetPeer]. A posix board has the network of this machine.
	Ethernet bool

	testingOnlyTRNG string // QEMU character device in place of the host's random device
}

// Bounds on what a healthy process does, generous for a machine that runs
// many boards on few cores.
const (
	startBound = 30 * time.Second
	stopBound  = 2 * time.Second
	killBound  = 10 * time.Second
)

// Board is an emulated board. Its methods may be called from several
// goroutines.
type Board struct {
	cfg  Config
	dir  *directory
	uart *uart
	net  *ethernet // nil: none

	mu     sync.Mutex // guards line, power and closed
	power  *process   // nil: off
	closed bool
}

// Start opens the board's directory, making it when it is missing, and
// switches the board on. ctx bounds the start only; the board runs until
// [Board.Close]. The line is open before the firmware's first instruction, so
// no octet is lost.
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
	case c.Kind == Posix && c.Machine != "":
		return fmt.Errorf("%w: a posix board has no machine, got %q", ErrConfig, c.Machine)
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

// ImageName is where the firmware's build folder keeps the image for a board.
func ImageName(kind Kind, machine string) string {
	if kind == Posix {
		return "posix/hallmark-posix"
	}
	return "qemu/" + machine + ".elf"
}

// Transport is the board's UART, the same for the whole life of the Board (not with
// [Config.Pty]): open through resets and power cuts, silent while the board is off. When the
// process ends by itself, Read and Write give an error that is ErrDied and
// shows its last words.
func (b *Board) Transport() devices.Transport {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.uart
}

// PowerOn starts the process after a power cut. What the station sent
// meanwhile is lost. Switching on a running board does nothing.
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

// newPty is a line for the next process, if it brings one; the last is dead.
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

// PowerCut ends the process with SIGKILL, at whatever it was doing, and
// returns when it is gone. The line stays open.
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

// Reset pulls the board's reset line and returns when the board has been
// reset; its firmware is then starting. A Posix board loses power shortly
// instead.
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

// Close ends the process, waits for it, and lets go of line and directory.
// It gives the reason if the process had ended by itself. Closing twice is
// harmless.
func (b *Board) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil
	}
	return errors.Join(b.release(), b.uart.reason())
}

// release gives back whatever Start got hold of.
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

// Reach opens the way from the board's network to this TCP address, in place of
// the one before, and gives what the board has to dial for it. The zero address
// closes the way, which the board hears nothing of.
func (b *Board) Reach(address netip.AddrPort) netip.AddrPort {
	if b.net == nil {
		return address
	}
	_ = b.net.setTarget(address) // fails only for a board that was closed, and dials nobody
	return EthernetPeer()
}

// Stderr gives the last lines that the process wrote since it was last
// switched on, at most 4 KiB.
func (b *Board) Stderr() string {
	if b.dir == nil {
		return ""
	}
	return b.dir.stderrTail()
}

// PID is the process of a running board, 0 while it is off.
func (b *Board) PID() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.power == nil {
		return 0
	}
	return b.power.cmd.Process.Pid
}
