package usb

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hallmark/fixtures/usbtree"
)

func unfold(t testing.TB, text string) *usbtree.Tree {
	t.Helper()
	tree, err := usbtree.Unfold(t.TempDir(), text)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func bench(t testing.TB) *usbtree.Tree {
	t.Helper()
	text, err := os.ReadFile("testdata/bench.tree")
	if err != nil {
		t.Fatal(err)
	}
	return unfold(t, string(text))
}

// line is a device in one line: path, kind, serial, and number:tty:driver of each UART.
func line(d Device) string {
	text := fmt.Sprintf("%s %s:%s %q %s", d.Path, d.VID, d.PID, d.Probe, d.Serial)
	for _, port := range d.Ports {
		text += fmt.Sprintf(" %d:%s:%s", port.Interface, strings.TrimPrefix(port.Device, "/dev/"), port.Driver)
	}
	return text
}

func TestProbesAndPortsAreFoundByTheirPlace(t *testing.T) {
	tree, err := Scan(bench(t).Dir())
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`1-1.1 1366:1051 "J-Link" 000683806234 0:ttyACM0:cdc_acm 2:ttyACM1:cdc_acm`,
		`1-1.2 1366:1061 "J-Link" 001050012345 0:ttyACM10:cdc_acm 2:ttyACM2:cdc_acm 4:ttyACM3:cdc_acm`,
		`1-1.3 0403:6010 "" FT5XYZ 0:ttyUSB0:ftdi_sio 1:ttyUSB1:ftdi_sio`,
		`1-1.4 1366:0105 "J-Link" 000123456789 0:ttyACM4:cdc_acm`,
		`1-2.1 1366:0105 "J-Link" 000123456789 0:ttyACM5:cdc_acm`,
		`1-2.2 10c4:ea60 "" 0001 0:ttyUSB2:cp210x`,
		`1-2.3 2fe3:0100 "" 8E1F 0:ttyACM6:cdc_acm`,
		`1-2.4 0d28:0204 "CMSIS-DAP"  1:ttyACM7:cdc_acm`,
		`1-3 0483:374e "ST-Link" 066DFF 2:ttyACM8:cdc_acm`,
		`1-4 303a:1001 "ESP USB-JTAG" 7C:DF:A1:00:00:01 0:ttyACM9:cdc_acm`,
		`1-10 1fc9:0143 "CMSIS-DAP" X5IYHP 1:ttyACM11:cdc_acm`,
	}
	var got []string
	for _, device := range tree.Devices {
		got = append(got, line(device))
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func scan(t *testing.T, machine *usbtree.Tree) *Tree {
	t.Helper()
	tree, err := Scan(machine.Dir())
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func find(t *testing.T, machine *usbtree.Tree, path string, number int) (string, error) {
	t.Helper()
	seen, err := TakeSnapshot(machine.Dir())
	if err != nil {
		t.Fatal(err)
	}
	return seen.Find(path, number)
}

func TestAPortHasTheNameThatUdevMadeOfItsPlace(t *testing.T) {
	machine := bench(t)
	for _, c := range []struct {
		name, path string
		number     int
		want       string
	}{
		{"of a J-Link", "1-1.1", 2, "/dev/serial/by-path/pci-0000:00:14.0-usb-0:1.1:1.2"},
		{"of an adapter", "1-1.3", 1, "/dev/serial/by-path/pci-0000:00:14.0-usb-0:1.3:1.1-port0"},
		{"the only one", "1-2.2", -1, "/dev/serial/by-path/pci-0000:00:14.0-usb-0:2.2:1.0-port0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if port, err := scan(t, machine).At(c.path).Port(c.number); err != nil || port.Name != c.want {
				t.Errorf("%+v, %v; want %s", port, err, c.want)
			}
		})
	}
	if err := os.RemoveAll(filepath.Join(machine.Dir(), "dev/serial")); err != nil {
		t.Fatal(err)
	}
	if port, err := scan(t, machine).At("1-1.1").Port(2); err != nil || port.Name != "/dev/ttyACM1" {
		t.Errorf("without udev: %+v, %v", port, err)
	}
}

func TestFindNamesWhatIsWrong(t *testing.T) {
	machine := bench(t)
	for _, c := range []struct {
		name, path string
		number     int
		want       error
		says       string
	}{
		{"nothing is plugged in", "1-9", 0, ErrAbsent, "USB path 1-9"},
		{"a device without UART", "1-11", -1, ErrNoPort, "USB path 1-11"},
		{"several UARTs and no number", "1-1.1", -1, ErrWhichPort, "interface 0 (/dev/ttyACM0), interface 2 (/dev/ttyACM1)"},
		{"a number that is not there", "1-1.1", 4, ErrNoInterface, "interface 4; it has interface 0"},
		{"the number of an interface that is no UART", "1-2.4", 3, ErrNoInterface, "interface 1 (/dev/ttyACM7)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := find(t, machine, c.path, c.number); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want %v that says %q", err, c.want, c.says)
			}
		})
	}
}

