package serial

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// tree makes a directory with files and symlinks ("-> target").
func tree(t *testing.T, entries map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range entries {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if len(content) > 3 && content[:3] == "-> " {
			err = os.Symlink(content[3:], path)
		} else {
			err = os.WriteFile(path, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestPortsAreFoundByWhereTheyArePluggedIn(t *testing.T) {
	const usb = "sys/devices/pci0000:00/usb1/1-2"
	root := tree(t, map[string]string{
		// A J-Link with two ports, each with the second name that newer udev adds.
		"dev/serial/by-path/pci-usb-0:2:1.0":     "-> ../../ttyACM0",
		"dev/serial/by-path/pci-usbv2-0:2:1.0":   "-> ../../ttyACM0",
		"dev/serial/by-path/pci-usb-0:2:1.2":     "-> ../../ttyACM1",
		"dev/serial/by-path/platform-serial8250": "-> ../../ttyS0",
		"dev/serial/by-path/pci-usb-0:9:1.0":     "-> ../../ttyUSB7", // unplugged a moment ago
		"sys/class/tty/ttyACM0/device":           "-> ../../../devices/pci0000:00/usb1/1-2/1-2:1.0",
		"sys/class/tty/ttyACM1/device":           "-> ../../../devices/pci0000:00/usb1/1-2/1-2:1.2",
		"sys/class/tty/ttyS0/device":             "-> ../../../devices/platform/serial8250",
		usb + "/1-2:1.0/bInterfaceNumber":        "00\n",
		usb + "/1-2:1.2/bInterfaceNumber":        "02\n",
		usb + "/idVendor":                        "1366\n",
		usb + "/idProduct":                       "1015\n",
		usb + "/serial":                          "000683123456\n",
		usb + "/product":                         "J-Link\x1b[31m\n",
		"sys/devices/platform/serial8250/type":   "0\n",
	})
	want := []Found{
		{"/dev/serial/by-path/pci-usb-0:2:1.0", "/dev/ttyACM0", "1366", "1015", "000683123456", "J-Link[31m", 0},
		{"/dev/serial/by-path/pci-usb-0:2:1.2", "/dev/ttyACM1", "1366", "1015", "000683123456", "J-Link[31m", 2},
		{"/dev/serial/by-path/platform-serial8250", "/dev/ttyS0", "", "", "", "", -1},
	}
	got, err := List(root)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
	}
}

func TestAMachineWithoutPortsHasNone(t *testing.T) {
	if got, err := List(t.TempDir()); err != nil || len(got) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
}
