package hardware

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hallmark/configs"
	"hallmark/devices/usb"
	"hallmark/fixtures"
	"hallmark/fixtures/usbtree"
)

// recorded is the bench of devices/usb/testdata.
func recorded(t *testing.T) (string, *usb.Tree) {
	t.Helper()
	text, err := os.ReadFile("../../devices/usb/testdata/bench.tree")
	if err != nil {
		t.Fatal(err)
	}
	return scanned(t, string(text))
}

func scanned(t *testing.T, text string) (string, *usb.Tree) {
	t.Helper()
	machine, err := usbtree.Unfold(t.TempDir(), text)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := usb.Scan(machine.Dir())
	if err != nil {
		t.Fatal(err)
	}
	return machine.Dir(), tree
}

func configured(t *testing.T, bays string) []configs.Bay {
	t.Helper()
	config, err := configs.Parse("station.yaml", []byte("hsm: {module: /m}\n"+bays))
	if err != nil {
		t.Fatalf("%v\n%s", err, bays)
	}
	return config.Bays
}

func TestWhatDoesNotFitIsNamed(t *testing.T) {
	dir, tree := recorded(t)
	for name, number := range map[string]string{"second": "2", "fifth": "5"} {
		text := "name: " + name + "\nuart: {interface: " + number + "}\n"
		if err := os.WriteFile(filepath.Join(dir, name+".yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name, bay string
		says      []string // nil: nothing
	}{
		{"a bay that fits", "{name: a, usb: 1-1.2, interface: 0, board: nrf5340dk, probe: {driver: nrfutil, serial: 1050012345}}", nil},
		{"several UARTs, and a definition that names none", "{name: a, usb: 1-1.2, board: nrf5340dk, probe: {driver: nrfutil, serial: 1050012345}}", []string{"several UARTs"}},
		{"several UARTs, and a definition that names one", "{name: a, usb: 1-1.2, board: ./second.yaml}", nil},
		{"several UARTs, and a definition that names one that is not there", "{name: a, usb: 1-1.1, board: ./fifth.yaml}", []string{"interface 5; it has interface 0"}},
		{"a definition that is not there", "{name: a, usb: 1-2.2, board: ./none.yaml}", []string{"none.yaml"}},
		{"a definition that is not there, for a port by its name", "{name: a, port: /dev/ttyUSB2, board: nrf5284}", []string{"nrf5284"}},
		{"a bay without probe", "{name: a, usb: 1-2.2}", nil},
		{"a bay with a port by its name", "{name: a, port: \"/dev/serial/by-path/pci-0000:00:14.0-usb-0:2.2:1.0-port0\"}", nil},
		{"an emulated board", "{name: a, board: qemu-an385}", nil},
		{"a probe that carries SMP", "{name: a, port: \"rtt:1050012345\", board: nrf5340dk}", nil},
		{"a probe that carries SMP, by its USB path", "{name: a, port: \"rtt:1050012345\", board: nrf5340dk, probe: {driver: openocd, usb: 1-1.2}}", nil},
		{"a probe that carries SMP and is not there", "{name: a, port: \"rtt:5\", board: nrf5340dk}", []string{"probe 5 is not plugged in"}},
		{"an emulated board over RTT", "{name: a, port: \"rtt:5\", board: qemu-an385}", nil},
		{"UART and probe at two places", "{name: a, usb: 1-2.2, board: nrf52840dk, probe: {driver: openocd, usb: 1-3}}", nil},
		{"a cable that was pulled", "{name: a, usb: 1-9, board: nrf52840dk}", []string{"nothing is plugged in at USB path 1-9"}},
		{"a composite probe that was pulled", "{name: a, usb: 1-9, board: nrf52840dk, probe: {driver: openocd}}", []string{"nothing is plugged in at USB path 1-9"}},
		{"a port that is not there", "{name: a, port: /dev/ttyACM77}", []string{"port /dev/ttyACM77 is not there"}},
		{"a probe that is not there", "{name: a, usb: 1-2.2, board: nrf52840dk, probe: {driver: openocd, usb: 1-8}}", []string{"probe at USB path 1-8 is not plugged in"}},
		{"a serial number that is not there", "{name: a, port: /dev/ttyUSB2, board: nrf52840dk, probe: {driver: openocd, serial: 5}}", []string{"probe 5 is not plugged in"}},
		{"a probe that was exchanged", "{name: a, usb: 1-1.1, interface: 0, board: nrf52840dk, probe: {driver: openocd, serial: 1}}", []string{"has the serial number 000683806234, station.yaml says 1"}},
		{"an adapter as probe", "{name: a, usb: 1-2.2, board: nrf52840dk, probe: {driver: openocd}}", []string{"is no probe that this station knows"}},
		{"no board definition for a probe", "{name: a, usb: 1-1.4, probe: {driver: openocd}}", []string{"no board definition", "1-2.1 has the same serial number"}},
		{"a clone, and a programmer that selects by the number", "{name: a, usb: 1-1.4, board: nrf52840dk, probe: {driver: nrfutil, serial: \"000123456789\"}}", []string{"nrfutil selects a probe by its number alone: this bay cannot work"}},
		{"a clone, and a bay that names the number alone", "{name: a, port: /dev/ttyUSB2, board: nrf52840dk, probe: {driver: openocd, serial: \"000123456789\"}}", []string{"write the USB path of the bay's probe"}},
		{"a programmer that hides its probe, without a USB path", "{name: a, port: /dev/ttyUSB2, board: nrf52840dk, probe: {driver: probe-rs, serial: \"683806234\"}}", []string{"probe-rs does not say which probe it worked with"}},
		{"a programmer that hides its probe, with the USB path", "{name: a, port: /dev/ttyUSB2, board: nrf52840dk, probe: {driver: probe-rs, serial: \"683806234\", usb: 1-1.1}}", nil},
		{"a programmer that names its probe, without a USB path", "{name: a, port: /dev/ttyUSB2, board: nrf52840dk, probe: {driver: nrfutil, serial: \"683806234\"}}", nil},
		{"several UARTs", "{name: a, usb: 1-1.3}", []string{"several UARTs"}},
		{"a UART that is not there", "{name: a, usb: 1-1.3, interface: 7}", []string{"interface 7; it has interface 0"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			rows := Compare(configured(t, "bays: ["+c.bay+"]\n"), dir, tree, nil)
			got := rows[0].Troubles
			if len(got) != len(c.says) {
				t.Fatalf("got %q, want %q", got, c.says)
			}
			for i, says := range c.says {
				if !strings.Contains(got[i], says) {
					t.Errorf("got %q, want %q", got[i], says)
				}
			}
		})
	}
}

// Only what is plugged in shows that a serial number and a USB path are one probe.
func TestOneProbeInTwoBaysIsNamed(t *testing.T) {
	_, tree := recorded(t)
	const first = "{name: a, usb: 1-1.1, interface: 0, board: nrf52840dk, probe: {driver: openocd}}"
	for second, twice := range map[string]bool{
		"{name: b, port: /dev/ttyUSB2, board: nrf52840dk, probe: {driver: openocd, serial: 683806234}}": true,
		"{name: b, port: \"rtt:683806234\", board: nrf52840dk}":                                         true,
		"{name: b, usb: 1-1.1, interface: 2}":                                                           false, // only a UART
		"{name: b, port: /dev/ttyUSB2, board: nrf52840dk, probe: {driver: openocd, serial: 5}}":         false,
		"{name: b, usb: 1-1.2, board: nrf52840dk, interface: 0, probe: {driver: openocd}}":              false,
	} {
		rows := Compare(configured(t, "bays: ["+first+", "+second+"]\n"), "", tree, nil)
		for i, other := range []string{"b", "a"} {
			says := slices.ContainsFunc(rows[i].Troubles, func(text string) bool {
				return strings.Contains(text, "the probe at USB path 1-1.1 belongs to bay "+other+", too")
			})
			if says != twice {
				t.Errorf("%s: %q", second, rows[i].Troubles)
			}
		}
	}
}

// A port that is not on USB, such as /dev/ttyS0 or a pseudo terminal, is there if its name is. The table must not say "free" of a port
// and "not there" below.
func TestAPortThatIsNotOnUSBIsThereIfItsNameIs(t *testing.T) {
	dir, tree := recorded(t)
	fixtures.Must(0, os.WriteFile(filepath.Join(dir, "dev/ttyS7"), nil, 0o600))(t)
	rows := Compare(configured(t, "bays: [{name: a, port: /dev/ttyS7}, {name: b, port: /dev/ttyS8}]\n"), "", tree, func(string) string { return Free })
	if a, b := rows[0], rows[1]; len(a.Troubles) > 0 || a.state() != Free || len(b.Troubles) != 1 || b.state() == Free {
		t.Errorf("%+v\n%+v", a, b)
	}
}

func TestTheProbeOfAnEmulatedBoardIsShown(t *testing.T) {
	_, tree := recorded(t)
	for bay, want := range map[string]Row{
		"{name: a, board: qemu-an385, probe: {driver: nrfutil, serial: 1050012345}}": {Probe: Emulated, Serial: "1050012345", Driver: "nrfutil"},
		"{name: a, port: \"rtt:5\", board: qemu-an385}":                              {Probe: Emulated, Serial: "5", Driver: "openocd"},
		"{name: a, board: qemu-an385}":                                               {},
	} {
		row := Compare(configured(t, "bays: ["+bay+"]\n"), "", tree, nil)[0]
		if row.Probe != want.Probe || row.Serial != want.Serial || row.Driver != want.Driver || len(row.Troubles) > 0 {
			t.Errorf("%s: %+v", bay, row)
		}
	}
}

func TestABoardDefinitionThatIsNotThereIsNamed(t *testing.T) {
	dir, _ := recorded(t)
	config := filepath.Join(t.TempDir(), "station.yaml")
	fixtures.Must(0, os.WriteFile(config, []byte("hsm: {module: /m}\nbays: [{name: a, usb: 1-1.2, board: boards/nope.yaml}]\n"), 0o600))(t)
	var text strings.Builder
	if err := Show(&text, Options{Config: config, Sysfs: dir}); err != nil || strings.Count(text.String(), "bay a: reading the board definition") != 1 || !strings.Contains(text.String(), "boards/nope.yaml") {
		t.Errorf("%v\n%s", err, &text)
	}
}

func TestHardwareWithoutABayIsListed(t *testing.T) {
	_, tree := recorded(t)
	bays := configured(t, "bays: [{name: a, usb: 1-1.1}, {name: b, port: /dev/ttyUSB2, probe: {driver: openocd, serial: 1050012345}}]\n")
	var got []string
	for _, row := range Compare(bays, "", tree, nil)[len(bays):] {
		got = append(got, row.USB)
	}
	if want := "1-1.3 1-1.4 1-2.1 1-2.3 1-2.4 1-3 1-4 1-10"; strings.Join(got, " ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

// TestTheYAMLLoads also checks that the bays of the YAML have all hardware, and that a second YAML is the same.
func TestTheYAMLLoads(t *testing.T) {
	_, whole := recorded(t)
	_, bench := scanned(t, usbtree.Bench(8))
	_, odd := scanned(t, "1-1 1366:0105 serial=5 product=\"J-Link # PRO\"\n1-2 1366:0105 serial=\"a b\" product=X 0=cdc_acm:ttyACM0\n")
	_, none := scanned(t, "")
	for name, tree := range map[string]*usb.Tree{"the recorded bench": whole, "eight bays": bench, "odd texts and a probe without UART": odd, "nothing": none} {
		t.Run(name, func(t *testing.T) {
			var text, again strings.Builder
			if err := WriteYAML(&text, nil, tree); err != nil {
				t.Fatal(err)
			}
			bays := configured(t, text.String())
			for _, row := range Compare(bays, "", tree, nil)[len(bays):] {
				if len(row.Ports) > 0 {
					t.Errorf("no bay for %+v", row)
				}
			}
			for _, row := range Compare(bays, "", tree, nil)[:len(bays)] {
				for _, trouble := range row.Troubles {
					if !strings.Contains(trouble, "board definition") && !strings.Contains(trouble, "serial number") {
						t.Errorf("bay %s: %s", row.Bay, trouble)
					}
				}
			}
			if err := WriteYAML(&again, bays, tree); err != nil || again.String() != text.String() {
				t.Errorf("again: %v\n%s\nbefore\n%s", err, &again, &text)
			}
		})
	}
}

// A distribution's OpenOCD lacks the script of the ESP32's own probe, so a bay with it could not work.
func TestTheProbeOfAnESP32IsNotProposed(t *testing.T) {
	_, tree := scanned(t, "1-1 303a:1001 serial=F4:12:FA product=\"USB JTAG/serial debug unit\" 0=cdc_acm:ttyACM0\n")
	var text strings.Builder
	if err := WriteYAML(&text, nil, tree); err != nil || strings.Contains(text.String(), "probe:") || !strings.Contains(text.String(), `usb: "1-1"`) {
		t.Errorf("%v\n%s", err, &text)
	}
}

func TestABayOfStationYAMLStaysAsItIs(t *testing.T) {
	_, tree := scanned(t, usbtree.Bench(2))
	mine := "bays:\n- {name: bay-1, usb: 1-1.2, interface: 2, baud: 1000000, settle: 1s, low: [rts], answer: 3s, board: nrf52840dk, probe: {driver: nrfutil, serial: 1050000002, usb: 1-1.2}}\n- {name: old, port: /dev/ttyS0}\n"
	var text strings.Builder
	if err := WriteYAML(&text, configured(t, mine), tree); err != nil {
		t.Fatal(err)
	}
	bays := configured(t, text.String())
	want := configured(t, mine)[0]
	if got := bays[0]; len(bays) != 3 || got.Settle != want.Settle || got.Answer != want.Answer || !slices.Equal(got.Low, want.Low) || got.Baud != want.Baud || got.Board != want.Board || *got.Interface != 2 || *got.Probe != *want.Probe || bays[1].Port != "/dev/ttyS0" || bays[2].Name != "bay-2" {
		t.Errorf("%+v", bays)
	}
}

func TestTheTableAndTheJSONShowEachRow(t *testing.T) {
	dir, tree := recorded(t)
	states := func(device string) string {
		if device == "/dev/ttyACM1" {
			return "used by ModemManager (PID 812)"
		}
		return Free
	}
	rows := Compare(configured(t, "bays: [{name: a, usb: 1-1.1, board: nrf52840dk, probe: {driver: openocd}}, {name: b, port: \"rtt:1050012345\", board: ours.yaml}, {name: c, port: \"tcp://bench:4001\"}]\n"), "", tree, states)
	var table, lines strings.Builder
	if err := WriteTable(&table, rows); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"a    1-1.1  J-Link        000683806234       openocd  nrf52840dk  0:ttyACM0 2:ttyACM1  used by ModemManager (PID 812)", "b    -      J-Link        001050012345       openocd  ours.yaml   rtt:1050012345       -", "tcp://bench:4001", "1-2.2", "free", "1-3, 1-4, 1-10: no bay of station.yaml has these devices"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, &table)
		}
	}
	if err := WriteJSON(&lines, rows); err != nil {
		t.Fatal(err)
	}
	var first Row
	if err := json.Unmarshal([]byte(strings.SplitN(lines.String(), "\n", 2)[0]), &first); err != nil || first.Bay != "a" || len(first.Ports) != 2 || first.Ports[1].State == Free {
		t.Errorf("%+v, %v", first, err)
	}
	var shown strings.Builder
	if err := Show(&shown, Options{Sysfs: dir}); err != nil || !strings.Contains(shown.String(), "1-1.1") {
		t.Errorf("%v\n%s", err, &shown)
	}
}

func TestOptionsOfShow(t *testing.T) {
	dir := t.TempDir()
	if err := (Options{Sysfs: dir}).Check(); err == nil || !strings.Contains(err.Error(), "directory that holds sys") {
		t.Errorf("no tree: %v", err)
	}
	if err := (Options{YAML: true, JSON: true}).Check(); err == nil {
		t.Error("two formats")
	}
	if err := (Options{}).Check(); err != nil {
		t.Error(err)
	}
	var text strings.Builder
	if err := Show(&text, Options{Config: filepath.Join(dir, "none.yaml")}); err == nil {
		t.Error("a configuration that is not there")
	}
	if err := Show(&text, Options{}); err != nil || text.Len() == 0 {
		t.Errorf("this machine: %v, %q", err, &text)
	}
}
