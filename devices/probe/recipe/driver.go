package recipe

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"hallmark/devices/probe"
)

// defaultLimit is the time for one run if the step has none.
const defaultLimit = time.Minute

// Config says how a recipe is used for the boards of one type.
type Config struct {
	Recipe  *Recipe
	Program string     // instead of the recipe's program, if not empty
	Target  string     // name of the chip for this programmer
	Speed   int        // in kHz; 0: 4000
	Part    probe.Part // compared before each flash, if the recipe can read memory
	USB     string     // where USB devices are found; "": probe.USBDevices
}

// A Driver opens probes with one recipe.
type Driver struct {
	cfg Config

	mu    sync.Mutex // guards known
	known string     // version; empty: not asked yet
}

// New checks the recipe and returns its driver.
func New(cfg Config) (*Driver, error) {
	if err := cfg.Recipe.Check(); err != nil {
		return nil, fmt.Errorf("reading the recipe %s: %w", cfg.Recipe.Name, err)
	}
	if cfg.Program == "" {
		cfg.Program = cfg.Recipe.Program
	}
	if cfg.Speed == 0 {
		cfg.Speed = 4000
	}
	cfg.USB = cmp.Or(cfg.USB, probe.USBDevices)
	return &Driver{cfg: cfg}, nil
}

// Name is the name of the recipe.
func (d *Driver) Name() string { return d.cfg.Recipe.Name }

// Check asks the programmer for its version.
func (d *Driver) Check(ctx context.Context) (version string, err error) {
	version, err = d.version(ctx)
	if err != nil {
		return "", err
	}
	return d.cfg.Program + " " + version, nil
}

// Open returns the selected probe.
func (d *Driver) Open(selected probe.Selection) probe.Probe { return &device{d, selected} }

// List returns the probes that the programmer finds.
func (d *Driver) List(ctx context.Context) ([]probe.Found, error) {
	var all []probe.Found
	done, err := (&device{Driver: d}).do(ctx, d.cfg.Recipe.Operations.List, request{})
	if err != nil {
		return nil, fmt.Errorf("listing the probes: %w", err)
	}
	for _, match := range done.all(func(s *Step) string { return s.Found }) {
		serial, err := probe.ParseSerial(match["serial"])
		if err != nil {
			return nil, fmt.Errorf("listing the probes: %w: %w", probe.ErrUnclear, err)
		}
		all = append(all, probe.Found{Serial: serial, USBID: match["usb_id"], Product: strings.TrimSpace(match["product"])})
	}
	return all, nil
}

// device is one probe.
type device struct {
	*Driver
	selected probe.Selection
}

var _ probe.Probe = (*device)(nil)

func (d *device) Info(ctx context.Context) (probe.Info, error) {
	info, err := d.answer(ctx)
	if err == nil {
		info.Part, err = d.part(ctx)
	}
	if err != nil {
		return probe.Info{}, fmt.Errorf("asking the probe: %w", err)
	}
	return info, nil
}

// answer asks who answers. A recipe without steps for that looks for the probe in its list.
func (d *device) answer(ctx context.Context) (probe.Info, error) {
	steps := d.cfg.Recipe.Operations.Info
	if len(steps) == 0 && len(d.cfg.Recipe.Operations.List) > 0 {
		found, err := d.find(ctx)
		return probe.Info{Serial: found.Serial, Target: d.cfg.Target, Millivolts: probe.VoltageUnknown}, err
	}
	done, err := d.do(ctx, steps, request{})
	if err != nil {
		return probe.Info{}, err
	}
	return done.info(d.selected)
}

// find looks for the selected probe in the list.
func (d *device) find(ctx context.Context) (probe.Found, error) {
	all, err := d.List(ctx)
	if err != nil {
		return probe.Found{}, err
	}
	same := slices.DeleteFunc(slices.Clone(all), func(one probe.Found) bool { return !one.Serial.Is(d.selected.Serial) })
	switch len(same) {
	case 0:
		return probe.Found{}, fmt.Errorf("%w: %s is not among the probes that %s finds: %d in all", probe.ErrMissing, d.selected.Serial, d.cfg.Recipe.Name, len(all))
	case 1:
		return same[0], nil
	}
	return probe.Found{}, fmt.Errorf("%w: %s finds %d with %s", probe.ErrAmbiguous, d.cfg.Recipe.Name, len(same), d.selected.Serial)
}

