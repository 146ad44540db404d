package openocd

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"hallmark/devices/probe"
	"hallmark/devices/probe/process"
)

// reportPrefix begins each report of the script.
const reportPrefix = "hallmark: "

// An outcome is what one OpenOCD said.
type outcome struct {
	exit  int
	text  string            // of both outputs
	log   string            // of the connection
	marks map[string]string // reports: first word → rest
	dump  []byte            // memory that was read

	expected probe.Serial // serial number of the selected probe, as far as station.yaml or sysfs says it
}

func newOutcome(result process.Result, dir string) *outcome {
	o := &outcome{exit: result.Exit, text: result.Text, marks: map[string]string{}}
	log, err := process.ReadIfThere(filepath.Join(dir, initFile))
	if err == nil { // without a log, the text says why
		o.log = string(log)
	}
	for line := range strings.Lines(result.Text) {
		if report, ours := strings.CutPrefix(strings.TrimSpace(line), reportPrefix); ours {
			word, rest, _ := strings.Cut(report, " ")
			o.marks[word] = rest
		}
	}
	return o
}

func (o *outcome) mark(word string) string { return o.marks[word] }

func (o *outcome) has(word string) bool {
	_, there := o.marks[word]
	return there
}

// errNotOnUSB: the script looked for the probe on USB only, and did not find it.
var errNotOnUSB = fmt.Errorf("%w: no J-Link on USB has the serial number", probe.ErrMissing)

// OpenOCD's texts, version 0.12.0.
var (
	banner     = probe.NewPattern(`Open On-Chip Debugger (\d+)\.(\d+)[.\w]*`)
	foundProbe = probe.NewPattern(`Device: Serial number = (\d+)`)
	discovered = probe.NewPattern(`Found device \(([^)\n]*)\)|Device: Serial number = (\d+)|Trying to open device \(([^)\n]*)\)`)
	firmware   = probe.NewPattern(`jlink_init\(\): (J-Link.*)`)
	voltage    = probe.NewPattern(`(?:VTarget =|Target voltage:) (\d+)\.(\d{3})`) // of J-Link and ST-Link
	processor  = probe.NewPattern(`\[\S+\] (\S+ \S+) processor detected`)
	dpidr      = probe.NewPattern(`DPIDR (0x[0-9a-f]+)`)
	notOpened  = probe.NewPattern(`Failed to open device: (.*)`)
	lostProbe  = probe.NewPattern(`jaylink_\w+\(\) failed`)
	mismatched = probe.NewPattern(`checksum mismatch|diff \d+ address`)
	errorLine  = probe.NewPattern(`(?m)^(?:[^\s:]+:\d+: )?Error(?:: \d+ \d+ [^:]*:\d+ [^:]*\(\))?: (.*)$`)
	inner      = probe.NewPattern(`(?m)^(?:hallmark: .*|shutdown command invoked)\n?`) // words between station and OpenOCD
	badScript  = probe.NewPattern(`(?m)^[^\s:]+:\d+: Error: (?:Can't find|couldn't read file|invalid command name|wrong # args)`)
)

// signs are texts that decide on their own. The first that occurs counts.
var signs = []struct {
	text probe.Pattern
	err  error
}{
	{probe.NewPattern(`Multiple devices found`), probe.ErrAmbiguous},
	{probe.NewPattern(`No J-Link device found|jaylink_discovery_scan\(\) failed`), probe.ErrMissing},
	{lostProbe, probe.ErrLost},
	{probe.NewPattern(`Error connecting DP|cannot read IDR`), probe.ErrMissingTarget},
	{probe.NewPattern(`Failed to (?:read|write) memory`), probe.ErrMemory},
}

// refusals are the words of hallmark_refuse.
var refusals = map[string]error{
	"version": probe.ErrToolVersion, "ambiguous": probe.ErrAmbiguous, "voltage": probe.ErrVoltage, "part": probe.ErrWrongTarget, "locked": probe.ErrLocked,
	"unexamined": probe.ErrMissingTarget, "verify": probe.ErrMismatch, "rtt": ErrNoControlBlock,
}

