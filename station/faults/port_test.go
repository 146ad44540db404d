package faults_test

import (
	"strings"
	"sync"
	"testing"

	"hallmark/devices"
	"hallmark/devices/emulated"
	"hallmark/fixtures"
	"hallmark/station"
)

// onPorts runs a test with boards behind a tty. The station opens the tty in the same way as a
// UART.
func onPorts(t *testing.T, test func(t *testing.T, board emulated.Config)) {
	for _, board := range []emulated.Config{
		{Kind: emulated.Posix}, {Kind: emulated.QEMU, Machine: "mps2-an385"}, {Kind: emulated.QEMU, Machine: "mps2-an521"},
	} {
		t.Run(strings.TrimSpace(board.Kind.String()+" "+board.Machine), func(t *testing.T) {
			board.Image, board.Pty = fixtures.Firmware(t, "../..", board.Kind, board.Machine), true
			test(t, board)
		})
	}
}

func TestABoardBehindAPortPasses(t *testing.T) {
	l := newEnvironment(t, nil)
	onPorts(t, func(t *testing.T, board emulated.Config) {
		bay := l.bay("bay")
		board.Dir = t.TempDir()
		p := l.plug(t, board, longTimeout, nil)
		first := bay.enrol(t, p, p)
		ends(t, first, station.Pass, "")
		if first.Wire.Retries != 0 {
			t.Errorf("%d retries on a good port", first.Wire.Retries)
		}
		p = l.plug(t, board, longTimeout, nil)
		again := bay.enrol(t, p, p)
		ends(t, again, station.Pass, "")
		same(t, first, again)
		l.checkInvariants(t)
	})
}

// TestAPortMayBeUnpluggedInAnyStep unplugs the adapter, which also cuts the board's power.
func TestAPortMayBeUnpluggedInAnyStep(t *testing.T) {
	var pull func()
	var at string
	l := newEnvironment(t, func(l *environment) {
		l.changed = func(c *station.Config) {
			c.Events = func(e station.Event) {
				if e.Kind == station.StepStarted && e.Step == at {
					pull()
				}
			}
		}
	})
	steps := []string{"identify", "request", "write", "reset", "read back", "handshake"} // the steps that talk to the board
	onPorts(t, func(t *testing.T, board emulated.Config) {
		these := steps
		if board.Kind == emulated.QEMU {
			these = steps[len(steps)-1:] // a QEMU board is slow, so one step is enough
		}
		for _, step := range these {
			t.Run(step, func(t *testing.T) {
				bay := l.bay("bay")
				board.Dir = t.TempDir()
				p := l.plug(t, board, longTimeout, nil)
				at, pull = step, sync.OnceFunc(func() {
					if err := p.power.PowerCut(); err != nil {
						t.Error(err)
					}
				})
				run := bay.enrol(t, p, p)
				at = ""
				ends(t, run, station.Fault, devices.ErrLineClosed.Word())
				l.passesAgainAs(t, bay, board, run)
				l.checkInvariants(t)
			})
		}
	})
}