// part compares the type of the chip.
func (d *device) part(ctx context.Context) (uint32, error) {
	part := d.cfg.Part
	if !part.Configured() || len(d.cfg.Recipe.Operations.Read) == 0 {
		return 0, nil
	}
	octets, err := d.read(ctx, part.Address, 4)
	if err != nil {
		return 0, err
	}
	word := binary.LittleEndian.Uint32(octets)
	return word, part.Check(word)
}

// check asks probe and board before the board is changed. A lock is seen first, because a programmer may
// erase a locked chip when it connects.
func (d *device) check(ctx context.Context) error {
	if len(d.cfg.Recipe.Operations.LockState) > 0 {
		if state, err := d.lockState(ctx); err != nil || state == probe.Locked {
			return errors.Join(err, state.Refusal())
		}
	}
	if len(d.cfg.Recipe.Operations.Info) == 0 {
		_, err := d.part(ctx)
		return err
	}
	_, err := d.Info(ctx)
	return err
}

// FlashLimit adds the time of each run of the programmer: for each part of the image, and for reading it back.
func (d *device) FlashLimit(image *probe.Image) time.Duration {
	steps := d.cfg.Recipe.Operations.Flash
	if d.cfg.Recipe.ReadBack {
		steps = slices.Concat(steps, d.cfg.Recipe.Operations.Read)
	}
	return limit(steps) * time.Duration(len(d.parts(image)))
}

func (d *device) LockLimit() time.Duration {
	o := &d.cfg.Recipe.Operations
	return limit(o.LockState) + limit(o.Lock) + limit(o.LockState)
}

func limit(steps []Step) (all time.Duration) {
	for _, step := range steps {
		all += cmp.Or(step.Limit, defaultLimit)
	}
	return all
}

func (d *device) Flash(ctx context.Context, image *probe.Image, progress func(done, total int)) error {
	if err := errors.Join(d.check(ctx), d.touch(ctx, image)); err != nil {
		return fmt.Errorf("flashing %s: %w", image.Name, err)
	}
	report := reporter{total: image.Size(), progress: progress}
	report.to(0)
	for _, part := range d.parts(image) {
		if _, err := d.do(ctx, d.cfg.Recipe.Operations.Flash, request{image: part, report: &report}); err != nil {
			return fmt.Errorf("flashing %s: %w", image.Name, incomplete(err, report.begun))
		}
		report.base += len(part.data)
	}
	if err := d.readBack(ctx, image); err != nil {
		return fmt.Errorf("flashing %s: %w", image.Name, probe.Incomplete(err))
	}
	if len(d.cfg.Recipe.Operations.ResetRun) > 0 { // CheckBay wants them
		if err := d.Reset(ctx, probe.Run); err != nil {
			return fmt.Errorf("flashing %s: %w", image.Name, probe.Incomplete(err))
		}
	}
	report.to(report.total)
	return nil
}

// readBack compares the flash with the image, if the programmer does not.
func (d *device) readBack(ctx context.Context, image *probe.Image) error {
	if !d.cfg.Recipe.ReadBack {
		return nil
	}
	for _, s := range image.Segments {
		octets, err := d.read(ctx, s.Address, len(s.Data))
		if err != nil {
			return err
		}
		if !bytes.Equal(octets, s.Data) {
			return fmt.Errorf("%w: read back from %#08x", probe.ErrMismatch, s.Address)
		}
	}
	return nil
}

// touch reads the board where the image begins, if check did not reach the board. So a probe or a board that is not there
// is found before the flash begins, and not by it.
func (d *device) touch(ctx context.Context, image *probe.Image) error {
	o := &d.cfg.Recipe.Operations
	if len(o.Info) > 0 || d.cfg.Part.Configured() || len(o.Read) == 0 {
		return nil
	}
	_, err := d.read(ctx, image.Segments[0].Address, 4)
	return err
}

// incomplete marks an error after which the flash may have changed: any error since the programmer was started to flash.
// What it says then is no proof, because a probe that is lost in the middle has the text of one that was never there.
func incomplete(err error, begun bool) error {
	if !begun {
		return err
	}
	return probe.Incomplete(err)
}

