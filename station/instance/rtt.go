package instance

import (
	"errors"
	"fmt"
	"io"

	"hallmark/configs"
	"hallmark/devices"
	"hallmark/devices/probe/openocd"
	"hallmark/station/reason"
)

var (
	errNoRTT      = errors.New("the board definition does not say where the firmware has its RTT control block: write rtt: {address, size} into it, or name a UART in the bay")
	errNoRTTChip  = errors.New("RTT needs OpenOCD, and the board definition has no probe.openocd: fill it, or name a UART in the bay")
	errLockedRTT  = errors.New("boards.lock is true in station.yaml, and a locked board cannot be reached over RTT, so no Run could pass: name a UART in the bay, or leave boards.lock out")
	errRTTOnBoard = errors.New("RTT needs a board definition: write a bay with port: rtt:SERIAL and board: NAME into station.yaml")
)

// overRTT reports whether a probe carries SMP for the boards in a bay.
func (b *BaySpec) overRTT() bool { return configs.IsRTT(b.Port) }

// link returns the RTT of a bay; nil: the bay has a UART.
func (f *Files) link(bay BaySpec) (*openocd.Link, error) {
	switch {
	case !bay.overRTT():
		return nil, nil
	case !bay.Board.RTT.Known():
		return nil, reason.Usage(fmt.Errorf("bay %s, board definition %s: %w", bay.Name, bay.Board.Name, errNoRTT))
	case !bay.Board.Probe.OpenOCD.Configured():
		return nil, reason.Usage(fmt.Errorf("bay %s, board definition %s: %w", bay.Name, bay.Board.Name, errNoRTTChip))
	case f.Config.Boards.Lock:
		return nil, reason.Usage(fmt.Errorf("bay %s: %w", bay.Name, errLockedRTT))
	}
	return newOpenOCD(bay.Board).Link(selection(bay), openocd.RTT(bay.Board.RTT)), nil
}

// openRTT opens the transport of a bay whose probe carries SMP. No probe is asked yet.
func (s *BoardSource) openRTT(bay BaySpec, options devices.Options) (*devices.Client, io.Closer, error) {
	transport, err := s.links[bay.Name].Open()
	if err != nil {
		return nil, nil, err
	}
	client := devices.NewClient(transport, options)
	return client, client, nil
}
