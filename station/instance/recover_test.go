package instance

import (
	"context"
	"errors"
	"testing"

	"hallmark/devices/probe"
	"hallmark/station"
)

// erases is a probe whose programmer says that it has erased the chip.
type erases struct {
	probe.Probe
	fails error
	state probe.LockState // that is read after it
	read  error
}

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
