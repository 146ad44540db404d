package instance

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hallmark/configs"
	"hallmark/devices/serial"
	"hallmark/devices/usb"
	"hallmark/fixtures/usbtree"
	"hallmark/station/reason"
	"hallmark/station/workdir"
)

// directory makes a station directory that has only a station.yaml with these bays.
func directory(t *testing.T, bays string) workdir.Dir {
	t.Helper()
	dir := workdir.Dir(t.TempDir())
	if err := os.WriteFile(dir.Config(), []byte("hsm: {module: /m}\nboards: {baud: 9600}\nbays: "+bays+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestBaysOfStationYAML(t *testing.T) {
	for _, c := range []struct {
		name, bays, boards string
		want               string // names of the bays
		refusal            error
		says               string
	}{
		{"bays of all kinds", "[{name: a, usb: 1-2}, {name: b, port: /dev/ttyS0}, {name: c, board: qemu-an385}]", "", "a b c", nil, ""},
		{"--boards comes first", "[{name: a, usb: 1-2}]", "posix:2", "posix-1 posix-2", nil, ""},
		{"neither bays nor --boards", "[]", "", "", errNoBays, "station bays --yaml"},
		{"a probe that carries SMP for an emulated board", "[{name: a, port: \"rtt:17\", board: qemu-an385, probe: {driver: openocd}}, {name: b, port: \"rtt:18\", board: nrf52840dk}]", "", "a b", nil, ""},
		{"an emulated board over RTT that nobody flashes", "[{name: a, port: \"rtt:17\", board: qemu-an385}]", "", "", errBlankRTT, "probe: {driver: openocd}"},
		{"a probe that carries SMP in --boards", "[]", "rtt:17", "", errRTTOnBoard, "bay with port: rtt:SERIAL"},
		{"a board definition that is not there", "[{name: a, usb: 1-2, board: nrf}]", "", "", configs.ErrValue, `bay "a"`},
		{"hardware without a place", "[{name: a, board: nrf52840dk}]", "", "", errNoPlace, `bay "a"`},
		{"an emulated board with a place", "[{name: a, usb: 1-2, board: qemu-an385}]", "", "", errEmulatedBay, `bay "a"`},
		{"an emulated board with an interface", "[{name: a, interface: 1, board: qemu-an385}]", "", "", errEmulatedBay, `bay "a"`},
		{"a kind that is not there", "[{name: a, board: ./own.yaml}]", "", "", errUnknownBoard, "vax"},
		{"two bays, and a programmer that hides its probe", "[{name: a, port: /dev/ttyS0, board: nrf52840dk, probe: {driver: probe-rs, serial: 1}}, {name: b, port: /dev/ttyS1, board: nrf52840dk, probe: {driver: nrfutil, serial: 2}}]", "", "", errHiddenProbe, `bay "a"`},
		{"two bays, a programmer that hides its probe, and its USB path", "[{name: a, port: /dev/ttyS0, board: nrf52840dk, probe: {driver: probe-rs, serial: 1, usb: 1-2}}, {name: b, port: /dev/ttyS1, board: nrf52840dk, probe: {driver: nrfutil, serial: 2}}]", "", "a b", nil, ""},
		{"one bay with a probe, and a programmer that hides it", "[{name: a, port: /dev/ttyS0, board: nrf52840dk, probe: {driver: probe-rs, serial: 1}}, {name: b, port: /dev/ttyS1}]", "", "a b", nil, ""},
		{"a settle time that leaves the first step no answer", "[{name: a, usb: 1-2, board: ./slow.yaml}]", "", "", configs.ErrValue, "uart.settle: value not possible: 40s, want at most 29s"},
		{"a settle time of the bay's own", "[{name: a, usb: 1-2, board: ./slow.yaml, settle: 1s}]", "", "a", nil, ""},
		{"a configuration that is refused", "[{name: a}]", "", "", configs.ErrValue, "neither usb nor port"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := directory(t, c.bays)
			if err := os.WriteFile(dir.In("own.yaml"), []byte("name: own\nemulated: vax\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(dir.In("slow.yaml"), []byte("name: slow\nuart: {settle: 40s}\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			bays, err := SelectBays(dir, c.boards)
			if !errors.Is(err, c.refusal) || c.refusal != nil && !strings.Contains(err.Error(), c.says) {
				t.Fatalf("got %v, want %v that says %q", err, c.refusal, c.says)
			}
			if got := strings.Join(BayNames(bays), " "); err == nil && got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestABayHasItsDefinitionAndItsKind(t *testing.T) {
	bays, err := SelectBays(directory(t, "[{name: a, usb: 1-2, board: nrf52840dk}, {name: b, board: qemu-an385}]"), "")
	if err != nil {
		t.Fatal(err)
	}
	if a := bays[0]; a.Board.Name != "nrf52840dk" || a.Kind != nil || a.Bay.USB != "1-2" {
		t.Errorf("%+v", a)
	}
	if b := bays[1]; b.Kind == nil || b.Kind.Name != "qemu" {
		t.Errorf("%+v", b)
	}
}

func TestOneBayByItsName(t *testing.T) {
	dir := directory(t, "[{name: a, usb: 1-2}, {name: posix, usb: 1-3}]")
	for name, want := range map[string]string{"a": "a", "posix": "posix", "qemu": "qemu-1", "/dev/ttyACM0": "/dev/ttyACM0", "b": ""} {
		bays, err := SelectBay(dir, name)
		if got := strings.Join(BayNames(bays), " "); got != want || (err != nil) != (want == "") {
			t.Errorf("%s: %s, %v; want %s", name, got, err, want)
		}
		if name == "b" && !strings.Contains(err.Error(), "the bays of station.yaml are a, posix") {
			t.Errorf("the refusal does not name the bays: %v", err)
		}
	}
}

// source makes a BoardSource for bays on a machine.
func source(t *testing.T, root, bays string) (*BoardSource, []BaySpec) {
	t.Helper()
	dir := directory(t, bays)
	config, err := configs.Load(dir.Config())
	if err != nil {
		t.Fatal(err)
	}
	specs, err := ConfiguredBays(dir, config)
	if err != nil {
		t.Fatal(err)
	}
	return &BoardSource{files: &Files{Dir: dir, Config: config, options: Options{Root: root}}}, specs
}

func TestThePortOfABayIsFoundByItsPlace(t *testing.T) {
	machine, err := usbtree.Unfold(t.TempDir(), "1-2 1366:1051 product=J-Link 0=cdc_acm:ttyACM5 2=cdc_acm:ttyACM3\n")
	if err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(t.TempDir(), "own.yaml")
	if err := os.WriteFile(own, []byte("name: own\nuart: {interface: 0, baud: 1000000, settle: 1s}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, bay, device, settle string
		baud                      int
		present                   bool
	}{
		{"by the definition", "{name: a, usb: 1-2, board: " + own + "}", "/dev/ttyACM5", "1s", 1000000, true},
		{"the bay's own values come first", "{name: a, usb: 1-2, interface: 2, baud: 57600, settle: 2s, board: " + own + "}", "/dev/ttyACM3", "2s", 57600, true},
		{"without a definition", "{name: a, usb: 1-2, interface: 2}", "/dev/ttyACM3", "0s", 9600, true},
		{"not plugged in", "{name: a, usb: 1-3}", "", "0s", 9600, false},
		{"several and none chosen", "{name: a, usb: 1-2}", "", "0s", 9600, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, bays := source(t, machine.Dir(), "["+c.bay+"]")
			config := s.portConfig(bays[0])
			if device, err := config.Find(); strings.TrimPrefix(device, machine.Dir()) != c.device || (err != nil) != (c.device == "") {
				t.Errorf("device %s, %v; want %s", device, err, c.device)
			}
			if config.Baud != c.baud || config.Settle.String() != c.settle || s.Sight()(bays[0]) != c.present {
				t.Errorf("baud %d, settle %v, present %t", config.Baud, config.Settle, s.Sight()(bays[0]))
			}
		})
	}
}

func TestTwoNamesOfOnePortAreRefused(t *testing.T) {
	machine, err := usbtree.Unfold(t.TempDir(), "1-2 0403:6001 product=UART 0=ftdi_sio:ttyUSB0\n1-3 0403:6001 product=UART 0=ftdi_sio:ttyUSB1\n")
	if err != nil {
		t.Fatal(err)
	}
	tty := filepath.Join(machine.Dir(), "dev/ttyUSB0")
	link := filepath.Join(machine.Dir(), "dev/serial/by-path/pci-0000:00:14.0-usb-0:2:1.0-port0")
	for bays, want := range map[string]error{
		"[{name: a, usb: 1-2}, {name: b, port: \"" + link + "\"}]":              errSamePort,
		"[{name: a, port: \"" + tty + "\"}, {name: b, port: \"" + link + "\"}]": errSamePort,
		"[{name: a, usb: 1-3}, {name: b, port: \"" + link + "\"}]":              nil,
		"[{name: a, usb: 1-8}, {name: b, usb: 1-9}]":                            nil,
	} {
		s, specs := source(t, machine.Dir(), bays)
		if _, err := s.files.Boards(specs, Images{}); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", bays, err, want)
		}
	}
}

// The server that serves a port may be named in several ways. What no resolver knows is compared as it is written.
func TestTwoNamesOfOneRemotePortAreRefused(t *testing.T) {
	for _, c := range []struct {
		boards string
		want   error
	}{
		{"tcp://localhost:4001,tcp://127.0.0.1:4001", errSamePort},
		{"tcp://127.0.0.1:4001,rfc2217://127.0.0.1:4001", errSamePort},
		{"rfc2217://LOCALHOST:4001,tcp://127.0.0.1:4001", errSamePort},
		{"tcp://[::1]:4001,tcp://[0:0:0:0:0:0:0:1]:4001", errSamePort},
		{"tcp://no-such-host.invalid:4001,rfc2217://no-such-host.invalid:4001", errSamePort},
		{"tcp://localhost:4001,tcp://127.0.0.1:4002", nil},
		{"tcp://127.0.0.1:4001,tcp://127.0.0.2:4001", nil},
		{"tcp://no-such-host.invalid:4001,tcp://127.0.0.1:4001", nil},
	} {
		bays, err := ParseBays(c.boards)
		if err != nil {
			t.Fatal(err)
		}
		s, _ := source(t, "/", "[]")
		if err := s.distinctPorts(bays); !errors.Is(err, c.want) || err != nil && !strings.Contains(err.Error(), bays[0].Name) {
			t.Errorf("%s: %v, want %v", c.boards, err, c.want)
		}
	}
}

func TestTwoNamesOfOneProbeAreRefused(t *testing.T) {
	machine, err := usbtree.Unfold(t.TempDir(), "1-1 1366:1051 product=J-Link serial=000683806234 0=cdc_acm:ttyACM0\n1-2 0403:6001 product=UART 0=ftdi_sio:ttyUSB0\n1-3 1366:1051 product=J-Link serial=5 0=cdc_acm:ttyACM1\n")
	if err != nil {
		t.Fatal(err)
	}
	const first = "{name: a, usb: 1-1, board: nrf52840dk, probe: {driver: openocd}}"
	for second, want := range map[string]error{
		"{name: b, port: /dev/ttyS77, board: nrf52840dk, probe: {driver: openocd, serial: 683806234}}": errSameProbe,
		"{name: b, port: /dev/ttyS77, board: nrf52840dk, probe: {driver: openocd, serial: 5}}":         nil,
		"{name: b, port: /dev/ttyS77, board: nrf52840dk, probe: {driver: openocd, serial: 9}}":         nil, // not plugged in
		"{name: b, usb: 1-3, board: nrf52840dk, probe: {driver: openocd}}":                             nil,
		"{name: b, usb: 1-8, board: nrf52840dk, probe: {driver: openocd, usb: 1-9, serial: 0005}}":     nil,
	} {
		s, specs := source(t, machine.Dir(), "["+first+", "+second+"]")
		if _, err := s.files.Boards(specs, Images{}); !errors.Is(err, want) || want != nil && (reason.ExitOf(err) != reason.ExitUsage || !strings.Contains(err.Error(), `"a" and "b"`)) {
			t.Errorf("%s: %v, want %v", second, err, want)
		}
	}
}

func TestAPathThatCanBeNoPortIsRefusedAtTheStart(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{dir, filepath.Join(string(directory(t, "[]")), "station.yaml"), "/dev/null"} {
		s, _ := source(t, "/", "[]")
		bays, err := ParseBays(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.distinctPorts(bays); !errors.Is(err, serial.ErrNotSerial) {
			t.Errorf("%s: %v, want %v", path, err, serial.ErrNotSerial)
		}
	}
}

func TestTheModemLinesOfABayComeBeforeThoseOfItsBoard(t *testing.T) {
	own := filepath.Join(t.TempDir(), "own.yaml")
	if err := os.WriteFile(own, []byte("name: own\nuart: {low: [dtr, rts]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for bay, want := range map[string][2]bool{
		"{name: a, usb: 1-2, board: " + own + "}":             {true, true},
		"{name: a, usb: 1-2, low: [rts], board: " + own + "}": {false, true},
		"{name: a, usb: 1-2, low: [], board: " + own + "}":    {false, false},
		"{name: a, usb: 1-2, low: [dtr], answer: 3s}":         {true, false},
	} {
		s, bays := source(t, "/", "["+bay+"]")
		if config := s.portConfig(bays[0]); [2]bool{config.LowDTR, config.LowRTS} != want {
			t.Errorf("%s: DTR low %t, RTS low %t", bay, config.LowDTR, config.LowRTS)
		}
	}
}

func TestABayOverRTTThatCannotWorkIsRefused(t *testing.T) {
	for _, test := range []struct {
		name, board string
		lock        bool
		want        error
	}{
		{"it can", "name: own\nprobe: {openocd: {target: target/nrf52.cfg}}\nrtt: {address: 0x20000000, size: 256}\n", false, nil},
		{"the definition has no RTT", "name: own\nprobe: {openocd: {target: target/nrf52.cfg}}\n", false, errNoRTT},
		{"OpenOCD does not know the chip", "name: own\nrtt: {address: 0x20000000, size: 256}\n", false, errNoRTTChip},
		{"the station locks", "name: own\nprobe: {openocd: {target: target/nrf52.cfg}}\nrtt: {address: 0x20000000, size: 256}\n", true, errLockedRTT},
	} {
		dir := directory(t, "[{name: a, port: \"rtt:17\", board: ./own.yaml}]")
		if err := os.WriteFile(dir.In("own.yaml"), []byte(test.board), 0o600); err != nil {
			t.Fatal(err)
		}
		bays, err := SelectBays(dir, "")
		if err != nil {
			t.Fatal(err)
		}
		config := &configs.Config{}
		config.Boards.Lock = test.lock
		_, err = (&Files{Dir: dir, Config: config}).Boards(bays, Images{})
		if !errors.Is(err, test.want) || err != nil && reason.ExitOf(err) != reason.ExitUsage {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

func TestAProbeThatCarriesSMPIsLookedForOnUSB(t *testing.T) {
	machine, err := usbtree.Unfold(t.TempDir(), "1-2 1366:1051 product=J-Link serial=000017 0=cdc_acm:ttyACM5\n")
	if err != nil {
		t.Fatal(err)
	}
	for bay, want := range map[string]error{
		"{name: a, port: \"rtt:17\", board: nrf52840dk}":                                     nil,
		"{name: a, port: \"rtt:17\", board: nrf52840dk, probe: {driver: openocd, usb: 1-2}}": nil,
		"{name: a, port: \"rtt:17\", board: nrf52840dk, probe: {driver: openocd, usb: 1-3}}": usb.ErrAbsent,
		"{name: a, port: \"rtt:18\", board: nrf52840dk}":                                     usb.ErrAbsent,
	} {
		s, bays := source(t, machine.Dir(), "["+bay+"]")
		if name, err := s.ExaminePort(bays[0]); !errors.Is(err, want) || !strings.HasPrefix(name, "rtt:") || !s.Sight()(bays[0]) {
			t.Errorf("%s: %s, %v", bay, name, err)
		}
	}
}
