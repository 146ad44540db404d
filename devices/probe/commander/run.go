package commander

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"hallmark/devices/probe"
	"hallmark/devices/probe/process"
)

// Files in the working directory of one JLinkExe.
const (
	scriptFile = "work.jlink"
	logFile    = "jlink.log"
	dumpFile   = "memory.bin"
)

// work is what one JLinkExe does.
type work struct {
	args    []string // that select probe and chip
	script  []string
	connect bool // to the chip
	files   map[string][]byte
	limit   time.Duration
	line    func(string)
}

// selecting adds the options for the selected probe and the chip.
func (d *device) selecting(w *work) *work {
	if digits, _ := d.serial.Digits(); digits != "" {
		w.args = append(w.args, "-USB", digits)
	}
	w.args = append(w.args, "-Device", d.cfg.Chip.Device, "-If", d.cfg.Interface, "-Speed", strconv.Itoa(d.cfg.Speed))
	if w.connect {
		w.args = append(w.args, "-AutoConnect", "1")
	}
	return w
}

// do checks probe and board first, and then does the work.
func (d *device) do(ctx context.Context, w *work) (*outcome, error) {
	if _, err := d.check(ctx); err != nil {
		return nil, err
	}
	return d.work(ctx, w)
}

// work does the work with the selected probe. The probe that answers each run is compared: another one may have been
// plugged in since the last question.
func (d *device) work(ctx context.Context, w *work) (*outcome, error) {
	done, err := d.run(ctx, d.selecting(w))
	if err != nil {
		return nil, err
	}
	return done, done.answeredBy(d.serial)
}

// ask asks the probe without a connection to the chip.
func (d *device) ask(ctx context.Context) (*outcome, error) {
	if err := d.selected.Check(); err != nil {
		return nil, err
	}
	var err error
	if d.serial, err = d.selected.Only(d.cfg.USB); err != nil { // JLinkExe knows no USB paths
		return nil, err
	}
	if _, digits := d.serial.Digits(); d.serial != "" && !digits {
		return nil, fmt.Errorf("%w: %s is no serial number of a J-Link", probe.ErrBadSerial, d.serial)
	}
	done, err := d.work(ctx, &work{limit: d.cfg.Limit, script: append([]string{"st"}, d.cfg.Chip.LockState...)})
	if err != nil {
		return nil, err
	}
	info, err := done.info()
	if err != nil {
		return nil, err
	}
	return done, probe.Powered(info.Millivolts)
}

// check asks the probe who it is, and refuses a locked chip before anything connects to it. Only then it
// connects, and compares the type of the chip.
func (d *device) check(ctx context.Context) (probe.Info, error) {
	if err := d.cfg.Chip.MayConnect(); err != nil {
		return probe.Info{}, err
	}
	done, err := d.ask(ctx)
	if err != nil {
		return probe.Info{}, err
	}
	if len(d.cfg.Chip.LockState) > 0 {
		if state, err := d.state(done.text); err != nil || state == probe.Locked {
			return probe.Info{}, errors.Join(err, state.Refusal())
		}
	}
	connected, err := d.work(ctx, &work{limit: d.cfg.Limit, connect: true, script: d.partScript()})
	if err != nil {
		return probe.Info{}, err
	}
	info, err := connected.info()
	if err != nil {
		return probe.Info{}, err
	}
	return info, d.checkPart(connected, &info)
}

func (d *device) partScript() []string {
	if !d.cfg.Part.Configured() {
		return nil
	}
	return []string{fmt.Sprintf("mem32 0x%08X, 1", d.cfg.Part.Address)}
}

func (d *device) checkPart(done *outcome, info *probe.Info) (err error) {
	if !d.cfg.Part.Configured() {
		return nil
	}
	if info.Part, err = done.word(d.cfg.Part.Address); err != nil {
		return err
	}
	return d.cfg.Part.Check(info.Part)
}

// run runs JLinkExe once, in a directory of its own that is removed afterwards. The first access to an idle
// probe may fail, so a probe that is missing is asked once more.
func (d *Driver) run(ctx context.Context, w *work) (*outcome, error) {
	done, err := d.once(ctx, w)
	if errors.Is(err, probe.ErrMissing) {
		return d.once(ctx, w)
	}
	return done, err
}

func (d *Driver) once(ctx context.Context, w *work) (done *outcome, err error) {
	place, err := process.NewWorkDir()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, place.Remove()) }()
	dir := place.Path
	lines := append(append([]string{"ExitOnError 1"}, w.script...), "q")
	if err := w.write(dir, strings.Join(lines, "\n")+"\n"); err != nil {
		return nil, fmt.Errorf("preparing JLinkExe: %w", err)
	}
	args := append([]string{"-NoGui", "1", "-ExitOnError", "1", "-Log", logFile}, w.args...)
	command := process.Command{
		Program: d.cfg.Program, Args: append(args, "-CommandFile", scriptFile), Env: []string{"LC_ALL=C", "HOME=" + dir}, Dir: dir, Limit: w.limit,
	}
	result, err := command.Run(ctx, w.line)
	done = &outcome{exit: result.Exit, text: result.Text, script: w.script, connects: w.connect}
	if readErr := done.readLog(dir); err != nil || readErr != nil {
		return nil, errors.Join(err, readErr, done.erased()) // a run that was given up may have erased the chip before
	}
	return done, done.read(dir)
}

func (w *work) write(dir, script string) error {
	if err := os.WriteFile(filepath.Join(dir, scriptFile), []byte(script), 0o600); err != nil {
		return err
	}
	for name, data := range w.files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// readLog reads the log file, which is there also after a run that was given up.
func (o *outcome) readLog(dir string) error {
	log, err := process.ReadIfThere(filepath.Join(dir, logFile))
	o.log = string(log)
	return err
}

// read returns why the run was no success, and reads the memory that JLinkExe wrote to a file.
func (o *outcome) read(dir string) (err error) {
	if err := o.failure(); err != nil {
		return err
	}
	o.dump, err = process.ReadIfThere(filepath.Join(dir, dumpFile))
	return err
}