// failure returns why the work was not done, or nil.
func (o *outcome) failure(d *device) error {
	done := o.has("done")
	if done && o.exit == 0 && !o.has("refused") {
		return nil
	}
	if done != (o.exit == 0) || done {
		return fmt.Errorf("%w: exit code %d, and its last lines are %q", probe.ErrUnclear, o.exit, process.LastLines(o.text, 3))
	}
	return o.because(d)
}

// because finds the reason of a failure. The supply comes first, because nothing works without it.
func (o *outcome) because(d *device) error {
	all := o.log + o.text
	if err := errors.Join(o.version(), o.supply()); err != nil {
		return err
	}
	refused, rest, _ := strings.Cut(o.mark("refused"), " ")
	switch {
	case refused == "unexamined" && probe.SameValue(o.mark("lock"), d.cfg.Chip.Locked):
		return fmt.Errorf("%w: the state of the lock is %s", probe.ErrLocked, o.mark("lock"))
	case refused == "verify" && (!mismatched().MatchString(all) || lostProbe().MatchString(all)): // nothing that a lost probe read says anything about the board
		refused = ""
	}
	switch err := refusals[refused]; {
	case refused == "network":
		return fmt.Errorf("%w %s; one that answers over the network needs network: true at the probe of the bay", errNotOnUSB, d.selected.Serial)
	case refused == "part": // says what was read and what is wanted
		return cmp.Or(o.otherPart(d, rest), err)
	case refused == "verify": // OpenOCD says no more than that
		return err
	case err != nil:
		return fmt.Errorf("%w%s", err, detail(rest, o.errors()))
	}
	if badScript().MatchString(o.text) {
		return fmt.Errorf("%w%s", probe.ErrScript, detail(o.errors()))
	}
	if others := o.serials(); len(others) == 1 && strings.Contains(all, "No J-Link device found") {
		if err := d.selected.MustBe(probe.Serial(others[0])); err != nil {
			return err
		}
	}
	for _, sign := range signs {
		if sign.text().MatchString(all) {
			return fmt.Errorf("%w%s", sign.err, detail(o.found(d.selected), o.errors()))
		}
	}
	return fmt.Errorf("%w: exit code %d%s", probe.ErrTool, o.exit, detail(refused, o.errors()))
}

// otherPart compares the register of the chip's type that the script has read; nil: it is no number.
func (o *outcome) otherPart(d *device, word string) error {
	part, err := strconv.ParseUint(word, 0, 32)
	if err != nil {
		return nil
	}
	return d.cfg.Part.Check(uint32(part))
}

// givenUp adds what OpenOCD said to the error of a call that was ended from outside. OpenOCD
// can repeat for megabytes that it lost its probe.
func (o *outcome) givenUp(err error) error {
	last := o.errors()
	if errors.Is(err, probe.ErrUnclear) && lostProbe().MatchString(last) {
		err = fmt.Errorf("%w: %w", probe.ErrLost, err)
	}
	return fmt.Errorf("%w; OpenOCD said last %.500q", err, last)
}

func detail(parts ...string) string {
	parts = slices.DeleteFunc(parts, func(part string) bool { return part == "" })
	if len(parts) == 0 {
		return ""
	}
	return ": " + strings.Join(parts, ": ")
}

// errorTail is the end of the text in which errors looks: the last errors count, and a text can have megabytes.
const errorTail = 64 << 10

// errors returns OpenOCD's own error texts, or its last lines.
func (o *outcome) errors() string {
	var texts []string
	all := o.log + o.text
	for _, match := range errorLine().FindAllStringSubmatch(all[max(0, len(all)-errorTail):], -1) {
		texts = append(texts, match[1])
	}
	if len(texts) == 0 {
		return process.LastLines(inner().ReplaceAllString(o.text[max(0, len(o.text)-errorTail):], ""), 3)
	}
	return strings.Join(texts[max(0, len(texts)-3):], " | ")
}

