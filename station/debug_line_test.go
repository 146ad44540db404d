package station_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"hallmark/devices"
	"hallmark/devices/serial"
	"hallmark/devices/serial/remote"
	"hallmark/station"
	"hallmark/station/reason"
)

// A port that does not work shows nothing about the board. If it counted as a blank board, a board that is done would be erased.
func TestAPortThatDoesNotWorkLeadsToNoFlash(t *testing.T) {
	for _, broken := range []error{
		&serial.InUseError{User: serial.User{Program: "picocom", PID: 4711}}, remote.ErrUnfit, remote.ErrUnreachable,
		devices.ErrLineClosed, devices.ErrLineStuck, errProbeLost, errors.New("an error that nobody thought of"),
	} {
		t.Run(broken.Error(), func(t *testing.T) {
			w := withPort(t)
			w.port.setup.Store, w.port.image, w.done[w.identity.ID] = false, [32]byte{2}, time.Now()
			w.hook = func(call string) error {
				if call != "Identify" {
					return nil
				}
				return fmt.Errorf("asking who the board is: %w", broken)
			}
			w.silent = false
			run := w.enrol(t.Context(), w.locking())
			if run.Ending != station.Fault || !errors.Is(run.Err, broken) || slices.Contains(w.calls, "Flash") {
				t.Errorf("ending %s %q: %v; %d calls", run.Ending, run.Reason, run.Err, len(w.calls))
			}
			if row := reason.Of(broken); row.Word != "fault" && run.Reason != row.Word {
				t.Errorf("reason %q, want %q", run.Reason, row.Word)
			}
		})
	}
}

// A blank board is silent, and a board with other firmware says anything.
func TestABoardWithOtherFirmwareIsFlashed(t *testing.T) {
	for _, says := range []error{
		devices.ErrNoAnswer, devices.ErrGarbled, devices.ErrConsoleText, devices.ErrDamagedFrames, devices.ErrOtherServer, devices.ErrLoopBack,
		devices.ErrMalformedAnswer, devices.ErrProtocolVersion, devices.ErrBufferTooSmall, &devices.Refusal{RC: 8}, context.DeadlineExceeded,
	} {
		t.Run(says.Error(), func(t *testing.T) {
			w := withPort(t)
			w.silent, w.port.image = false, [32]byte{2}
			w.hook = func(call string) error {
				if call == "Identify" && w.port.image != provisioning {
					return fmt.Errorf("asking who the board is: %w", says)
				}
				return nil
			}
			if run := w.enrol(t.Context(), w.locking()); run.Ending != station.Pass || run.Flash.Held {
				t.Errorf("ending %s %q: %v; %d calls", run.Ending, run.Reason, run.Err, len(w.calls))
			}
		})
	}
}

// An ownUSB is a board with a USB interface of its own: its port disappears for good when the board restarts and nobody expects that.
type ownUSB struct {
	*fakes
	until time.Time
	gone  bool

	expected []time.Duration // at each restart by the probe: how long the port may be gone from then on
}

func (b *ownUSB) ExpectRestart(within time.Duration) { b.until = time.Now().Add(within) }

func TestABoardWithUSBOfItsOwnIsExpectedBackAfterTheProbe(t *testing.T) {
	for name, prepare := range map[string]func(w *fakes){
		"flash":   func(w *fakes) { w.silent, w.port.image = false, [32]byte{2} },
		"restart": func(w *fakes) { w.port.image = provisioning },
	} {
		t.Run(name, func(t *testing.T) {
			w := withPort(t)
			prepare(w)
			b := &ownUSB{fakes: w}
			w.hook = func(call string) error {
				if call == "Restart" {
					b.expected = append(b.expected, time.Until(b.until))
				}
				b.gone = b.gone || slices.Contains([]string{"Flash", "Restart", "Lock"}, call) && !time.Now().Before(b.until)
				if b.gone && call == "Identify" {
					return devices.ErrLineClosed
				}
				return nil
			}
			s := w.locking()
			run, err := s.NewRun("bay 1", "operator")
			if err != nil {
				t.Fatal(err)
			}
			if err := s.EnrolWith(t.Context(), b, w.port, run); err != nil || run.Ending != station.Pass || b.gone {
				t.Errorf("ending %s %q: %v, %v; the port is gone: %t", run.Ending, run.Reason, run.Err, err, b.gone)
			}
			if len(b.expected) == 0 || slices.Min(b.expected) < 50*time.Second { // until the end of the step: its shortest bound is a minute
				t.Errorf("the restarts are expected within %v", b.expected)
			}
			if !slices.Contains(w.calls, "Lock") || time.Now().Before(b.until) {
				t.Errorf("the restart is expected until %v; calls %v", b.until, w.calls)
			}
		})
	}
}

// A settlingBoard has a port that was just opened. The time for the answer begins behind the settle time.
type settlingBoard struct {
	*fakes
	settled bool
}

func (b *settlingBoard) Settle(ctx context.Context) error {
	if end, bounded := ctx.Deadline(); bounded && time.Until(end) < time.Second {
		return context.DeadlineExceeded
	}
	b.settled = true
	return nil
}

func TestAPortThatSettlesLooksLikeNoBlankBoard(t *testing.T) {
	w := withPort(t)
	w.silent, w.identity.FirmwareHash = false, provisioning
	b := &settlingBoard{fakes: w}
	s := w.locking()
	run, err := s.NewRun("bay 1", "operator")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.EnrolWith(t.Context(), b, w.port, run); err != nil || run.Ending != station.Pass || !b.settled || slices.Contains(w.calls, "Flash") {
		t.Errorf("ending %s %q: %v, %v; settled: %t, calls %v", run.Ending, run.Reason, run.Err, err, b.settled, w.calls)
	}
}