func TestAPortComesBackUnderAnotherNumber(t *testing.T) {
	machine := bench(t)
	if err := machine.Pull("1-2.3"); err != nil {
		t.Fatal(err)
	}
	if _, err := find(t, machine, "1-2.3", -1); !errors.Is(err, ErrAbsent) {
		t.Errorf("pulled: %v", err)
	}
	back := usbtree.Device{Path: "1-2.3", VID: "2fe3", PID: "0100", Interfaces: []usbtree.Interface{{Driver: "cdc_acm", TTY: "ttyACM42"}}}
	if err := machine.Plug(back); err != nil {
		t.Fatal(err)
	}
	if device, err := find(t, machine, "1-2.3", -1); err != nil || device != "/dev/ttyACM42" {
		t.Errorf("%s, %v", device, err)
	}
	port, err := scan(t, machine).At("1-2.3").Port(-1)
	if err != nil || port.Device != "/dev/ttyACM42" || port.Name != "/dev/serial/by-path/pci-0000:00:14.0-usb-0:2.3:1.0" {
		t.Errorf("%+v, %v", port, err)
	}
}

func TestADeviceIsFoundByAnyNameOfItsPort(t *testing.T) {
	tree, err := Scan(bench(t).Dir())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"/dev/ttyACM2", "/dev/serial/by-path/pci-0000:00:14.0-usb-0:1.2:1.2", "/dev/serial/by-id/usb-J-Link_001050012345-if02"} {
		if device := tree.ByPort(name); device == nil || device.Path != "1-1.2" {
			t.Errorf("%s: %+v", name, device)
		}
	}
	if device := tree.ByPort("/dev/ttyACM77"); device != nil {
		t.Errorf("a port that is not there: %+v", device)
	}
	if tree.At("1-2.4") == nil || tree.At("1-9") != nil {
		t.Error("At finds another device")
	}
}

func TestPortsThatAreNotOnUSBHaveTheirNames(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, byPath), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, tty := range map[string]string{"platform-serial8250": "ttyS0", "pci-0000:00:14.0-usb-0:9:1.0": "ttyUSB7"} { // the second one was pulled a moment ago
		if err := os.Symlink("../../"+tty, filepath.Join(dir, byPath, name)); err != nil {
			t.Fatal(err)
		}
	}
	tree, err := Scan(dir)
	if err != nil || !reflect.DeepEqual(tree.Names(), []string{"/dev/serial/by-path/platform-serial8250"}) {
		t.Errorf("%v, %v", tree, err)
	}
}

func TestAMachineWithoutUSBHasNothing(t *testing.T) {
	if tree, err := Scan(t.TempDir()); err != nil || len(tree.Devices)+len(tree.Other) != 0 {
		t.Errorf("%+v, %v", tree, err)
	}
}

func TestTextsOfADeviceAreCleaned(t *testing.T) {
	machine := unfold(t, "1-1 1366:0105 serial=1 product=\"J-Link \x1b[31m"+strings.Repeat("x", 200)+"\" 0=cdc_acm:ttyACM0\n")
	tree, err := Scan(machine.Dir())
	if err != nil || len(tree.Devices) != 1 {
		t.Fatalf("%+v, %v", tree, err)
	}
	if product := tree.Devices[0].Product; len(product) > maxAttribute || strings.Contains(product, "\x1b") {
		t.Errorf("product %q", product)
	}
}

