package openocd

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hallmark/devices/probe"
	"hallmark/fixtures/jlink"
	"hallmark/fixtures/usbtree"
)

func TestAnotherSerialNumberIsNamed(t *testing.T) {
	connect(t, Config{}, jlink.NewNRF52840())
	_, err := New(Config{Chip: nrf52840()}).Open(probe.Selection{Serial: "7", Network: true}).Info(t.Context())
	if !errors.Is(err, probe.ErrWrongSerial) || !strings.Contains(err.Error(), "683806234 answered, want 7") {
		t.Errorf("got %v", err)
	}
}

func TestTwoProbesWithOneSerialNumberAreRefused(t *testing.T) {
	chip := jlink.NewNRF52840()
	bay := connect(t, Config{Chip: nrf52840()}, chip)
	twin, err := jlink.Start(jlink.Config{Serial: number, Host: 2, Chip: jlink.NewNRF52840()})
	if err != nil {
		t.Fatal(err)
	}
	image := segments(probe.Segment{Address: 0, Data: pattern(64)})
	if err := bay.Flash(t.Context(), image, nil); !errors.Is(err, probe.ErrAmbiguous) || errors.Is(err, probe.ErrNeedsFlash) {
		t.Errorf("got %v", err)
	}
	closes(t, twin.Close)
	if err := bay.Flash(t.Context(), image, nil); err != nil {
		t.Errorf("the next call: %v", err)
	}
}

func TestOneOfTwoProbesIsNamedByWhatOpenOCDOpened(t *testing.T) {
	bay := connect(t, Config{Chip: nrf52840()}, jlink.NewNRF52840())
	other, err := jlink.Start(jlink.Config{Serial: 77, Host: 2, Chip: jlink.NewNRF52840()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closes(t, other.Close) })
	for _, want := range []probe.Serial{serial, "77"} {
		if info, err := New(Config{Chip: nrf52840()}).Open(probe.Selection{Serial: "000" + want, Network: true}).Info(t.Context()); err != nil || info.Serial != want {
			t.Errorf("%+v, %v, want %s", info, err, want)
		}
	}
	if _, err := bay.Info(t.Context()); err != nil {
		t.Error(err)
	}
}

// The serial number at a USB path is looked up in a recorded tree.
func TestTheProbeAtAUSBPath(t *testing.T) {
	tree := t.TempDir()
	for name, attributes := range map[string]map[string]string{
		"1-2":     {"idVendor": "1366", "idProduct": "1015", "serial": "000683806234", "product": "J-Link"},
		"1-3":     {"idVendor": "1366", "idProduct": "1015", "serial": "000683806234", "product": "J-Link"},
		"1-4":     {"idVendor": "0403", "idProduct": "6001", "serial": "FT1234"},
		"1-2:1.0": {"bInterfaceNumber": "00"},
		"1-5":     {"idVendor": "1366", "idProduct": "1015"},
	} {
		if err := os.Mkdir(filepath.Join(tree, name), 0o700); err != nil {
			t.Fatal(err)
		}
		for attribute, value := range attributes {
			if err := os.WriteFile(filepath.Join(tree, name, attribute), []byte(value+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	driver := New(Config{USB: tree, Chip: nrf52840()})
	found, err := driver.List(t.Context())
	want := probe.Found{Serial: "000683806234", Location: "1-2", USBID: "1366:1015", Product: "J-Link"}
	if err != nil || len(found) != 2 || found[0] != want || found[1].Location != "1-3" {
		t.Errorf("found %+v, %v", found, err)
	}
	for _, test := range []struct {
		name     string
		selected probe.Selection
		want     error
	}{
		{"nothing is plugged in there", probe.Selection{Serial: serial, Location: "1-9"}, probe.ErrMissing},
		{"another probe is plugged in there", probe.Selection{Serial: "5", Location: "1-2"}, probe.ErrWrongSerial},
		{"something else is plugged in there", probe.Selection{Serial: serial, Location: "1-4"}, probe.ErrWrongSerial},
	} {
		if _, err := driver.Open(test.selected).Info(t.Context()); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", test.name, err, test.want)
		}
	}
	if found, err := New(Config{USB: filepath.Join(tree, "none")}).List(t.Context()); err != nil || len(found) != 0 {
		t.Errorf("without USB: %v, %v", found, err)
	}
}

// OpenOCD takes the first adapter with the serial number that is asked for, if no path is.
func TestTwoAdaptersWithOneSerialNumberOnUSBAreRefused(t *testing.T) {
	machine, err := usbtree.Unfold(t.TempDir(), "1-1 0483:374e serial=066DFF product=STLINK-V3\n1-2 0483:374e serial=066DFF product=STLINK-V3\n")
	if err != nil {
		t.Fatal(err)
	}
	config := Config{Program: fake(t, "echo run >>"+filepath.Join(t.TempDir(), "runs")), USB: filepath.Join(machine.Dir(), "sys/bus/usb/devices"), Chip: Chip{Interface: "interface/stlink-dap.cfg"}}
	for selected, want := range map[probe.Selection]bool{{Serial: "066dff"}: true, {Serial: "066DFF", Location: "1-2"}: false, {Serial: "5"}: false} {
		if _, err := New(config).Open(selected).Info(t.Context()); errors.Is(err, probe.ErrAmbiguous) != want {
			t.Errorf("%+v: %v", selected, err)
		}
	}
}

// Anybody on the network can answer a broadcast with the serial number of a probe.
func TestAProbeOnTheNetworkIsOnlyTakenIfTheSelectionSaysSo(t *testing.T) {
	bay := connect(t, Config{}, jlink.NewNRF52840())
	tries := filepath.Join(t.TempDir(), "tries")
	counted := fake(t, "echo x >>"+tries+`; exec openocd "$@"`)
	_, err := New(Config{Program: counted, Chip: nrf52840(), USB: t.TempDir()}).Open(probe.Selection{Serial: serial}).Info(t.Context())
	if !errors.Is(err, probe.ErrMissing) || !strings.Contains(err.Error(), "network: true") || bay.jlink.Sessions() != 0 {
		t.Errorf("got %v, and %d connections", err, bay.jlink.Sessions())
	}
	if text, err := os.ReadFile(tries); err != nil || string(text) != "x\n" {
		t.Errorf("a second attempt cannot find more: %q, %v", text, err)
	}
}
