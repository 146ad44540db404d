package configs

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// definition is a complete board definition.
const definition = `name: board
description: a board
status: not run on hardware
probe:
  interface: swd
  speed_khz: 4000
  part: {address: 0x10000100, value: 0x52840}
  lock_kind: APPROTECT
  openocd: {target: target/nrf52.cfg, lock: [halt], lock_state: dap apreg 1 0xc, locked: "0", open: "1"}
  jlinkexe: {device: X, lock_state: [SWDReadAP 3], locked: "= 0", open: "= 1"}
  recipes: [{recipe: nrfutil, target: X}]
uart: {interface: 2, baud: 1000000, settle: 500ms}
firmware: {image: app.bin, address: 0, sha256: 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824}
store: {address: 0xfe000, size: 0x2000}
life_cycle: sealed
sources: {probe: manual, uart: manual, store: overlay, life_cycle: manual}
`

func parsed(t *testing.T, text string) *Board {
	t.Helper()
	board, err := ParseBoard("/b/x.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return board
}

func TestShippedBoardsLoadAndEachValueHasASource(t *testing.T) {
	want := []string{"b-u585i-iot02a", "esp32-s3-devkitc", "frdm-mcxn947", "nrf52840dk", "nrf5340dk", "nrf54l15dk", "nrf9160dk", "qemu-an385", "qemu-an521"}
	if got := BoardNames(); !slices.Equal(got, want) {
		t.Errorf("boards %v, want %v", got, want)
	}
	for _, name := range BoardNames() {
		board, err := LoadBoard(name, ".")
		if err != nil {
			t.Error(err)
			continue
		}
		if board.Name != name || board.Description == "" || board.Status == "" {
			t.Errorf("%s: name %q, description %q, status %q", name, board.Name, board.Description, board.Status)
		}
		if board.Emulated == "" && !strings.HasPrefix(board.Status, NotRun) {
			t.Errorf("%s: status %q, and no hardware was there", name, board.Status)
		}
		if keys := board.WithoutSource(); len(keys) > 0 {
			t.Errorf("%s: no source for %v", name, keys)
		}
	}
}

func TestADefinitionIsReadWithAllItsValues(t *testing.T) {
	board := parsed(t, definition)
	if board.Firmware.Image != "/b/app.bin" {
		t.Errorf("image %q, want the path below the folder of the definition", board.Firmware.Image)
	}
	if board.UART.Interface != 2 || board.Store.Size != 0x2000 || board.Probe.Part.Value != 0x52840 || board.Recipe("nrfutil").Target != "X" || board.Recipe("other").Target != "" {
		t.Errorf("%+v", board)
	}
	if only := parsed(t, "name: board\n"); only.UART.Interface != -1 {
		t.Errorf("no interface is %d", only.UART.Interface)
	}
}

func TestDefinitionsAreRefused(t *testing.T) {
	for _, c := range []struct {
		name, old, new string
		want           error
		says           string
	}{
		{"an unknown key", "description:", "descripton:", ErrUnknownKey, `did you mean "description"?`},
		{"an unknown key in a list", "target: X}]", "target: X, traget: Y}]", ErrUnknownKey, "traget"},
		{"a duplicate key", "description:", "name:", ErrDuplicateKey, "keep one"},
		{"malformed YAML", "probe:\n", "probe: [\n", ErrSyntax, "x.yaml"},
		{"no name", "name: board", "name: \"\"", ErrValue, "name"},
		{"an interface that is none", "interface: swd", "interface: usb", ErrValue, "probe.interface"},
		{"a speed that no probe has", "speed_khz: 4000", "speed_khz: 4000000", ErrValue, "probe.speed_khz"},
		{"a state without one of its answers", `open: "1"}`, `open: ""}`, ErrValue, "probe.openocd"},
		{"one answer for both states", `open: "1"}`, `open: "0x0"}`, ErrValue, "probe.openocd"},
		{"one pattern for both states", `open: "= 1"}`, `open: "= 0"}`, ErrValue, "probe.jlinkexe"},
		{"answers without a question", "lock_state: [SWDReadAP 3]", "lock_state: []", ErrValue, "probe.jlinkexe"},
		{"a pattern that is none", `locked: "= 0"`, `locked: "("`, ErrValue, "probe.jlinkexe.locked"},
		{"a pattern that every text has", `locked: "= 0"`, `locked: "0*"`, ErrValue, "probe.jlinkexe.locked"},
		{"an erase without the text that proves it", "lock_state: [SWDReadAP 3]", "recover: [erase], lock_state: [SWDReadAP 3]", ErrValue, "probe.jlinkexe.recovered"},
		{"a text of an erase without the erase", "lock_state: [SWDReadAP 3]", "recovered: done, lock_state: [SWDReadAP 3]", ErrValue, "probe.jlinkexe.recovered"},
		{"a lock, and a reason why there is none", "lock_kind: APPROTECT", "lock_kind: APPROTECT\n  no_lock: fuses", ErrValue, "probe.no_lock"},
		{"a recipe without name", "recipe: nrfutil", "recipe: \"\"", ErrValue, "probe.recipes[0]"},
		{"a recipe twice", "target: X}]", "target: X}, {recipe: nrfutil}]", ErrValue, "twice"},
		{"a UART that no USB device has", "interface: 2", "interface: 256", ErrValue, "uart.interface"},
		{"a modem line that is none", "interface: 2,", "interface: 2, low: [dtr, cts],", ErrValue, "uart.low[1]"},
		{"a baud rate that is too small", "baud: 1000000", "baud: 300", ErrValue, "uart.baud"},
		{"a settle time without end", "settle: 500ms", "settle: 2h", ErrValue, "uart.settle"},
		{"a hash that is none", "2cf24dba", "2cf24dbx", ErrValue, "firmware.sha256"},
		{"a store that is the whole flash", "size: 0x2000", "size: 0x2000000", ErrValue, "store.size"},
		{"RTT in all of a large memory", "store: {", "rtt: {address: 0x20000000, size: 0x1000000}\nstore: {", ErrValue, "rtt.size"},
		{"RTT without a size", "store: {", "rtt: {address: 0x20000000}\nstore: {", ErrValue, "rtt.size"},
		{"a memory without octets", "store: {", "memory: [{address: 0x20000000}]\nstore: {", ErrValue, "memory[0].size"},
		{"an RTT channel that no firmware has", "store: {", "rtt: {address: 0x20000000, size: 256, channel: 16}\nstore: {", ErrValue, "rtt.channel"},
		{"a store beyond the end", "address: 0xfe000", "address: 0xffffffff", ErrValue, "store.size"},
		{"a life cycle that no board says", "life_cycle: sealed", "life_cycle: locked", ErrValue, "life_cycle"},
		{"a source of a key that is not there", "uart: manual", "uart.bauds: manual", ErrValue, "uart.bauds"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := strings.Replace(definition, c.old, c.new, 1)
			if text == definition {
				t.Fatal("nothing was replaced")
			}
			if _, err := ParseBoard("x.yaml", []byte(text)); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %v that says %q", err, c.want, c.says)
			}
		})
	}
}

