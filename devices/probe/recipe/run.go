package recipe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"

	"hallmark/devices/probe"
	"hallmark/devices/probe/process"
)

// outputFile is the file for memory that is read.
const outputFile = "memory.bin"

// A request holds the values of placeholders.
type request struct {
	image   *part
	address uint32
	length  int
	report  *reporter
}

// A part is what one run of the programmer flashes.
type part struct {
	name    string
	address uint32
	data    []byte // octets to flash
	file    []byte // contents of the file
}

// parts returns the image as one hex file, or each segment as a raw file.
func (d *device) parts(image *probe.Image) (all []*part) {
	if d.cfg.Recipe.Image == "hex" {
		data := make([]byte, image.Size())
		return []*part{{"image.hex", image.Segments[0].Address, data, image.Hex()}}
	}
	for i, s := range image.Segments {
		all = append(all, &part{fmt.Sprintf("image%d.bin", i), s.Address, s.Data, s.Data})
	}
	return all
}

// do does all steps of an operation, in a directory that is removed afterwards.
func (d *device) do(ctx context.Context, steps []Step, r request) (done *outcome, err error) {
	if len(steps) == 0 {
		return nil, fmt.Errorf("%w: the recipe %s has no steps for it", probe.ErrCannot, d.cfg.Recipe.Name)
	}
	if err := errors.Join(d.selected.Check(), d.only()); err != nil {
		return nil, err
	}
	if _, err := d.version(ctx); err != nil {
		return nil, err
	}
	if err := d.identify(ctx, steps); err != nil {
		return nil, err
	}
	place, err := process.NewWorkDir()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, place.Remove()) }()
	dir := place.Path
	if r.image != nil {
		if err := os.WriteFile(filepath.Join(dir, r.image.name), r.image.file, 0o600); err != nil {
			return nil, fmt.Errorf("writing the image for the programmer: %w", err)
		}
	}
	return d.steps(ctx, dir, steps, r)
}

// only refuses a probe that the programmer could take for another one. A programmer that does not say which probe it took needs the USB path,
// where the station itself sees the probe, or a bench without another probe of that kind.
func (d *device) only() error {
	if d.selected.Serial == "" { // a list, or a programmer that selects by a port
		return nil
	}
	_, err := d.selected.Only(d.cfg.USB)
	if err == nil && d.selected.Location == "" && d.cfg.Recipe.HidesProbe() {
		err = d.selected.Alone(d.cfg.USB)
	}
	return err
}

// identify looks up the USB id of the probe if a step needs it, because a bay has only serial number and USB path. A
// programmer that takes a USB id compares the serial number as a text, so it gets the one that it has printed.
func (d *device) identify(ctx context.Context, steps []Step) error {
	if d.selected.USBID != "" || d.selected.Serial == "" || !slices.ContainsFunc(steps, func(s Step) bool { return s.uses("{usb_id}") }) {
		return nil
	}
	found, err := d.find(ctx)
	if err != nil {
		return err
	}
	d.selected.USBID, d.selected.Serial = found.USBID, found.Serial
	return d.selected.Check()
}

// steps runs the programmer once for each step.
func (d *device) steps(ctx context.Context, dir string, steps []Step, r request) (*outcome, error) {
	done := &outcome{}
	for i := range steps {
		step := &steps[i]
		args, err := d.arguments(step.Args, dir, r)
		if err != nil {
			return nil, err
		}
		result, err := d.run(ctx, dir, args, step, r.report.follow(step, r.image))
		if r.report != nil && !errors.Is(err, probe.ErrNoTool) {
			r.report.begun = true
		}
		if err != nil {
			return nil, err
		}
		done.runs = append(done.runs, stepRun{step, result.Text})
		if err := d.judge(step, result); err != nil {
			return nil, err
		}
		if err := done.answered(d.selected); err != nil {
			return nil, err
		}
	}
	var err error
	done.file, err = process.ReadIfThere(filepath.Join(dir, outputFile))
	return done, err
}

// follow returns the function that gets each line of the programmer, or nil.
func (r *reporter) follow(step *Step, image *part) func(string) {
	if r == nil || step.Progress == "" {
		return nil
	}
	pattern := regexp.MustCompile(step.Progress)
	r.part = len(image.data)
	return func(line string) { r.line(pattern, line) }
}

func (d *device) run(ctx context.Context, dir string, args []string, step *Step, line func(string)) (process.Result, error) {
	command := process.Command{Program: d.cfg.Program, Args: args, Env: d.environment(dir), Dir: dir, Limit: cmp.Or(step.Limit, defaultLimit)}
	return command.Run(ctx, line)
}

// environment returns the variables that the recipe lists.
func (d *Driver) environment(dir string) []string {
	all := []string{"LC_ALL=C"}
	if !slices.Contains(d.cfg.Recipe.Environment, "HOME") {
		all = append(all, "HOME="+dir)
	}
	for _, name := range d.cfg.Recipe.Environment {
		if value, there := os.LookupEnv(name); there {
			all = append(all, name+"="+value)
		}
	}
	return all
}

// arguments puts values in the place of placeholders. A placeholder without a value is a refusal.
func (d *device) arguments(args []string, dir string, r request) ([]string, error) {
	digits, _ := d.selected.Serial.Digits()
	name := ""
	if r.image != nil {
		name, r.address, r.length = filepath.Join(dir, r.image.name), r.image.address, len(r.image.data)
	}
	values := map[string]string{
		"{serial}": string(d.selected.Serial), "{digits}": digits, "{location}": d.selected.Location, "{usb_id}": d.selected.USBID,
		"{target}": d.cfg.Target, "{speed}": strconv.Itoa(d.cfg.Speed), "{output}": filepath.Join(dir, outputFile),
		"{address}": fmt.Sprintf("0x%08x", r.address), "{length}": strconv.Itoa(r.length), "{length_hex}": fmt.Sprintf("0x%x", r.length),
		"{image}": name,
	}
	var missing error
	all := make([]string, len(args))
	for i, arg := range args {
		all[i] = placeholder.ReplaceAllStringFunc(arg, func(name string) string {
			if values[name] == "" {
				missing = fmt.Errorf("%w: the recipe %s needs a value for %s", probe.ErrCannot, d.cfg.Recipe.Name, name)
			}
			return values[name]
		})
	}
	return all, missing
}

// version asks for the version until it was once known, and returns it.
func (d *Driver) version(ctx context.Context) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.known != "" {
		return d.known, nil
	}
	version := d.cfg.Recipe.Version
	place, err := process.NewWorkDir()
	if err != nil {
		return "", err
	}
	command := process.Command{Program: d.cfg.Program, Args: version.Args, Env: d.environment(place.Path), Dir: place.Path, Limit: defaultLimit}
	result, err := command.Run(ctx, nil)
	if err = errors.Join(err, place.Remove()); err != nil {
		return "", fmt.Errorf("asking for the version of %s: %w", d.cfg.Program, err)
	}
	match := regexp.MustCompile(version.Pattern).FindStringSubmatch(result.Text)
	if match == nil || !regexp.MustCompile(`^(?:`+version.Known+`)$`).MatchString(match[1]) {
		return "", fmt.Errorf("%w: it says %.80q, the recipe %s is for %s", probe.ErrToolVersion, process.LastLines(result.Text, 1), d.cfg.Recipe.Name, version.Known)
	}
	d.known = cmp.Or(match[1], match[0])
	return d.known, nil
}
