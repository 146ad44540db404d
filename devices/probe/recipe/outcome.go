package recipe

import (
	"encoding/binary"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"hallmark/devices/probe"
	"hallmark/devices/probe/process"
)

// An outcome is what the steps of one operation printed and wrote.
type outcome struct {
	runs []stepRun
	file []byte // {output}
}

type stepRun struct {
	step *Step
	text string
}

// judge returns why a step did not succeed, or nil.
func (d *Driver) judge(step *Step, result process.Result) error {
	missing := firstThat(step.Success, func(pattern string) bool { return !occurs(pattern, result.Text) })
	reason, said := d.refusal(step, result.Text)
	switch {
	case reason == nil && missing == "" && result.Exit == step.Exit:
		return nil
	case reason != nil && missing == "" && len(step.Success) > 0 && result.Exit == step.Exit:
		return fmt.Errorf("%w: it says that it succeeded, and also %q", probe.ErrUnclear, said)
	case reason != nil:
		return fmt.Errorf("%w: %q", reason, said)
	case result.Exit != step.Exit:
		return d.meaning(result)
	}
	return fmt.Errorf("%w: exit code %d without the text %q; its last lines are %q", probe.ErrUnclear, result.Exit, missing, process.LastLines(result.Text, 3))
}

// meaning returns the refusal of an exit code.
func (d *Driver) meaning(result process.Result) error {
	reason := probe.Refusal(d.cfg.Recipe.Exits[result.Exit])
	if reason == nil {
		reason = probe.ErrTool
	}
	return fmt.Errorf("%w: exit code %d; its last lines are %q", reason, result.Exit, process.LastLines(result.Text, 3))
}

// refusal returns the first refusal or failure that a text has.
func (d *Driver) refusal(step *Step, text string) (reason error, said string) {
	for _, r := range d.cfg.Recipe.Refusals {
		if said := regexp.MustCompile(r.Pattern).FindString(text); said != "" {
			return probe.Refusal(r.Reason), said
		}
	}
	for _, pattern := range step.Failure {
		if said := regexp.MustCompile(pattern).FindString(text); said != "" {
			return probe.ErrTool, said
		}
	}
	return nil, ""
}

func occurs(pattern, text string) bool { return regexp.MustCompile(pattern).MatchString(text) }

func firstThat(all []string, ok func(string) bool) string {
	for _, one := range all {
		if ok(one) {
			return one
		}
	}
	return ""
}

// occurs reports whether a pattern of the steps occurs in what they printed.
func (o *outcome) occurs(of func(*Step) string) bool {
	for _, run := range o.runs {
		if pattern := of(run.step); pattern != "" && occurs(pattern, run.text) {
			return true
		}
	}
	return false
}

// values returns the first group of each match of a pattern. A step that has the pattern must print it.
func (o *outcome) values(what string, of func(*Step) string) (all []string, err error) {
	for _, run := range o.runs {
		pattern := of(run.step)
		if pattern == "" {
			continue
		}
		matches := regexp.MustCompile(pattern).FindAllStringSubmatch(run.text, -1)
		if len(matches) == 0 {
			return nil, fmt.Errorf("%w: %s is missing, the text %q; its last lines are %q", probe.ErrUnclear, what, pattern, process.LastLines(run.text, 3))
		}
		for _, match := range matches {
			all = append(all, strings.TrimSpace(match[1]))
		}
	}
	return all, nil
}

// all returns the named groups of all matches of a pattern.
func (o *outcome) all(of func(*Step) string) (all []map[string]string) {
	for _, run := range o.runs {
		text := of(run.step)
		if text == "" {
			continue
		}
		pattern := regexp.MustCompile(text)
		for _, match := range pattern.FindAllStringSubmatch(run.text, -1) {
			groups := map[string]string{}
			for i, name := range pattern.SubexpNames() {
				groups[name] = match[i]
			}
			all = append(all, groups)
		}
	}
	return all
}

// answered checks probe and supply, where the recipe says how the programmer names them.
func (o *outcome) answered(selected probe.Selection) error {
	_, err := o.info(selected)
	return err
}

