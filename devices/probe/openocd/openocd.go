// Package openocd drives debug probes with OpenOCD, version 0.12 or newer.
//
// Each call starts OpenOCD once, with a Tcl script that does the whole work and reports with lines that
// begin with "hallmark:". A call succeeded if OpenOCD ended with exit code 0 and its last report says so.
// The script itself refuses a board without supply, a wrong chip and a probe that is not the only one with
// its serial number, before it changes anything on the board.
//
// Several OpenOCD that start at the same moment disturb each other when they look for network probes, so
// starts are serialised until the probe was found, unless it is on USB; after that the processes run in parallel.
package openocd

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"hallmark/devices/probe"
)

// Name is the driver's word in a configuration.
const Name = "openocd"

// Time limits of a call if Config does not say otherwise.
const (
	defaultLimit      = 30 * time.Second
	defaultFlashLimit = 5 * time.Minute
	defaultFindLimit  = 10 * time.Second
	defaultStallLimit = 30 * time.Second
)

// Config says how OpenOCD reaches the boards of one type.
type Config struct {
	Program   string     // path or name; "": "openocd"
	Transport string     // "swd" or "jtag"; "": "swd". A command of Chip.Before that selects one has precedence
	Speed     int        // clock of the debug port in kHz; 0: as in the script of the chip
	Part      probe.Part // compared before each work with the board
	Chip      Chip

	Limit      time.Duration // of a call; 0: 30 s
	FlashLimit time.Duration // of Flash and Recover; 0: 5 min
	FindLimit  time.Duration // after it no further attempt to find the probe begins: an attempt with a probe that hangs takes 5 s; 0: 10 s
	StallLimit time.Duration // from one piece of an image that is written or compared to the next; erasing has no such limit; 0: 30 s
	LockDir    string        // directory of the file that serialises starts; "": /run/user/UID, or a private one (privateDir)
	USB        string        // where USB devices are found; "": probe.USBDevices
}

// Chip says how OpenOCD handles one type of chip. The texts are Tcl commands of OpenOCD. Names and order of the keys are part of the
// digest of a lock.
type Chip struct {
	Interface string   `yaml:"interface"` // script of the probe; empty: interface/jlink.cfg
	Before    []string `yaml:"before"`    // before the script of the chip
	Target    string   `yaml:"target"`    // script of the chip ("target/nrf52.cfg"); empty: Before has everything
	After     []string `yaml:"after"`     // after the script of the chip, before the connection
	// InRAM is for a board whose program memory needs no flash driver.
	InRAM   bool     `yaml:"in_ram"`
	Recover []string `yaml:"recover"` // empty: Recover is not possible
	// Recovered is a text that Recover must print, because some recover commands never fail.
	Recovered string   `yaml:"recovered"`
	Lock      []string `yaml:"lock"`       // ends with a reset where the chip needs one; empty: Lock is not possible
	LockState string   `yaml:"lock_state"` // one command whose result is the state; empty: LockState is not possible
	Locked    string   `yaml:"locked"`     // the result of LockState on a locked chip
	Open      string   `yaml:"open"`       // the result of LockState on an open chip
}

// Configured reports whether OpenOCD knows the chip.
func (c *Chip) Configured() bool { return c.Target != "" || len(c.Before) > 0 }

// A Driver opens probes with one Config.
type Driver struct{ cfg Config }

// New returns a driver.
func New(cfg Config) *Driver {
	set := func(value *string, standard string) {
		if *value == "" {
			*value = standard
		}
	}
	set(&cfg.Program, "openocd")
	set(&cfg.Chip.Interface, "interface/jlink.cfg")
	set(&cfg.Transport, "swd")
	set(&cfg.USB, probe.USBDevices)
	cfg.Limit = cmp.Or(cfg.Limit, defaultLimit)
	cfg.FlashLimit = cmp.Or(cfg.FlashLimit, defaultFlashLimit)
	cfg.FindLimit, cfg.StallLimit = cmp.Or(cfg.FindLimit, defaultFindLimit), cmp.Or(cfg.StallLimit, defaultStallLimit)
	return &Driver{cfg}
}

// Name is the driver's word in a configuration.
func (d *Driver) Name() string { return Name }

