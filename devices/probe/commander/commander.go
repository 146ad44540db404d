// Package commander drives J-Links with SEGGER's J-Link Commander (JLinkExe), where it is installed.
//
// The package follows public transcripts and documents. It was never run against SEGGER's software.
//
// Each call runs JLinkExe with a command file. Before the work itself a first run asks the probe alone: the
// connection to a locked chip can erase the chip, so serial number, target voltage and lock are checked
// without a connection. A Chip whose lock cannot be read so is not connected to, unless it says that it is
// not erased ([Chip.MayConnect]). The exit code alone never counts as success, see [outcome].
package commander

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"hallmark/devices/probe"
)

// Name is the driver's word in a configuration.
const Name = "jlinkexe"

// Time limits of a call if Config does not say otherwise.
const (
	defaultLimit      = 30 * time.Second
	defaultFlashLimit = 5 * time.Minute
)

// Config says how JLinkExe reaches the boards of one type.
type Config struct {
	Program   string // path or name; "": "JLinkExe"
	Interface string // "": "SWD"
	Speed     int    // in kHz; 0: 4000
	Part      probe.Part
	Chip      Chip

	Limit      time.Duration // of one run; 0: 30 s
	FlashLimit time.Duration // of the run that flashes or erases; 0: 5 min
	USB        string        // where USB devices are found; "": probe.USBDevices
}

// Chip says how JLinkExe handles one type of chip. The texts are commands of J-Link Commander.
type Chip struct {
	Device  string   `yaml:"device"`  // SEGGER's name of the chip
	Recover []string `yaml:"recover"` // without a connection; empty: Recover is not possible
	// Recovered is a regular expression for what Recover must print.
	Recovered string   `yaml:"recovered"`
	Lock      []string `yaml:"lock"` // ends with a reset where the chip needs one; empty: Lock is not possible
	// LockState reads the state without a connection; empty: LockState is not possible. Then the driver cannot
	// see a lock before it connects.
	LockState []string `yaml:"lock_state"`
	Locked    string   `yaml:"locked"` // regular expression for what LockState prints on a locked chip
	Open      string   `yaml:"open"`   // regular expression for what LockState prints on an open chip
	// KeepsLocked says that SEGGER's software erases nothing when it connects to a locked chip of this type.
	KeepsLocked bool `yaml:"keeps_locked"`
}

// errBlind: the connection itself may erase a locked chip, and no question to the registry comes before it.
var errBlind = fmt.Errorf("%w: JLinkExe may erase a locked chip when it connects, so it needs lock_state, locked and open, which read the lock before, or keeps_locked: true "+
	"for a type of chip that SEGGER's software does not erase", probe.ErrCannot)

// MayConnect refuses a chip that the connection could erase before anybody knows that it is locked.
func (c *Chip) MayConnect() error {
	if len(c.LockState) == 0 && !c.KeepsLocked {
		return errBlind
	}
	return nil
}

// A Driver opens probes with one Config.
type Driver struct {
	cfg                     Config
	recovered, locked, open *regexp.Regexp
}

// New returns a driver. It refuses a Chip without name, and expressions that are none.
func New(cfg Config) (*Driver, error) {
	if cfg.Program == "" {
		cfg.Program = "JLinkExe"
	}
	if cfg.Interface == "" {
		cfg.Interface = "SWD"
	}
	if cfg.Speed == 0 {
		cfg.Speed = 4000
	}
	if cfg.USB == "" {
		cfg.USB = probe.USBDevices
	}
	if cfg.Limit == 0 {
		cfg.Limit = defaultLimit
	}
	if cfg.FlashLimit == 0 {
		cfg.FlashLimit = defaultFlashLimit
	}
	d := &Driver{cfg: cfg}
	for text, into := range map[*string]**regexp.Regexp{&cfg.Chip.Recovered: &d.recovered, &cfg.Chip.Locked: &d.locked, &cfg.Chip.Open: &d.open} {
		pattern, err := regexp.Compile(*text)
		if err != nil {
			return nil, fmt.Errorf("reading the board definition for JLinkExe: %w", err)
		}
		*into = pattern
	}
	return d, nil
}

// Name is the driver's word in a configuration.
func (d *Driver) Name() string { return Name }

// Check asks JLinkExe for its version.
func (d *Driver) Check(ctx context.Context) (string, error) {
	done, err := d.run(ctx, &work{limit: d.cfg.Limit, script: []string{"ShowEmuList USB"}})
	if err != nil {
		return "", fmt.Errorf("checking JLinkExe: %w", err)
	}
	found := version().FindString(done.text)
	if found == "" {
		return "", fmt.Errorf("checking JLinkExe: %w: it names no version", probe.ErrUnclear)
	}
	return found, nil
}

// Open returns the selected probe.
func (d *Driver) Open(selected probe.Selection) probe.Probe {
	return &device{d, selected, selected.Serial}
}

// List returns the J-Links on USB.
func (d *Driver) List(ctx context.Context) ([]probe.Found, error) {
	done, err := d.run(ctx, &work{limit: d.cfg.Limit, script: []string{"ShowEmuList USB"}})
	if err != nil {
		return nil, fmt.Errorf("listing the probes: %w", err)
	}
	var all []probe.Found
	for _, match := range listed().FindAllStringSubmatch(done.text, -1) {
		serial, err := probe.ParseSerial(match[1])
		if err != nil {
			return nil, fmt.Errorf("listing the probes: %w: %w", probe.ErrUnclear, err)
		}
		all = append(all, probe.Found{Serial: serial, Product: match[2]})
	}
	return all, nil
}

