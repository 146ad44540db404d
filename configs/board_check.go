package configs

import (
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"time"

	"hallmark/devices/probe"
)

// Validate checks every value that is there, and reports all values that are not possible.
func (b *Board) Validate() error {
	err := errors.Join(
		name("name", b.Name), b.Probe.validate(), b.UART.validate(), b.RTT.validate(), b.Firmware.validate(), b.Store.validate(), b.memory(),
		oneOf("life_cycle", b.LifeCycle, "open", "sealed"),
	)
	for _, key := range slices.Sorted(maps.Keys(b.Sources)) {
		if !slices.Contains(boardKeys(), key) {
			err = errors.Join(err, &ValueError{"sources", strconv.Quote(key), "a key of this file, such as probe.openocd.config", "correct the key"})
		}
	}
	return err
}

// oneOf accepts an empty value, too.
func oneOf(key, value string, possible ...string) error {
	if value == "" || slices.Contains(possible, value) {
		return nil
	}
	return &ValueError{key, strconv.Quote(value), fmt.Sprintf("one of %q", possible), "correct it or leave the key out"}
}

func (p *BoardProbe) validate() error {
	o, j := &p.OpenOCD, &p.JLinkExe
	err := errors.Join(
		oneOf("probe.interface", p.Interface, "swd", "jtag"), checkRange("probe.speed_khz", p.SpeedKHz, 0, 50_000),
		statePatterns("probe.openocd", o.LockState != "", o.Locked, o.Open),
		statePatterns("probe.jlinkexe", len(j.LockState) > 0, j.Locked, j.Open),
		noLock(p.NoLock, len(o.Lock)+len(j.Lock)),
		recovers("probe.openocd.recovered", o.Recover, o.Recovered), recovers("probe.jlinkexe.recovered", j.Recover, j.Recovered),
		expression("probe.jlinkexe.recovered", j.Recovered), expression("probe.jlinkexe.locked", j.Locked), expression("probe.jlinkexe.open", j.Open),
	)
	seen := map[string]bool{}
	for i, target := range p.Recipes {
		key := fmt.Sprintf("probe.recipes[%d].recipe", i)
		if !programmerForm.fits(target.Recipe) {
			err = errors.Join(err, &ValueError{key, strconv.Quote(target.Recipe), "the name of a recipe", "see docs/bench.md"})
		}
		if seen[target.Recipe] {
			err = errors.Join(err, &ValueError{key, strconv.Quote(target.Recipe) + " twice", "each recipe once", "keep one of them"})
		}
		seen[target.Recipe] = true
	}
	return err
}

// noLock refuses a definition that says no driver can lock, and has commands for a lock.
func noLock(why string, commands int) error {
	if why == "" || commands == 0 {
		return nil
	}
	return &ValueError{"probe.no_lock", "given together with lock", "one of them", "leave no_lock out if the lock below works and its state can be read"}
}

// statePatterns wants all of the keys that read a state, or none of them.
func statePatterns(key string, reads bool, locked, open string) error {
	if reads && locked != "" && probe.SameValue(locked, open) {
		return &ValueError{key, "locked and open are the same", "two values", "write what a locked chip says, and what an open one says"}
	}
	if all, none := reads && locked != "" && open != "", !reads && locked == "" && open == ""; all || none {
		return nil
	}
	return &ValueError{key, "only some of lock_state, locked and open", "all three", "both answers are needed: an answer that is neither of them is no state"}
}

// recovers wants the text that proves an erase: a program may end well and have erased nothing.
func recovers(key string, commands []string, text string) error {
	if (len(commands) > 0) == (text != "") {
		return nil
	}
	return &ValueError{key, strconv.Quote(text), "the text that proves the erase, together with recover", "write what recover prints when the chip is erased, or leave both out"}
}

// expression wants an expression that some texts do not have; no expression is fine.
func expression(key, text string) error {
	pattern, err := regexp.Compile(text)
	if err != nil {
		return &ValueError{key, strconv.Quote(text), "a regular expression (RE2)", "correct it"}
	}
	if text != "" && pattern.MatchString("") {
		return &ValueError{key, strconv.Quote(text), "a regular expression that not every text has", "name a text that only this answer has"}
	}
	return nil
}