// Check asks OpenOCD for its version, and has it read the scripts of probe and chip.
func (d *Driver) Check(ctx context.Context) (version string, err error) {
	done, err := (&device{d.cfg, probe.Selection{}}).try(ctx, &work{limit: d.cfg.Limit, check: true})
	if err != nil {
		return "", fmt.Errorf("checking OpenOCD: %w", err)
	}
	return banner().FindString(done.text), nil
}

// Open returns the selected probe.
func (d *Driver) Open(selected probe.Selection) probe.Probe { return &device{d.cfg, selected} }

// device is one probe.
type device struct {
	cfg      Config
	selected probe.Selection
}

var _ probe.Probe = (*device)(nil)

func (d *device) Info(ctx context.Context) (probe.Info, error) {
	var info probe.Info
	work := work{limit: d.cfg.Limit, script: []string{`set clock [adapter speed]`}}
	done, err := d.do(ctx, &work)
	if err == nil {
		info, err = done.info(d.selected)
	}
	if err != nil {
		return probe.Info{}, fmt.Errorf("asking the probe: %w", err)
	}
	return info, nil
}

func (d *device) Reset(ctx context.Context, after probe.After) error {
	if after != probe.Run && after != probe.Halt {
		return fmt.Errorf("resetting the board: %w: %v", probe.ErrCannot, after)
	}
	if _, err := d.do(ctx, &work{limit: d.cfg.Limit, pin: after == probe.Run, script: []string{"reset " + after.String()}}); err != nil {
		return fmt.Errorf("resetting the board: %w", err)
	}
	return nil
}

func (d *device) ReadMemory(ctx context.Context, address uint32, length int) ([]byte, error) {
	if err := probe.CheckRead(address, length); err != nil {
		return nil, err
	}
	memory := filepath.Base(dumpFile)
	work := work{limit: d.cfg.Limit, script: []string{fmt.Sprintf("dump_image %s %#x %d", memory, address, length)}}
	done, err := d.do(ctx, &work)
	if err == nil && len(done.dump) != length {
		err = fmt.Errorf("%w: %d octets were read", probe.ErrUnclear, len(done.dump))
	}
	if err != nil {
		return nil, fmt.Errorf("reading %d octets at %#08x: %w", length, address, err)
	}
	return done.dump, nil
}

func (d *device) Recover(ctx context.Context) error {
	chip := d.cfg.Chip
	if len(chip.Recover) == 0 {
		return fmt.Errorf("erasing the whole chip: %w", probe.ErrCannot)
	}
	done, err := d.do(ctx, &work{limit: d.cfg.FlashLimit, locked: true, script: chip.Recover})
	if err == nil && !strings.Contains(done.text, chip.Recovered) {
		err = fmt.Errorf("%w: the text %q is missing", probe.ErrNotErased, chip.Recovered)
	}
	if err != nil {
		return fmt.Errorf("erasing the whole chip: %w", err)
	}
	return nil
}

func (d *device) Lock(ctx context.Context) error {
	if len(d.cfg.Chip.Lock) == 0 {
		return fmt.Errorf("locking the debug port: %w", probe.ErrCannot)
	}
	if _, err := d.do(ctx, &work{limit: d.cfg.Limit, script: d.cfg.Chip.Lock}); err != nil {
		return fmt.Errorf("locking the debug port: %w", err)
	}
	return nil
}

func (d *device) LockState(ctx context.Context) (probe.LockState, error) {
	if d.cfg.Chip.LockState == "" {
		return 0, fmt.Errorf("reading the state of the lock: %w", probe.ErrCannot)
	}
	var state probe.LockState
	done, err := d.do(ctx, &work{limit: d.cfg.Limit, locked: true})
	if err == nil {
		state, err = d.cfg.Chip.state(done.mark("lock"))
	}
	if err != nil {
		return 0, fmt.Errorf("reading the state of the lock: %w", err)
	}
	return state, nil
}

// state compares the result of LockState with the two expected ones.
func (c *Chip) state(got string) (probe.LockState, error) {
	switch {
	case probe.SameValue(got, c.Locked):
		return probe.Locked, nil
	case probe.SameValue(got, c.Open):
		return probe.Open, nil
	}
	return 0, fmt.Errorf("%w: the state is %.40q, want %q or %q", probe.ErrUnclear, got, c.Locked, c.Open)
}