func (d *device) Reset(ctx context.Context, after probe.After) error {
	steps := d.cfg.Recipe.Operations.ResetRun
	if after == probe.Halt {
		steps = d.cfg.Recipe.Operations.ResetHalt
	} else if after != probe.Run {
		steps = nil
	}
	if _, err := d.do(ctx, steps, request{}); err != nil {
		return fmt.Errorf("resetting the board: %w", err)
	}
	return nil
}

func (d *device) ReadMemory(ctx context.Context, address uint32, length int) ([]byte, error) {
	if err := probe.CheckRead(address, length); err != nil {
		return nil, err
	}
	octets, err := d.read(ctx, address, length)
	if err != nil {
		return nil, fmt.Errorf("reading %d octets at %#08x: %w", length, address, err)
	}
	return octets, nil
}

// textPiece is how much memory a programmer prints in one run: as text, it is up to eight times as long, and the output is bounded.
const textPiece = 128 << 10

// read reads memory, in pieces if the programmer prints it.
func (d *device) read(ctx context.Context, address uint32, length int) (octets []byte, err error) {
	piece := length
	if slices.ContainsFunc(d.cfg.Recipe.Operations.Read, func(s Step) bool { return s.Memory != "" }) {
		piece = textPiece
	}
	for len(octets) < length {
		more, err := d.readPiece(ctx, address+uint32(len(octets)), min(piece, length-len(octets)))
		if err != nil {
			return nil, err
		}
		octets = append(octets, more...)
	}
	return octets, nil
}

// readPiece reads memory in one run of the programmer.
func (d *device) readPiece(ctx context.Context, address uint32, length int) ([]byte, error) {
	done, err := d.do(ctx, d.cfg.Recipe.Operations.Read, request{address: address, length: length})
	if err != nil {
		return nil, err
	}
	octets, err := done.memory(address)
	if rest := len(octets) - length; rest > 0 && rest < 4 { // the programmer reads whole words
		octets = octets[:length]
	}
	if err == nil && len(octets) != length {
		err = fmt.Errorf("%w: %d octets were read", probe.ErrUnclear, len(octets))
	}
	return octets, err
}

func (d *device) Recover(ctx context.Context) error {
	if _, err := d.do(ctx, d.cfg.Recipe.Operations.Recover, request{}); err != nil {
		return fmt.Errorf("erasing the whole chip: %w", err)
	}
	return nil
}

func (d *device) Lock(ctx context.Context) error {
	if err := d.check(ctx); err != nil {
		return fmt.Errorf("locking the debug port: %w", err)
	}
	if _, err := d.do(ctx, d.cfg.Recipe.Operations.Lock, request{}); err != nil {
		return fmt.Errorf("locking the debug port: %w", err)
	}
	return nil
}

func (d *device) LockState(ctx context.Context) (probe.LockState, error) {
	state, err := d.lockState(ctx)
	if err != nil {
		return 0, fmt.Errorf("reading the state of the lock: %w", err)
	}
	return state, nil
}

func (d *device) lockState(ctx context.Context) (probe.LockState, error) {
	done, err := d.do(ctx, d.cfg.Recipe.Operations.LockState, request{})
	if err != nil {
		return 0, err
	}
	locked, open := done.occurs(func(s *Step) string { return s.Locked }), done.occurs(func(s *Step) string { return s.Open })
	switch {
	case locked && !open:
		return probe.Locked, nil
	case open && !locked:
		return probe.Open, nil
	}
	return 0, fmt.Errorf("%w: the text fits neither the locked nor the open state, or both", probe.ErrUnclear)
}

// A reporter turns per cents into progress.
type reporter struct {
	total    int
	base     int // octets of the segments before
	part     int // octets of the present segment
	last     int
	begun    bool // the programmer was started
	progress func(done, total int)
}

func (r *reporter) to(done int) {
	r.last = max(r.last, min(done, r.total))
	if r.progress != nil {
		r.progress(r.last, r.total)
	}
}

// line looks for a per cent in a line of the programmer.
func (r *reporter) line(pattern *regexp.Regexp, text string) {
	match := pattern.FindStringSubmatch(text)
	if match == nil {
		return
	}
	percent, err := strconv.ParseFloat(match[1], 64)
	if err != nil || percent < 0 || percent > 100 {
		return
	}
	r.to(r.base + int(percent*float64(r.part)/100))
}
