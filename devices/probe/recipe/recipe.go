// Package recipe drives any programmer by a description of its command line: a recipe. The files in
// configs/probes are recipes, and package configs reads them.
//
// For each operation a recipe has one or more steps. A step is one run of the programmer: its arguments with
// placeholders, the texts that must and that must not occur, and the texts that hold values. A step
// succeeded only if the exit code is the expected one, every success pattern occurs, and no failure pattern
// and no pattern of a refusal occurs.
//
// The placeholders are
//
//	{serial}      serial number of the probe as it was configured, and in a recipe with {usb_id} as the operation list found it;
//	              {digits} is the same without leading zeros
//	{usb_id}      vendor and product id of the probe, such as 1366:1015; the operation list finds it
//	{location}    USB path, or the port of a programmer that knows no probes
//	{target}      name of the chip in the board definition
//	{speed}       clock of the debug port in kHz
//	{image}       file with the image, or with one segment of the image (image: bin)
//	{address}     address of the segment, or of the memory to read, in hexadecimal with 0x
//	{length}      number of octets of the segment, or to read; {length_hex} is the same in hexadecimal with 0x
//	{output}      file for the memory that was read
package recipe

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"hallmark/devices/probe"
)

// A Recipe describes the command line of a programmer.
type Recipe struct {
	Name    string  `yaml:"name"`
	Program string  `yaml:"program"` // an absolute path, or a name that is looked up in PATH
	Source  string  `yaml:"source"`  // documents from which options and texts were taken
	Tested  string  `yaml:"tested"`  // "not run on hardware", or with which hardware and version it was run
	Version Version `yaml:"version"`
	// Environment lists the variables that the programmer gets. It always gets LC_ALL=C, and an empty
	// directory as HOME unless HOME is listed.
	Environment []string `yaml:"environment"`
	Image       string   `yaml:"image"` // "hex": one file; "bin": one file and one run for each segment
	// ReadBack makes the driver read the flash after it was written, for a programmer that does not verify.
	ReadBack   bool           `yaml:"read_back"`
	Refusals   []Refusal      `yaml:"refusals"` // texts that say why; the first that occurs counts
	Exits      map[int]string `yaml:"exits"`    // exit code → word of a refusal
	Operations Operations     `yaml:"operations"`
}

// Version says how to ask for the version, and which versions the recipe is for.
type Version struct {
	Args    []string `yaml:"args"`
	Pattern string   `yaml:"pattern"` // its first group is the version
	Known   string   `yaml:"known"`   // what the whole version must match
}

// A Refusal is a text with its meaning.
type Refusal struct {
	Pattern string `yaml:"pattern"`
	Reason  string `yaml:"reason"` // word of a refusal of package probe
}

// Operations are the steps of each operation. An operation without steps is not possible.
type Operations struct {
	List      []Step `yaml:"list"`
	Info      []Step `yaml:"info"`
	Flash     []Step `yaml:"flash"`
	ResetRun  []Step `yaml:"reset_run"`
	ResetHalt []Step `yaml:"reset_halt"`
	Read      []Step `yaml:"read"`
	Recover   []Step `yaml:"recover"`
	Lock      []Step `yaml:"lock"`
	LockState []Step `yaml:"lock_state"`
}

// A Step is one run of the programmer. Each pattern is a regular expression (RE2).
type Step struct {
	Args    []string      `yaml:"args"`
	Success []string      `yaml:"success"` // each must occur
	Failure []string      `yaml:"failure"` // none may occur
	Exit    int           `yaml:"exit"`    // expected exit code
	Limit   time.Duration `yaml:"limit"`   // 0: one minute

	Found    string `yaml:"found"`    // one probe; groups "serial", and if the text has them "usb_id" and "product"
	Serial   string `yaml:"serial"`   // first group: serial number of the probe that answered; must occur
	Volts    string `yaml:"volts"`    // first group: target voltage in V; must occur
	Target   string `yaml:"target"`   // first group: the chip, for people
	Progress string `yaml:"progress"` // first group: per cent
	Memory   string `yaml:"memory"`   // first group: memory as hexadecimal numbers; group "address": where it lies; empty: the memory is in {output}
	Unit     int    `yaml:"unit"`     // octets of each number, 1 or 4
	Locked   string `yaml:"locked"`   // occurs on a locked chip
	Open     string `yaml:"open"`     // occurs on an open chip
}

