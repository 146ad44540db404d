package operate

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"hallmark/devices/emulated"
	"hallmark/devices/serial"
	"hallmark/fixtures"
	"hallmark/station"
)

func TestAProgramThatReadsThePortIsNamed(t *testing.T) {
	port := fixtures.TalkerOnPort(t, fixtures.Silent)
	name, pid := fixtures.Reader(t, port)
	run := runOn(t, port)
	want := fmt.Sprintf("port is in use by %s (pid %d)", name, pid)
	if !errors.Is(run.Err, serial.ErrBusy) || run.Reason != "port-in-use" || !strings.Contains(fmt.Sprint(run.Err), want) {
		t.Errorf("%s: %v, want %s", run.Reason, run.Err, want)
	}
}

func TestAProgramThatComesInTheMiddleIsNamed(t *testing.T) {
	asked := make(chan struct{})
	port := fixtures.TalkerOnPort(t, func(line io.ReadWriter) {
		_, _ = line.Read(make([]byte, 1)) // the station has the port open now
		close(asked)
	})
	_, ended := startOn(t, port)
	<-asked
	name, pid := fixtures.Reader(t, port)
	run := <-ended
	want := fmt.Sprintf("port is in use by %s (pid %d)", name, pid)
	if run.Reason != "port-in-use" || !strings.Contains(fmt.Sprint(run.Err), want) {
		t.Errorf("%s: %v, want %s", run.Reason, run.Err, want)
	}
}

// A board that restarts when its port is opened loses what the station sends in the first seconds.
func TestABoardThatRestartsWhenItsPortIsOpenedPasses(t *testing.T) {
	image := fixtures.Firmware(t, "../..", emulated.Posix, "")
	soon, late := fixtures.RestartsOnOpen(t, image, 200*time.Millisecond).Port(), fixtures.RestartsOnOpen(t, image, 1500*time.Millisecond).Port()
	_, ended := startOn(t, soon, late)
	for range 2 {
		if run := <-ended; run.Ending != station.Pass || run.Bay == late && run.Wire.Retries == 0 {
			t.Errorf("%s, %s (%s) after %d retries: %v", run.Bay, run.Ending, run.Reason, run.Wire.Retries, run.Err)
		}
	}
}

// runOn does a Run on a port, and returns the Run.
func runOn(t *testing.T, port string) station.Run {
	t.Helper()
	_, ended := startOn(t, port)
	return <-ended
}

// startOn starts a Run on each port at the same time.
func startOn(t *testing.T, ports ...string) (*environment, <-chan station.Run) {
	t.Helper()
	s := ready(t, strings.Join(ports, ","))
	ended := make(chan station.Run, 2*len(ports))
	s.events = func(e station.Event) {
		if e.Kind == station.RunEnded {
			ended <- e.Snap
		}
	}
	for i := range ports {
		s.starts(i+1, Start{})
	}
	return s, ended
}