// A recorded bench comes from somebody else, and may hold what no sysfs has.
func TestARecordedBenchIsNotTrusted(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		harm func(device string) error
	}{
		{"an attribute that is a pipe", func(device string) error { return unix.Mkfifo(filepath.Join(device, "product"), 0o600) }},
		{"an attribute that is a directory", func(device string) error { return os.Mkdir(filepath.Join(device, "product"), 0o700) }},
		{"an attribute that leads out of the bench", func(device string) error { return os.Symlink(secret, filepath.Join(device, "product")) }},
		{"a tty whose name commands the terminal", func(device string) error {
			return os.Symlink("../../devices/1-1.1/1-1.1:1.0/tty/x", filepath.Join(device, "../../../../../sys/class/tty/ttyACM9\n\x1b[2J"))
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := bench(t).Dir()
			device := filepath.Join(dir, usbDevices, "1-1.1")
			if err := errors.Join(os.Remove(filepath.Join(device, "product")), test.harm(device)); err != nil {
				t.Fatal(err)
			}
			tree, err := Scan(dir)
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(*tree.At("1-1.1")); strings.Contains(got, "secret") || strings.Contains(got, "\x1b") {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestAPipeInThePlaceOfADirectoryOfABenchHoldsNobodyUp(t *testing.T) {
	for _, path := range []string{usbDevices, ttyClass, byPath, byID, filepath.Join(usbDevices, "1-1.1")} {
		t.Run(path, func(t *testing.T) {
			place := filepath.Join(bench(t).Dir(), path)
			err := errors.Join(os.RemoveAll(place), os.MkdirAll(filepath.Dir(place), 0o700), unix.Mkfifo(place, 0o600))
			if err != nil {
				t.Fatal(err)
			}
			scanned := make(chan error, 1)
			go func() {
				_, err := Scan(strings.TrimSuffix(place, path))
				scanned <- err
			}()
			select {
			case err := <-scanned:
				if err != nil {
					t.Error(err)
				}
			case <-time.After(10 * time.Second):
				t.Error("the scan waits for the pipe")
			}
		})
	}
}

func TestAScanSurvivesDevicesThatComeAndGo(t *testing.T) {
	machine := unfold(t, usbtree.Bench(4))
	done := make(chan error, 1)
	stop := make(chan struct{})
	go func() {
		device := usbtree.Device{Path: "1-1.2", VID: "1366", PID: "1051", Interfaces: []usbtree.Interface{{Driver: "cdc_acm", TTY: "ttyACM9"}}}
		for {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			if err := errors.Join(machine.Pull("1-1.2"), machine.Plug(device)); err != nil {
				done <- err
				return
			}
		}
	}()
	for range 200 {
		tree, err := Scan(machine.Dir())
		if err != nil || tree.At("1-1.1") == nil {
			t.Errorf("%+v, %v", tree, err)
			break
		}
	}
	close(stop)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func BenchmarkScanOf32Bays(b *testing.B) {
	machine := unfold(b, usbtree.Bench(32))
	for b.Loop() {
		if tree, err := Scan(machine.Dir()); err != nil || len(tree.Devices) != 32 {
			b.Fatal(err)
		}
	}
}

// Identities reads the same texts as Scan, with the same care, also of devices that have neither probe nor UART.
func TestWhoEachDeviceIs(t *testing.T) {
	machine, err := usbtree.Unfold(t.TempDir(), "1-2 1366:1015 serial=7 product=J-Link 0=cdc_acm:ttyACM0\n1-10 046d:C31C product=Keyboard\n")
	if err != nil {
		t.Fatal(err)
	}
	all, err := Identities(machine.Dir() + "/sys/bus/usb/devices")
	if err != nil || len(all) != 2 || all[0].Path != "1-2" || all[0].Serial != "7" || all[0].Probe != JLink || all[1].PID != "c31c" || all[1].Probe != NoProbe {
		t.Errorf("%+v, %v", all, err)
	}
	if all, err := Identities(t.TempDir() + "/none"); err != nil || len(all) != 0 {
		t.Errorf("a machine without USB: %+v, %v", all, err)
	}
}