// ErrRecipe: the recipe does not describe a programmer.
var ErrRecipe = errors.New("not a recipe")

// ErrNoBay: the recipe describes a programmer that cannot work for a bay.
var ErrNoBay = errors.New("not a programmer for a bay")

// CheckBay refuses a recipe that lacks work which a bay needs, or cannot select the probe of the bay.
func (r *Recipe) CheckBay(selected probe.Selection) error {
	o := &r.Operations
	var missing []string
	for _, work := range []operation{{name: "info or list", steps: slices.Concat(o.Info, o.List)}, {name: "reset_run", steps: o.ResetRun}, {name: "read", steps: o.Read}} {
		if len(work.steps) == 0 {
			missing = append(missing, work.name)
		}
	}
	switch {
	case r.uses("{location}"):
		return fmt.Errorf("%w: the recipe %s selects the board by a serial port, which belongs to the UART of the bay; flash such a board beforehand, and leave the probe out of the bay", ErrNoBay, r.Name)
	case len(missing) > 0:
		return fmt.Errorf("%w: the recipe %s lacks %s", ErrNoBay, r.Name, strings.Join(missing, ", "))
	case selected.Serial == "" && r.uses("{serial}", "{digits}", "{usb_id}"):
		return fmt.Errorf("%w: the recipe %s needs probe.serial, the serial number of the probe", ErrNoBay, r.Name)
	}
	return nil
}

// Work returns the names of the operations that the recipe describes, and of those that it does not.
func (r *Recipe) Work() (does, lacks []string) {
	for _, o := range r.operations() {
		if len(o.steps) > 0 {
			does = append(does, o.name)
		} else {
			lacks = append(lacks, o.name)
		}
	}
	return does, lacks
}

// NeedsTarget reports whether the programmer must be told the name of the chip.
func (r *Recipe) NeedsTarget() bool { return r.uses("{target}") }

// HidesProbe reports whether the programmer selects a probe by its serial number, and never says which one it took. Nobody can compare it then
// with the one that was asked for.
func (r *Recipe) HidesProbe() bool { return r.uses("{serial}", "{digits}", "{usb_id}") && !r.names() }

// names reports whether some step prints the serial number of its probe.
func (r *Recipe) names() bool {
	return slices.ContainsFunc(r.operations(), func(o operation) bool {
		return slices.ContainsFunc(o.steps, func(s Step) bool { return s.Serial != "" })
	})
}

func (r *Recipe) uses(names ...string) bool {
	return slices.ContainsFunc(r.operations(), func(o operation) bool {
		return slices.ContainsFunc(o.steps, func(s Step) bool { return s.uses(names...) })
	})
}

// operation is one operation with its rules.
type operation struct {
	name    string
	steps   []Step
	changes bool     // the board, so success must be visible
	needs   []string // placeholders that the steps must use
}

func (r *Recipe) operations() []operation {
	o := &r.Operations
	return []operation{
		{"list", o.List, false, nil},
		{"info", o.Info, false, nil},
		{"flash", o.Flash, true, []string{"{image}"}},
		{"reset_run", o.ResetRun, false, nil},
		{"reset_halt", o.ResetHalt, false, nil},
		{"read", o.Read, false, []string{"{address}"}},
		{"recover", o.Recover, true, nil},
		{"lock", o.Lock, true, nil},
		{"lock_state", o.LockState, false, nil},
	}
}

// Check reports everything that is wrong with the recipe.
func (r *Recipe) Check() error {
	err := errors.Join(r.checkHead(), r.checkMeanings())
	for _, o := range r.operations() {
		for i, step := range o.steps {
			if wrong := errors.Join(r.checkStep(o, &step), step.checkPatterns()); wrong != nil {
				err = errors.Join(err, fmt.Errorf("operation %s, step %d: %w", o.name, i+1, wrong))
			}
		}
	}
	return errors.Join(err, r.checkOperations())
}

