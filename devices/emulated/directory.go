package emulated

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	fusesFile  = "fuses.bin"
	flashFile  = "flash.bin"
	stderrFile = "stderr.log"

	// The file behind QEMU's memory region must have the region's size. Only its
	// beginning is the board's flash; the rest is a hole in the file.
	flashRegion = 16 << 20
	flashSize   = 64 << 10

	stderrLimit = 1 << 20 // a larger log is emptied
	tailLimit   = 4 << 10

	// After a station was killed, its board's process needs a moment to end.
	lockTimeout = time.Second
	lockPoll    = 20 * time.Millisecond
)

// A directory is the part of a board that survives power cuts.
type directory struct {
	path   string
	lock   *os.File // the directory itself, locked; the process inherits it, so the lock is held until station and process have ended
	fuses  *os.File
	stderr *os.File
	made   bool         // create made a file
	since  atomic.Int64 // offset in stderr at the last power-on
}

// openDirectory opens and locks the board's directory. A locked directory is ErrInUse.
func openDirectory(ctx context.Context, cfg Config) (*directory, error) {
	path, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("finding the board's directory: %w", err)
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("making the board's directory: %w", err)
	}
	d := &directory{path: path}
	if err := d.open(ctx, cfg); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

func (d *directory) open(ctx context.Context, cfg Config) (err error) {
	if err := d.acquireLock(ctx); err != nil {
		return err
	}
	if err := d.burnFuses(cfg); err != nil {
		return err
	}
	if err := d.openFuses(cfg); err != nil {
		return err
	}
	if err := d.makeFlash(); err != nil {
		return err
	}
	if err := d.keepNames(); err != nil {
		return fmt.Errorf("making the board's files: %w", err)
	}
	d.stderr, err = os.OpenFile(d.file(stderrFile), os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("opening the board's error log: %w", err)
	}
	return d.markPowerOn()
}

func (d *directory) file(name string) string { return filepath.Join(d.path, name) }

// acquireLock locks the directory.
func (d *directory) acquireLock(ctx context.Context) (err error) {
	if d.lock, err = os.Open(d.path); err != nil {
		return fmt.Errorf("opening the board's directory: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, lockTimeout)
	defer cancel()
	for {
		err := unix.Flock(int(d.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return fmt.Errorf("locking the board's directory: %w", err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: close that board first, or use another directory", ErrInUse)
		case <-time.After(lockPoll):
		}
	}
}

// burnFuses writes the fuses of a new board.
func (d *directory) burnFuses(cfg Config) error {
	_, err := os.Lstat(d.file(fusesFile))
	if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	fuses := cfg.Fuses
	if fuses == nil {
		fuses = new(Fuses)
		if _, err := io.ReadFull(cfg.Random, fuses[:]); err != nil {
			return fmt.Errorf("drawing the fuses: %w", err)
		}
	}
	if err := d.create(fusesFile, func(f *os.File) error {
		_, err := f.Write(fuses[:])
		return err
	}); err != nil {
		return fmt.Errorf("burning the fuses: %w", err)
	}
	return nil
}

// openFuses checks size and mode of the fuses, and compares them with cfg.Fuses.
func (d *directory) openFuses(cfg Config) (err error) {
	if d.fuses, err = os.OpenFile(d.file(fusesFile), os.O_RDONLY|unix.O_NOFOLLOW, 0); err != nil {
		return fmt.Errorf("opening the fuses: %w", err)
	}
	info, err := d.fuses.Stat()
	if err != nil {
		return fmt.Errorf("looking at the fuses: %w", err)
	}
	name := d.file(fusesFile)
	switch {
	case info.Size() != FusesSize:
		return fmt.Errorf("%w: %s has %d octets, want %d (32 HUK, 16 hardware id): put the right file back, or remove the directory to make a new board", ErrFuses, name, info.Size(), FusesSize)
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("%w: %s has mode %04o, others may read the HUK: chmod 600 it if you still trust it", ErrFuses, name, info.Mode().Perm())
	}
	return d.compareFuses(cfg.Fuses)
}

func (d *directory) compareFuses(want *Fuses) error {
	if want == nil {
		return nil
	}
	var got Fuses
	if _, err := d.fuses.ReadAt(got[:], 0); err != nil {
		return fmt.Errorf("reading the fuses: %w", err)
	}
	if got != *want {
		return fmt.Errorf("%w: %s holds others than the ones asked for; fuses are burned once", ErrFuses, d.file(fusesFile))
	}
	return nil
}

// makeFlash makes an erased flash for a new board, and checks the size of an existing one.
func (d *directory) makeFlash() error {
	info, err := os.Lstat(d.file(flashFile))
	switch {
	case errors.Is(err, os.ErrNotExist):
		return d.eraseFlash()
	case err != nil:
		return fmt.Errorf("looking at the flash: %w", err)
	case info.Size() != flashRegion:
		return fmt.Errorf("%w: %s has %d octets, want %d: put the right file back, or remove it to start with an erased flash", ErrFlash, d.file(flashFile), info.Size(), flashRegion)
	}
	return nil
}

// erased is the flash of every new board. Nobody changes it.
var erased = bytes.Repeat([]byte{0xff}, flashSize)

func (d *directory) eraseFlash() error {
	err := d.create(flashFile, func(f *os.File) error {
		if _, err := f.Write(erased); err != nil {
			return err
		}
		return f.Truncate(flashRegion)
	})
	if err != nil {
		return fmt.Errorf("making the flash: %w", err)
	}
	return nil
}

// create writes a file. The file gets its name only when it is complete. The caller brings the
// name to the disk.
func (d *directory) create(name string, fill func(*os.File) error) (err error) {
	f, err := os.CreateTemp(d.path, "."+name+"-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if err := errors.Join(fill(f), f.Sync(), f.Close()); err != nil {
		return err
	}
	d.made = true
	return os.Rename(f.Name(), d.file(name))
}

// keepNames brings the names of a new board's files to the disk.
func (d *directory) keepNames() error {
	if !d.made {
		return nil
	}
	return d.lock.Sync()
}

// markPowerOn empties a log that is too large, and stores where the output of this
// power-on begins.
func (d *directory) markPowerOn() error {
	info, err := d.stderr.Stat()
	if err != nil {
		return fmt.Errorf("looking at the error log: %w", err)
	}
	size := info.Size()
	if size > stderrLimit {
		if err := d.stderr.Truncate(0); err != nil {
			return fmt.Errorf("emptying the error log: %w", err)
		}
		size = 0
	}
	d.since.Store(size)
	return nil
}

// stderrTail returns the end of the output since the last power-on.
func (d *directory) stderrTail() string {
	from := d.since.Load()
	info, err := d.stderr.Stat()
	if err != nil {
		return ""
	}
	from = max(from, info.Size()-tailLimit)
	text, err := io.ReadAll(io.NewSectionReader(d.stderr, from, tailLimit))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// Close closes the files and releases the lock.
func (d *directory) Close() error {
	var errs []error
	for _, f := range []*os.File{d.fuses, d.stderr, d.lock} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}
