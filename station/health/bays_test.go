package health_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hallmark/fixtures"
	"hallmark/fixtures/prerequisite"
	"hallmark/fixtures/programmers"
	"hallmark/station/health"
)

func TestMain(m *testing.M) {
	programmers.Main()
	os.Exit(m.Run())
}

// doctorOf does the checks of `station doctor` on a station with this line below boards and with these bays, and returns the check of the bays.
func doctorOf(t *testing.T, boards, bays string) health.Check {
	t.Helper()
	dir := fixtures.NewDirectory(t)
	fixtures.Configure(t, dir, "\nboards:\n", "\nbays: ["+bays+"]\nboards:\n"+boards)
	definition := fmt.Sprintf("name: ours\nprobe: {recipes: [{recipe: nrfutil, target: x}], openocd: {target: target/nrf52.cfg}}\nfirmware: {image: fw.bin, address: 0x1000, sha256: %064d}\n", 0)
	fixtures.Must(0, os.WriteFile(dir.In("ours.yaml"), []byte(definition), 0o600))(t)
	checker := health.New(dir, []string{})
	defer func() { fixtures.Must(0, checker.Close())(t) }()
	var found health.Check
	for check := range checker.RunChecks(t.Context()) {
		if check.Name == "bays" {
			found = check
		}
	}
	return found
}

// Each of these benches was good for `station doctor`, and no Run could pass on it.
func TestABenchThatCannotWorkIsNotReady(t *testing.T) {
	prerequisite.Program(t, "openocd", "openocd")
	for _, test := range []struct {
		name, boards, bays string
		state              health.State
		says               []string
	}{
		{"no bays", "", "", "", nil},
		{"a definition without a lock", "  lock: true\n", "{name: left, usb: 1-9, board: nrf5340dk, probe: {driver: nrfutil, serial: 7}}", health.Fail, []string{"1 bay of 1 cannot work: left", "boards.lock is true"}},
		{"firmware to read, and none is named", "  read_firmware: true\n", "{name: left, usb: 1-9, board: nrf52840dk, probe: {driver: openocd, serial: 7}}", health.Fail, []string{"boards.read_firmware is true"}},
		{"a recipe without the serial number", "", "{name: left, usb: 1-9, board: nrf52840dk, probe: {driver: nrfutil}}", health.Fail, []string{"needs probe.serial"}},
		{"two bays", "", "{name: left, usb: 1-9, probe: {driver: openocd}}, {name: right, usb: 1-8, board: nrf52840dk, probe: {driver: esptool, serial: 5}}", health.Fail, []string{"2 bays of 2 cannot work: left, right", "no board definition", "selects the board by a serial port"}},
		{"RTT, and a definition without it", "", "{name: left, port: \"rtt:77\", board: nrf52840dk}", health.Fail, []string{"RTT control block"}},
		{"an image that is not there", "", "{name: left, usb: 1-9, board: ours.yaml, probe: {driver: openocd, serial: 7}}", health.Fail, []string{"fw.bin"}},
		{"a programmer that is not installed", "", "{name: left, usb: 1-9, board: nrf52840dk, probe: {driver: nrfutil, serial: 7}}", health.Fail, []string{"programmer is not installed"}},
		{"a place without a board", "", "{name: left, port: /dev/ttyNONE}", health.Warn, []string{"1 bay of 1 not plugged in as station.yaml says: left", "port /dev/ttyNONE"}},
		{"a bay that says what it is", "", "{name: left, usb: 1-9, board: nrf52840dk, probe: {driver: openocd, serial: 7}}", health.Warn, []string{"left: USB path 1-9; probe 7; Open On-Chip Debugger 0.12", "; board nrf52840dk; flashes nothing"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			found := doctorOf(t, test.boards, test.bays)
			text := found.Finding + "\n" + strings.Join(found.Rows, "\n")
			if found.State != test.state {
				t.Fatalf("%s: %s", found.State, text)
			}
			for _, says := range test.says {
				if !strings.Contains(text, says) {
					t.Errorf("lacks %q:\n%s", says, text)
				}
			}
		})
	}
}

func TestAProgrammerOfAnotherVersionIsNamed(t *testing.T) {
	standIn := programmers.Install(t, "nrfutil", programmers.Board{Serial: "7", Millivolts: 3300, Version: "2.7.16"})
	t.Setenv("PATH", filepath.Dir(standIn.Path())+string(os.PathListSeparator)+os.Getenv("PATH"))
	const bays = "{name: left, usb: 1-9, board: nrf52840dk, probe: {driver: nrfutil, serial: 7}}"
	if found := doctorOf(t, "", bays); found.State != health.Warn || !strings.Contains(strings.Join(found.Rows, ""), "2.7.16") {
		t.Errorf("a known version: %+v", found)
	}
	standIn.Change(t, func(b *programmers.Board) { b.Version = "1.2.3" })
	if found := doctorOf(t, "", bays); found.State != health.Fail || !strings.Contains(strings.Join(found.Rows, ""), "version that this station does not know") {
		t.Errorf("an unknown version: %+v", found)
	}
}
