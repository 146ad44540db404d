package instance

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"

	"hallmark/devices/probe"
	"hallmark/station"
	"hallmark/station/reason"
)

var (
	errNoProbe   = errors.New("the bay has no probe: write probe: {driver: NAME, serial: NUMBER} into the bay in station.yaml")
	errNoRecover = errors.New("the board definition does not say how this driver erases the whole chip: write recover into it, or use the maker's program")
)

// A RecoverPort is the debug port of a bay for a command that erases whole chips. No Run has it.
type RecoverPort interface {
	station.DebugPort
	// Erase erases the whole chip and unlocks it. It reads the state of the lock afterwards, and refuses a chip that is still
	// locked; an empty state was not read, because the driver cannot.
	Erase(context.Context) (station.LockState, error)
}

func (p *debugPort) Erase(ctx context.Context) (station.LockState, error) {
	if err := p.Recover(ctx); err != nil {
		return "", err
	}
	state, err := p.LockState(ctx)
	switch {
	case errors.Is(err, probe.ErrCannot):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("the programmer says that the chip is erased, and then: %w", err)
	case state == station.LockLocked:
		return "", fmt.Errorf("%w: the programmer says that it is, and the debug port is still locked", probe.ErrNotErased)
	}
	return state, nil
}

// RecoverPort returns the debug port of a bay. It refuses a bay without probe, and a board definition without recover.
func (s *BoardSource) RecoverPort(bay BaySpec) (RecoverPort, error) {
	port, ok := s.ports[bay.Name].(*debugPort)
	switch {
	case !ok:
		return nil, reason.Usage(fmt.Errorf("bay %s: %w", bay.Name, errNoProbe))
	case !port.erase:
		return nil, reason.Usage(fmt.Errorf("bay %s, board definition %s: %w", bay.Name, bay.Board.Name, errNoRecover))
	}
	return port, nil
}

// Inserted returns the number of the board that is in a bay for emulated boards: the newest one.
func (s *BoardSource) Inserted(bay BaySpec) int {
	newest := 1
	entries, err := os.ReadDir(s.files.Dir.In("bays", bay.Name))
	if err != nil {
		return newest // no board was ever there
	}
	for _, entry := range entries {
		if number, err := strconv.Atoi(entry.Name()); err == nil {
			newest = max(newest, number)
		}
	}
	return newest
}