// device is one probe.
type device struct {
	*Driver
	selected probe.Selection
	serial   probe.Serial // of the selected probe; at a USB path: of the probe that was there at the newest question
}

var _ probe.Probe = (*device)(nil)

func (d *device) Info(ctx context.Context) (probe.Info, error) {
	info, err := d.check(ctx)
	if err != nil {
		return probe.Info{}, fmt.Errorf("asking the probe: %w", err)
	}
	return info, nil
}

// resetRun resets a board and lets it run. The sleep lets it start before the connection ends.
var resetRun = []string{"r", "g", "sleep 10"}

func (d *device) Reset(ctx context.Context, after probe.After) error {
	script := resetRun
	switch after {
	case probe.Run:
	case probe.Halt:
		script = resetRun[:1]
	default:
		return fmt.Errorf("resetting the board: %w: %v", probe.ErrCannot, after)
	}
	if _, err := d.do(ctx, &work{limit: d.cfg.Limit, connect: true, script: script}); err != nil {
		return fmt.Errorf("resetting the board: %w", err)
	}
	return nil
}

func (d *device) FlashLimit(*probe.Image) time.Duration { return d.cfg.FlashLimit }

func (d *device) LockLimit() time.Duration { return 3 * d.cfg.Limit }

func (d *device) Flash(ctx context.Context, image *probe.Image, progress func(done, total int)) error {
	work := work{limit: d.cfg.FlashLimit, connect: true, files: map[string][]byte{}, script: []string{"r"}}
	for i, s := range image.Segments {
		name := fmt.Sprintf("part%d.bin", i) // Commander decides by the ending
		work.files[name] = s.Data
		work.script = append(work.script, fmt.Sprintf("loadfile %s 0x%08X", name, s.Address), fmt.Sprintf("verifybin %s 0x%08X", name, s.Address))
	}
	work.script = append(work.script, resetRun...)
	follow := follower{total: image.Size(), progress: progress}
	work.line = follow.line
	if _, err := d.check(ctx); err != nil {
		return fmt.Errorf("flashing %s: %w", image.Name, err)
	}
	if _, err := d.work(ctx, &work); err != nil {
		err = fmt.Errorf("flashing %s: %w", image.Name, err)
		if errors.Is(err, probe.ErrNoTool) {
			return err
		}
		return probe.Incomplete(err) // whatever it says: a probe that was lost in the middle is like one that is not there
	}
	follow.end()
	return nil
}

// A follower tells of progress. Commander has none for the whole image, so there is a report at the begin and at the end.
type follower struct {
	total    int
	progress func(done, total int)
	writing  bool
}

func (f *follower) line(text string) {
	if f.writing || !strings.HasPrefix(text, "Downloading file") {
		return
	}
	f.writing = true
	if f.progress != nil {
		f.progress(0, f.total)
	}
}

func (f *follower) end() {
	if f.progress != nil {
		f.progress(f.total, f.total)
	}
}

func (d *device) ReadMemory(ctx context.Context, address uint32, length int) ([]byte, error) {
	if err := probe.CheckRead(address, length); err != nil {
		return nil, err
	}
	work := work{limit: d.cfg.Limit, connect: true, script: []string{fmt.Sprintf("savebin %s 0x%08X 0x%X", dumpFile, address, length)}}
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
	if len(d.cfg.Chip.Recover) == 0 {
		return fmt.Errorf("erasing the whole chip: %w", probe.ErrCannot)
	}
	_, err := d.ask(ctx)
	var done *outcome
	if err == nil {
		done, err = d.work(ctx, &work{limit: d.cfg.FlashLimit, script: d.cfg.Chip.Recover})
	}
	if err == nil && !d.recovered.MatchString(done.text) {
		err = fmt.Errorf("%w: the text %q is missing", probe.ErrNotErased, d.recovered)
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
	if _, err := d.do(ctx, &work{limit: d.cfg.Limit, connect: true, script: d.cfg.Chip.Lock}); err != nil {
		return fmt.Errorf("locking the debug port: %w", err)
	}
	return nil
}

func (d *device) LockState(ctx context.Context) (probe.LockState, error) {
	if len(d.cfg.Chip.LockState) == 0 {
		return 0, fmt.Errorf("reading the state of the lock: %w", probe.ErrCannot)
	}
	done, err := d.ask(ctx)
	var state probe.LockState
	if err == nil {
		state, err = d.state(done.text)
	}
	if err != nil {
		return 0, fmt.Errorf("reading the state of the lock: %w", err)
	}
	return state, nil
}

// state finds the state of the lock in what LockState printed.
func (d *Driver) state(text string) (probe.LockState, error) {
	switch locked, open := d.locked.MatchString(text), d.open.MatchString(text); {
	case locked && !open:
		return probe.Locked, nil
	case open && !locked:
		return probe.Open, nil
	}
	return 0, fmt.Errorf("%w: the text fits neither %q nor %q, or both", probe.ErrUnclear, d.locked, d.open)
}