// version refuses an OpenOCD that is older than 0.12.
func (o *outcome) version() error {
	match := banner().FindStringSubmatch(o.text)
	if match == nil {
		return nil
	}
	major, errMajor := strconv.Atoi(match[1])
	minor, errMinor := strconv.Atoi(match[2])
	if errMajor != nil || errMinor != nil || major == 0 && minor < 12 {
		return fmt.Errorf("%w: %s, want 0.12 or newer", probe.ErrToolVersion, match[0])
	}
	return nil
}

// supply refuses a board without supply, as far as the probe has measured it.
func (o *outcome) supply() error { return probe.Powered(o.millivolts()) }

func (o *outcome) millivolts() int {
	match := voltage().FindStringSubmatch(o.log)
	if match == nil {
		return probe.VoltageUnknown
	}
	volts, errVolts := strconv.Atoi(match[1])
	milli, errMilli := strconv.Atoi(match[2])
	if errVolts != nil || errMilli != nil {
		return probe.VoltageUnknown
	}
	return volts*1000 + milli
}

// serials returns the serial numbers of all probes that OpenOCD found.
func (o *outcome) serials() (all []string) {
	for _, match := range foundProbe().FindAllStringSubmatch(o.log, -1) {
		if !slices.Contains(all, match[1]) {
			all = append(all, match[1])
		}
	}
	return all
}

// opened returns the serial number of the probe that OpenOCD has opened, or "" if the log does not say it. libjaylink names the
// place of a probe when it finds it, its serial number next, and the place again when it opens one.
func (o *outcome) opened() (serial probe.Serial) {
	places, place := map[string]probe.Serial{}, ""
	for _, match := range discovered().FindAllStringSubmatch(o.log, -1) {
		switch {
		case match[1] != "":
			place = match[1]
		case match[2] != "" && place != "":
			places[place], place = probe.Serial(match[2]), ""
		case match[3] != "":
			for found, its := range places {
				if strings.HasSuffix(found, match[3]) { // of USB the place has the product before it
					serial = its
				}
			}
		}
	}
	if all := o.serials(); serial == "" && len(all) == 1 {
		serial = probe.Serial(all[0])
	}
	return serial
}

// found says which probes there are instead of the selected one.
func (o *outcome) found(selected probe.Selection) string {
	if why := notOpened().FindStringSubmatch(o.log + o.text); why != nil {
		return "probe cannot be opened: " + why[1]
	}
	serials := o.serials()
	same := func(other string) bool { return selected.Serial.Is(probe.Serial(other)) }
	if len(serials) > 0 && !slices.ContainsFunc(serials, same) {
		return fmt.Sprintf("want %s, found %s", selected.Serial, strings.Join(serials, ", "))
	}
	return ""
}

// info collects what OpenOCD said about probe and board.
func (o *outcome) info(selected probe.Selection) (probe.Info, error) {
	info := probe.Info{Serial: selected.Serial, Millivolts: o.millivolts(), Product: first(firmware, o.log)}
	info.Target = strings.TrimSpace(first(processor, o.log) + " " + first(dpidr, o.log))
	if info.Serial == "" {
		info.Serial = o.expected
	}
	if opened := o.opened(); opened != "" {
		if err := (probe.Selection{Serial: info.Serial}).MustBe(opened); err != nil {
			return probe.Info{}, err
		}
		info.Serial = opened
	}
	if text := o.mark("part"); text != "" {
		part, err := strconv.ParseUint(text, 0, 32)
		if err != nil {
			return probe.Info{}, fmt.Errorf("%w: the register of the chip's type is %.40q", probe.ErrUnclear, text)
		}
		info.Part = uint32(part)
	}
	return info, nil
}

func first(pattern probe.Pattern, text string) string {
	if match := pattern().FindStringSubmatch(text); match != nil {
		return strings.TrimSpace(match[1])
	}
	return ""
}