func (u *UART) validate() error {
	err := errors.Join(checkRange("uart.interface", u.Interface, -1, 255), checkDuration("uart.settle", u.Settle, 0, time.Minute))
	for i, line := range u.Low {
		err = errors.Join(err, oneOf(fmt.Sprintf("uart.low[%d]", i), line, "dtr", "rts"))
	}
	if u.Baud != 0 {
		err = errors.Join(err, checkRange("uart.baud", u.Baud, 9600, 4_000_000))
	}
	return err
}

// maxRTT bounds the octets that OpenOCD searches for the control block. A search of more takes minutes.
const maxRTT = 1 << 20

func (r *RTT) validate() error {
	if *r == (RTT{}) {
		return nil
	}
	err := checkRange("rtt.channel", r.Channel, 0, 15)
	if r.Size == 0 || r.Size > maxRTT || uint64(r.Address)+uint64(r.Size) > 1<<32 {
		err = errors.Join(err, &ValueError{"rtt.size", strconv.Itoa(int(r.Size)), fmt.Sprintf("1 to %d octets, below the end of the addresses", maxRTT), "write the address of _SEGGER_RTT from the map of the firmware, and 256"})
	}
	return err
}

func (f *BoardImage) validate() error {
	if sum, err := hex.DecodeString(f.SHA256); f.SHA256 != "" && (err != nil || len(sum) != 32) {
		return &ValueError{"firmware.sha256", strconv.Quote(f.SHA256), "64 hexadecimal digits", "write what `sha256sum IMAGE` prints"}
	}
	return nil
}

// maxStore bounds the octets that read back by probe takes from a board.
const maxStore = 1 << 20

func (r *FlashRegion) validate() error {
	if r.Size == 0 && r.Address == 0 {
		return nil
	}
	if r.Size == 0 || r.Size > maxStore || uint64(r.Address)+uint64(r.Size) > 1<<32 {
		return &ValueError{"store.size", strconv.Itoa(int(r.Size)), fmt.Sprintf("1 to %d octets, below the end of the addresses", maxStore), "write address and size of the partition that holds the certificates"}
	}
	return nil
}

func (b *Board) memory() error {
	var errs []error
	for i, r := range b.Memory {
		if r.Size == 0 || uint64(r.Address)+uint64(r.Size) > 1<<32 {
			errs = append(errs, &ValueError{fmt.Sprintf("memory[%d].size", i), strconv.Itoa(int(r.Size)), "at least 1 octet, below the end of the addresses", "write address and size of the memory from the manual"})
		}
	}
	return errors.Join(errs...)
}

// boardKeys returns the keys of a board definition in dotted form: "probe.openocd.config".
func boardKeys() []string { return dottedKeys(reflect.TypeFor[Board](), "") }

// dottedKeys returns the keys of a struct and of the structs in it. The keys of the elements of a
// list are those of the list.
func dottedKeys(t reflect.Type, prefix string) (keys []string) {
	for i := range t.NumField() {
		key := prefix + t.Field(i).Tag.Get("yaml")
		keys = append(keys, key)
		if inner := t.Field(i).Type; inner.Kind() == reflect.Struct {
			keys = append(keys, dottedKeys(inner, key+".")...)
		}
	}
	return keys
}

// ownKeys need no source: they are not facts about the hardware.
var ownKeys = []string{"name", "description", "status", "emulated", "firmware", "sources"}

// setKeys returns the keys that have a value, and leaves out those that need no source.
func setKeys(b *Board) (keys []string) {
	var walk func(reflect.Value, string)
	walk = func(v reflect.Value, prefix string) {
		for i := range v.NumField() {
			key := prefix + v.Type().Field(i).Tag.Get("yaml")
			switch field := v.Field(i); {
			case slices.Contains(ownKeys, key), key == "uart.interface" && field.Int() < 0:
			case field.Kind() == reflect.Struct:
				walk(field, key+".")
			case !field.IsZero():
				keys = append(keys, key)
			}
		}
	}
	walk(reflect.ValueOf(*b), "")
	return keys
}