// info collects what the programmer said. Each serial number and each voltage counts: a programmer that lost its probe may
// take another one.
func (o *outcome) info(selected probe.Selection) (probe.Info, error) {
	info := probe.Info{Serial: selected.Serial, Millivolts: probe.VoltageUnknown}
	serials, err := o.values("the serial number of the probe", func(s *Step) string { return s.Serial })
	if err != nil {
		return info, err
	}
	for _, text := range serials {
		serial, err := probe.ParseSerial(text)
		if err != nil {
			return info, fmt.Errorf("%w: %w", probe.ErrUnclear, err)
		}
		if err := selected.MustBe(serial); err != nil {
			return info, err
		}
		info.Serial = serial
	}
	volts, err := o.values("the target voltage", func(s *Step) string { return s.Volts })
	if err != nil {
		return info, err
	}
	for _, text := range volts {
		if info.Millivolts, err = millivolts(text); err != nil {
			return info, err
		}
		if err := probe.Powered(info.Millivolts); err != nil {
			return info, err
		}
	}
	info.Target = o.target()
	return info, nil
}

func millivolts(text string) (int, error) {
	volts, err := strconv.ParseFloat(text, 64)
	if err != nil || !(volts >= 0 && volts <= 100) {
		return 0, fmt.Errorf("%w: the target voltage is %.20q", probe.ErrUnclear, text)
	}
	return int(volts*1000 + 0.5), nil
}

// target returns the chip as the programmer names it, for people; "" if it does not.
func (o *outcome) target() string {
	for _, run := range o.runs {
		if run.step.Target == "" {
			continue
		}
		if match := regexp.MustCompile(run.step.Target).FindStringSubmatch(run.text); match != nil {
			return strings.TrimSpace(match[1])
		}
	}
	return ""
}

// memory returns the memory that was read from an address. Where the programmer names the address of a line, the line must be the next one.
func (o *outcome) memory(address uint32) ([]byte, error) {
	octets := o.file
	for _, run := range o.runs {
		if run.step.Memory == "" {
			continue
		}
		pattern := regexp.MustCompile(run.step.Memory)
		named := pattern.SubexpIndex(addressGroup)
		for _, match := range pattern.FindAllStringSubmatch(run.text, -1) {
			if named > 0 {
				if err := isAddress(match[named], uint64(address)+uint64(len(octets))); err != nil {
					return nil, err
				}
			}
			more, err := numbers(match[memoryGroup(pattern)], run.step.Unit)
			if err != nil {
				return nil, err
			}
			octets = append(octets, more...)
		}
	}
	return octets, nil
}

// addressGroup is the name of the group of the pattern memory that has the address of a line.
const addressGroup = "address"

// memoryGroup is the number of the first group that is not the address.
func memoryGroup(pattern *regexp.Regexp) int {
	if pattern.SubexpIndex(addressGroup) == 1 {
		return 2
	}
	return 1
}

// isAddress compares the address of a line, if the line has one.
func isAddress(text string, want uint64) error {
	if text == "" {
		return nil
	}
	address, err := strconv.ParseUint(strings.TrimPrefix(strings.ToLower(text), "0x"), 16, 64)
	if err != nil || address != want {
		return fmt.Errorf("%w: memory at %.20q, want %#08x", probe.ErrUnclear, text, want)
	}
	return nil
}

// numbers reads hexadecimal numbers of so many octets. Memory is little-endian.
func numbers(text string, unit int) (octets []byte, err error) {
	for _, field := range strings.Fields(text) {
		value, err := strconv.ParseUint(strings.TrimPrefix(field, "0x"), 16, 8*unit)
		if err != nil {
			return nil, fmt.Errorf("%w: %.20q is no memory", probe.ErrUnclear, field)
		}
		if unit == 1 {
			octets = append(octets, byte(value))
			continue
		}
		octets = binary.LittleEndian.AppendUint32(octets, uint32(value))
	}
	return octets, nil
}