func TestABoardIsFoundByNameOrBesideTheConfiguration(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "own.yaml"), []byte(definition), 0o600); err != nil {
		t.Fatal(err)
	}
	for value, want := range map[string]error{"nrf52840dk": nil, "own.yaml": nil, filepath.Join(dir, "own.yaml"): nil, "nrf52841dk": ErrValue, "missing.yaml": os.ErrNotExist} {
		if _, err := LoadBoard(value, dir); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", value, err, want)
		}
	}
}

// TestWhatIsMissingIsSaidInWords uses an image with the content "hello", whose hash the definition has.
func TestWhatIsMissingIsSaidInWords(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "app.bin"), []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(filepath.Join(dir, "app.bin"), filepath.Join(dir, "app.hex")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, old, new, key, says string }{
		{"nothing", "", "", "", ""},
		{"the image is not there", "app.bin", "other.hex", "firmware.image", "other.hex is not there"},
		{"the image is a folder", "app.bin", "../" + filepath.Base(dir), "firmware.image", "cannot be read"},
		{"no image", "image: app.bin, ", "", "firmware.image", "no provisioning firmware"},
		{"the hash differs", "2cf24dba", "00000000", "firmware.sha256", "has the hash 2cf24dba"},
		{"no hash", ", sha256: 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824", "", "firmware.sha256", "not pinned"},
		{"the image has another format", "app.bin", "app.hex", "firmware.image", "neither the contents of elf or hex"},
		{"a .bin image without its address", "address: 0, ", "", "firmware.address", "does not say where it lies"},
		{"the image of another chip", "store: {", "memory: [{address: 0x10000000, size: 0x100000}, {address: 1, size: 0x100000}]\nstore: {", "firmware.image", "no memory for an image"},
		{"an image in its memory", "store: {", "memory: [{address: 0, size: 5}]\nstore: {", "", ""},
		{"an image that is too long", "store: {", "memory: [{address: 0, size: 4}]\nstore: {", "firmware.image", "0x00000000 to 0x00000004"},
		{"a recipe that is not there", "recipe: nrfutil", "recipe: nrfutill", "probe.recipes", "nrfutill"},
		{"a recipe without the chip's name", "recipe: nrfutil, target: X", "recipe: probe-rs", "probe.recipes", "name of the chip"},
		{"JLinkExe that cannot see a lock", `, lock_state: [SWDReadAP 3], locked: "= 0", open: "= 1"`, "", "probe.jlinkexe.lock_state", "no bay can use driver jlinkexe"},
		{"JLinkExe and a chip that it does not erase", `lock_state: [SWDReadAP 3], locked: "= 0", open: "= 1"`, "keeps_locked: true", "", ""},
		{"no store", "store: {address: 0xfe000, size: 0x2000}\n", "", "store", "read back by probe"},
		{"no interface number", "interface: 2, ", "", "uart.interface", "which UART"},
		{"no part", "  part: {address: 0x10000100, value: 0x52840}\n", "", "probe.part", "which chip"},
		{"no life cycle", "life_cycle: sealed\n", "", "life_cycle", "life cycle"},
		{"no interface", "interface: swd", "interface: \"\"", "probe.interface", "SWD or JTAG"},
	} {
		t.Run(c.name, func(t *testing.T) {
			board, err := ParseBoard(filepath.Join(dir, "x.yaml"), []byte(strings.Replace(definition, c.old, c.new, 1)))
			if err != nil {
				t.Fatal(err)
			}
			found := board.Missing()
			if c.key == "" && len(found) == 0 {
				return
			}
			if len(found) != 1 || found[0].Key != c.key || !strings.Contains(found[0].String(), c.says) {
				t.Errorf("%v, want %s that says %q", found, c.key, c.says)
			}
		})
	}
}

