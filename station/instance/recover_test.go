package instance

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"hallmark/devices/probe"
	"hallmark/fixtures/usbtree"
	"hallmark/station"
)

// erases is a probe whose programmer says that it has erased the chip.
type erases struct {
	probe.Probe
	fails error
	state probe.LockState // that is read after it
	read  error
}

func (e erases) Info(context.Context) (probe.Info, error) { return probe.Info{}, probe.ErrLocked }

func (e erases) Recover(context.Context) error { return e.fails }

func (e erases) LockState(context.Context) (probe.LockState, error) { return e.state, e.read }

func TestTheLockIsReadAfterAnErase(t *testing.T) {
	for _, test := range []struct {
		name  string
		probe erases
		state station.LockState
		want  error
	}{
		{"an open port", erases{state: probe.Open}, station.LockOpen, nil},
		{"an erase that erased nothing", erases{state: probe.Locked}, "", probe.ErrNotErased},
		{"a driver that cannot read it", erases{read: probe.ErrCannot}, "", nil},
		{"a state that cannot be read now", erases{read: probe.ErrLost}, "", probe.ErrLost},
		{"an erase that failed", erases{fails: probe.ErrMissing, state: probe.Open}, "", probe.ErrMissing},
	} {
		port := &debugPort{Probe: test.probe}
		if state, err := port.Erase(t.Context()); state != test.state || !errors.Is(err, test.want) {
			t.Errorf("%s: %q, %v; want %q, %v", test.name, state, err, test.state, test.want)
		}
	}
}

// A bay may name its probe by the USB path alone. The record of a locked board has the probe all the same.
func TestTheProbeOfALockedChipIsNamed(t *testing.T) {
	machine, err := usbtree.Unfold(t.TempDir(), "1-2 1366:1051 product=J-Link serial=000017 0=cdc_acm:ttyACM5\n")
	if err != nil {
		t.Fatal(err)
	}
	for want, selected := range map[string]probe.Selection{"000017": {Location: "1-2"}, "": {Location: "1-3"}, "5": {Serial: "5"}} {
		port := &debugPort{Probe: erases{}, usb: filepath.Join(machine.Dir(), "sys/bus/usb/devices"), at: selected}
		if target, err := port.Target(t.Context()); target.Serial != want || !errors.Is(err, probe.ErrLocked) {
			t.Errorf("%+v: %q, %v; want %q", selected, target.Serial, err, want)
		}
	}
}
