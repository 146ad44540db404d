package openocd

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"time"
)

// connectTcl has the procedures that each script begins with.
//
//go:embed connect.tcl
var connectTcl string

// work is what one OpenOCD does after the connection.
type work struct {
	script []string
	locked bool // a locked chip is no refusal
	pin    bool // the work is a reset: a locked chip, whose CPU no debugger reaches, gets it by its reset pin
	held   bool // OpenOCD runs on after the script
	check  bool // nothing but the scripts is read
	files  map[string][]byte
	limit  time.Duration
	line   func(string)
	waited time.Duration // while other bays looked for their probes
}

// script returns the whole script.
func (d *device) script(w *work) []byte {
	var text strings.Builder
	add := func(format string, args ...any) { fmt.Fprintf(&text, format+"\n", args...) }
	d.addConfiguration(add)
	digits, _ := d.selected.Serial.Digits() // a J-Link has nothing but digits
	if d.searches() {
		if !d.selected.Network {
			add("hallmark_no_network")
		}
		add("hallmark_turn")
	}
	add("hallmark_connect {%s} {%s}", digits, d.selected.Location)
	if state := d.cfg.Chip.LockState; state != "" {
		refused := d.cfg.Chip.Locked
		if w.locked || w.pin {
			refused = ""
		}
		add("hallmark_lock_state {%s} {%s}", state, refused)
	}
	if w.pin {
		add("hallmark_pin_reset {%s}", d.cfg.Chip.Locked)
	}
	if !w.locked {
		add("hallmark_examined")
		d.addPart(add)
	}
	for _, line := range w.script {
		add("%s", line)
	}
	if !w.held {
		add("hallmark_done")
	}
	return []byte(text.String())
}

// addConfiguration has everything before the connection.
func (d *device) addConfiguration(add func(string, ...any)) {
	add("%s", connectTcl)
	add("hallmark_version")
	add("source [find {%s}]", d.cfg.Chip.Interface)
	if d.selected.Serial != "" {
		add("adapter serial %s", d.selected.Serial)
	}
	if d.selected.Location != "" {
		add("adapter usb location {%s}", d.selected.Location)
	}
	if selects := func(line string) bool { return strings.HasPrefix(line, "transport select ") }; !slices.ContainsFunc(d.cfg.Chip.Before, selects) {
		add("transport select %s", d.cfg.Transport) // OpenOCD refuses a second choice
	}
	d.addChip(add)
}

// checkScript reads all scripts, and connects to nothing.
func (d *device) checkScript() []byte {
	var text strings.Builder
	d.addConfiguration(func(format string, args ...any) { fmt.Fprintf(&text, format+"\n", args...) })
	text.WriteString("hallmark_done\n")
	return []byte(text.String())
}

func (d *device) addChip(add func(string, ...any)) {
	chip := d.cfg.Chip
	for _, line := range chip.Before {
		add("%s", line)
	}
	if chip.Target != "" {
		add("source [find {%s}]", chip.Target)
	}
	for _, line := range chip.After {
		add("%s", line)
	}
	if d.cfg.Speed != 0 {
		add("adapter speed %d", d.cfg.Speed)
	}
}

// addPart compares the type of the chip.
func (d *device) addPart(add func(string, ...any)) {
	part := d.cfg.Part
	if !part.Configured() {
		return
	}
	mask := part.Mask
	if mask == 0 {
		mask = ^mask
	}
	add("hallmark_part %#x %#x %#x", part.Address, mask, part.Value)
}
