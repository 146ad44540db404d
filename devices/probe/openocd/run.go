package openocd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"hallmark/devices/probe"
	"hallmark/devices/probe/process"
)

// Files in the working directory of one OpenOCD.
const (
	scriptFile = "work.tcl"
	initFile   = "init.log"
	dumpFile   = "dump.bin"
	goFile     = "go" // the station makes it when OpenOCD may look for its probe
)

// attempts to find a probe. libjaylink listens for 20 ms only, and the first access to an idle probe may fail.
const attempts = 8

// do does the work, and returns what OpenOCD reported.
func (d *device) do(ctx context.Context, w *work) (*outcome, error) {
	if err := d.selected.Check(); err != nil {
		return nil, err
	}
	expected, err := d.expected()
	if err != nil {
		return nil, err
	}
	begun := time.Now()
	var other error // an attempt found another probe; a later one that finds none says less
	for try := 1; ; try++ {
		done, err := d.try(ctx, w)
		switch {
		case errors.Is(err, probe.ErrWrongSerial):
			other = err
		case !errors.Is(err, probe.ErrMissing), errors.Is(err, errNotOnUSB): // no attempt may look on the network
			if done != nil {
				done.expected = expected
			}
			return done, err
		}
		if try == attempts || time.Since(begun)-w.waited > d.cfg.FindLimit {
			return nil, cmp.Or(other, err)
		}
	}
}

// try starts OpenOCD once, in a directory of its own that is removed afterwards.
func (d *device) try(ctx context.Context, w *work) (done *outcome, err error) {
	place, err := process.NewWorkDir()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, place.Remove()) }()
	dir := place.Path
	if err := d.prepare(dir, w); err != nil {
		return nil, fmt.Errorf("preparing OpenOCD: %w", err)
	}
	result, err := d.run(ctx, dir, w)
	done = newOutcome(result, dir)
	if err != nil {
		return nil, done.givenUp(err)
	}
	if err := done.failure(d); err != nil {
		return nil, err
	}
	done.dump, err = process.ReadIfThere(filepath.Join(dir, dumpFile))
	return done, err
}

func (d *device) prepare(dir string, w *work) error {
	files := map[string][]byte{scriptFile: d.script(w)}
	if w.check {
		files[scriptFile] = d.checkScript()
	}
	for name, data := range w.files {
		files[name] = data
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// run runs OpenOCD. An OpenOCD that looks for its probe on the network asks before it does so, and has the lock from the answer until it has
// found the probe. Its start and its scripts need no lock, so other bays do not wait for them.
func (d *device) run(ctx context.Context, dir string, w *work) (process.Result, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	turn, over := context.WithTimeout(ctx, w.limit) // Run gives up then
	defer over()
	// Before the first piece of an image, the limit of the whole work counts.
	stall := time.AfterFunc(2*w.limit, func() {
		cancel(fmt.Errorf("%w: nothing more was written or compared for %v", probe.ErrSilent, d.cfg.StallLimit))
	})
	defer stall.Stop()
	release := func() {}
	defer func() { release() }()
	command := process.Command{
		Program: d.cfg.Program, Args: []string{"-f", scriptFile}, Env: []string{"LC_ALL=C"}, Dir: dir, Limit: w.limit,
	}
	return command.Run(ctx, func(line string) {
		if w.line != nil {
			w.line(line)
		}
		if moves(line) {
			stall.Reset(d.cfg.StallLimit)
		}
		switch line {
		case reportPrefix + "asks":
			asked := time.Now()
			held, err := acquireStart(turn, d.cfg.LockDir)
			w.waited += time.Since(asked)
			if err == nil {
				release = sync.OnceFunc(held)
				err = os.WriteFile(filepath.Join(dir, goFile), nil, 0o600)
			}
			if err != nil {
				cancel(err)
			}
		case reportPrefix + "started":
			release()
		}
	})
}

// moves reports whether a line of OpenOCD says that a flash goes on. Nothing else counts: OpenOCD can repeat without end that its probe is lost.
func moves(line string) bool {
	return strings.HasPrefix(line, reportPrefix+"wrote ") || strings.HasPrefix(line, reportPrefix+"verified ")
}