func wrong(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrRecipe, fmt.Errorf(format, args...))
}

// secret matches names of variables that a programmer must not get.
var secret = regexp.MustCompile(`(?i)pin|pass|secret|token|credential|private|^hallmark`)

var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func (r *Recipe) checkHead() (err error) {
	for key, value := range map[string]string{"name": r.Name, "program": r.Program, "source": r.Source, "tested": r.Tested} {
		if strings.TrimSpace(value) == "" {
			err = errors.Join(err, wrong("the key %s is missing", key))
		}
	}
	if strings.Contains(r.Program, "/") && !filepath.IsAbs(r.Program) { // it runs in a directory of its own
		err = errors.Join(err, wrong("program: %q, want a name, which is looked up in PATH, or an absolute path", r.Program))
	}
	if r.Image != "hex" && r.Image != "bin" {
		err = errors.Join(err, wrong("image: %q, want hex or bin", r.Image))
	}
	if len(r.Version.Args) == 0 {
		err = errors.Join(err, wrong("version: the arguments that ask for the version are missing"))
	}
	err = errors.Join(err, pattern("version.pattern", r.Version.Pattern, 1), pattern("version.known", r.Version.Known, 0))
	for _, name := range r.Environment {
		if !variable.MatchString(name) || secret.MatchString(name) {
			err = errors.Join(err, wrong("environment: %q is no variable that a programmer may get", name))
		}
	}
	return err
}

// checkMeanings checks the words of refusals.
func (r *Recipe) checkMeanings() (err error) {
	words := slices.Collect(maps.Values(r.Exits))
	for _, refusal := range r.Refusals {
		words = append(words, refusal.Reason)
		err = errors.Join(err, pattern("refusals", refusal.Pattern, 0))
	}
	for _, word := range words {
		if probe.Refusal(word) == nil {
			err = errors.Join(err, wrong("%q is no refusal; refusals are %s", word, strings.Join(probe.RefusalWords(), ", ")))
		}
	}
	if _, zero := r.Exits[0]; zero {
		err = errors.Join(err, wrong("exits: 0 cannot be a refusal; write a failure pattern"))
	}
	return err
}

// pattern checks a regular expression with at least so many groups.
func pattern(key, text string, groups int) error {
	compiled, err := regexp.Compile(text)
	switch {
	case err != nil:
		return wrong("%s: %w", key, err)
	case text == "":
		return wrong("%s: the pattern is missing", key)
	case compiled.MatchString(""):
		return wrong("%s: the pattern %q matches every text", key, text)
	case compiled.NumSubexp() < groups:
		return wrong("%s: the pattern %q has no group", key, text)
	}
	return nil
}

// placeholder matches what looks like one.
var placeholder = regexp.MustCompile(`\{[a-z_]*\}`)

var placeholders = []string{"{serial}", "{digits}", "{usb_id}", "{location}", "{target}", "{speed}", "{image}", "{address}", "{length}", "{length_hex}", "{output}"}

func (s *Step) uses(names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return strings.Contains(strings.Join(s.Args, " "), name) })
}

// maxLimit is the longest time for one run.
const maxLimit = 30 * time.Minute

func (r *Recipe) checkStep(o operation, s *Step) (err error) {
	for _, found := range placeholder.FindAllString(strings.Join(s.Args, " "), -1) {
		if !slices.Contains(placeholders, found) {
			err = errors.Join(err, wrong("unknown placeholder %s; known are %s", found, strings.Join(placeholders, " ")))
		}
	}
	switch {
	case len(s.Args) == 0:
		err = errors.Join(err, wrong("args: the arguments are missing"))
	case o.name != "list" && !s.uses("{serial}", "{digits}", "{location}"):
		err = errors.Join(err, wrong("args: nothing selects the probe; want {serial}, {digits} or {location}"))
	}
	if o.changes && len(s.Success) == 0 {
		err = errors.Join(err, wrong("success: a step that changes the board needs a text that says it is done"))
	}
	if s.Limit < 0 || s.Limit > maxLimit {
		err = errors.Join(err, wrong("limit: %v, want at most %v", s.Limit, maxLimit))
	}
	if s.uses("{image}", "{output}") && o.name != "flash" && o.name != "read" {
		err = errors.Join(err, wrong("args: {image} belongs to flash, and {output} to read"))
	}
	return err
}