func TestABoardThatNoDriverKnowsLacksAllOfIt(t *testing.T) {
	var keys []string
	for _, finding := range parsed(t, "name: board\n").Missing() {
		keys = append(keys, finding.Key)
	}
	want := []string{"probe", "probe.interface", "probe.part", "probe.openocd.lock", "probe.openocd.lock_state", "uart.interface", "store", "life_cycle", "firmware.image"}
	if !slices.Equal(keys, want) {
		t.Errorf("%v, want %v", keys, want)
	}
}

// OpenOCD knows the chip and cannot write its flash, and esptool has no probe.
func TestABoardThatNoBayCanFlashSaysSo(t *testing.T) {
	for _, name := range BoardNames() {
		board, err := LoadBoard(name, ".")
		if err != nil {
			t.Fatal(err)
		}
		says := slices.ContainsFunc(board.Missing(), func(f Finding) bool {
			return f.Key == "probe.no_flash" && strings.Contains(f.String(), "no flash bank") && strings.Contains(f.Next, "beforehand")
		})
		if says != (name == "esp32-s3-devkitc") {
			t.Errorf("%s: %v", name, board.Missing())
		}
	}
}

// A recipe that has no lock does not make a board lockable.
func TestABoardWhoseRecipesCannotLockLacksTheLockAndSaysWhy(t *testing.T) {
	for name, want := range map[string]string{"frdm-mcxn947": "no public description", "esp32-s3-devkitc": "eFuses", "nrf5340dk": "one core only", "nrf9160dk": "cannot be proven", "nrf54l15dk": "cannot be proven", "nrf52840dk": "", "b-u585i-iot02a": ""} {
		board, err := LoadBoard(name, ".")
		if err != nil {
			t.Fatal(err)
		}
		said := map[string]string{}
		for _, finding := range board.Missing() {
			said[finding.Key] = finding.Text
		}
		lock, state := said["probe.openocd.lock"], said["probe.openocd.lock_state"]
		if (lock == "") != (want == "") || (state == "") != (want == "") || !strings.Contains(lock, want) {
			t.Errorf("%s: %q and %q, want %q", name, lock, state, want)
		}
	}
}

func TestTheDigestOfALockChangesWithTheLockOnly(t *testing.T) {
	digest := func(old, new, driver string) [32]byte {
		t.Helper()
		sum, err := parsed(t, strings.Replace(definition, old, new, 1)).LockDigest(driver)
		if err != nil {
			t.Fatal(err)
		}
		return sum
	}
	for _, driver := range []string{"openocd", "jlinkexe", "nrfutil"} {
		same := digest("", "", driver)
		if digest("baud: 1000000", "baud: 115200", driver) != same {
			t.Errorf("%s: the baud rate changes it", driver)
		}
		if digest("APPROTECT", "RDP", driver) == same {
			t.Errorf("%s: another kind of lock does not change it", driver)
		}
	}
	if digest("lock: [halt]", "lock: [reset]", "openocd") == digest("", "", "openocd") {
		t.Error("another command does not change it")
	}
}

func FuzzBoard(f *testing.F) {
	f.Add([]byte(definition))
	for _, name := range BoardNames() {
		f.Add(embedded("boards/" + name + ".yaml"))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		board, err := ParseBoard("f", text)
		if err == nil {
			err = board.Validate()
		} else if board != nil {
			t.Error("an error and a board")
		} else {
			return
		}
		if err != nil {
			t.Errorf("accepted, but: %v", err)
		}
	})
}

// A sparse file costs nothing to make, and hours to hash.
func TestAnImageThatIsTooLargeIsNotHashed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.hex")
	if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, 1<<42)); err != nil {
		t.Fatal(err)
	}
	board := parsed(t, definition)
	board.Firmware.Image = path
	if findings := board.imageFindings(); len(findings) != 1 || !strings.Contains(findings[0].Text, "too large") {
		t.Errorf("got %+v", findings)
	}
}