// checkPatterns checks all regular expressions that are there.
func (s *Step) checkPatterns() (err error) {
	for _, text := range slices.Concat(s.Success, s.Failure) {
		err = errors.Join(err, pattern("success or failure", text, 0))
	}
	groups := 1
	if strings.Contains(s.Memory, "(?P<"+addressGroup+">") {
		groups = 2
	}
	for _, p := range []struct {
		key, text string
		groups    int
	}{
		{"found", s.Found, 1}, {"serial", s.Serial, 1}, {"volts", s.Volts, 1}, {"target", s.Target, 1},
		{"progress", s.Progress, 1}, {"memory", s.Memory, groups}, {"locked", s.Locked, 0}, {"open", s.Open, 0},
	} {
		if p.text != "" {
			err = errors.Join(err, pattern(p.key, p.text, p.groups))
		}
	}
	if s.Memory != "" && s.Unit != 1 && s.Unit != 4 {
		err = errors.Join(err, wrong("unit: %d, want 1 or 4", s.Unit))
	}
	return err
}

// checkOperations checks what the steps of an operation must have together.
func (r *Recipe) checkOperations() (err error) {
	for _, o := range r.operations() {
		for _, need := range o.needs {
			if len(o.steps) > 0 && !slices.ContainsFunc(o.steps, func(s Step) bool { return s.uses(need) }) {
				err = errors.Join(err, wrong("operation %s: no step uses %s", o.name, need))
			}
		}
	}
	o := &r.Operations
	has := func(steps []Step, ok func(Step) bool) bool { return len(steps) == 0 || slices.ContainsFunc(steps, ok) }
	err = errors.Join(err, r.checkSerials())
	if r.ReadBack && len(o.Read) == 0 {
		err = errors.Join(err, wrong("read_back: operation read is missing"))
	}
	if len(o.Flash) == 0 {
		err = errors.Join(err, wrong("operation flash is missing"))
	}
	if !has(o.List, func(s Step) bool { return strings.Contains(s.Found, "(?P<serial>") }) {
		err = errors.Join(err, wrong("operation list: no step has a pattern found with the group serial"))
	}
	if !has(o.Read, func(s Step) bool { return s.Memory != "" || s.uses("{output}") }) || !has(o.Read, func(s Step) bool { return s.uses("{length}", "{length_hex}") }) {
		err = errors.Join(err, wrong("operation read: want {length} or {length_hex}, and {output} or a pattern memory"))
	}
	if !has(o.Info, func(s Step) bool { return s.Serial != "" || s.uses("{location}") }) {
		err = errors.Join(err, wrong("operation info: no step has a pattern serial, so nobody knows which probe answers; without info the probe is looked up in list"))
	}
	if !has(o.LockState, func(s Step) bool { return s.Locked != "" && s.Open != "" }) {
		err = errors.Join(err, wrong("operation lock_state: want the patterns locked and open"))
	}
	return err
}

// checkSerials wants the probe that answered in each step that changes the board or decides about its lock, if the programmer names it
// in any step: it could work with another probe than the one that it was asked for.
func (r *Recipe) checkSerials() (err error) {
	named := r.names()
	for _, o := range r.operations() {
		if !named || !o.changes && o.name != "lock_state" {
			continue
		}
		if i := slices.IndexFunc(o.steps, func(s Step) bool { return s.Serial == "" }); i >= 0 {
			err = errors.Join(err, wrong("operation %s, step %d: the pattern serial is missing, so nobody knows which probe answers; other steps have it", o.name, i+1))
		}
	}
	return err
}
