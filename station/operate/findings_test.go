package operate

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"hallmark/devices"
	"hallmark/devices/serial"
	"hallmark/fixtures"
	"hallmark/station"
	"hallmark/station/reason"
)

// The default time-outs of client, step and Run together name what sits on a port within five seconds. The test allows a
// busy machine more, but less than the time-out of the step, which would give the wrong name.
func TestWhatSitsOnAPortIsNamedSoon(t *testing.T) {
	const soon = 15 * time.Second
	tests := []struct {
		name   string
		talker fixtures.Talker
		want   error
		heard  string
		detail string
	}{
		{"nothing", fixtures.Silent, devices.ErrNoAnswer, "asked 4 times; heard nothing", ""},
		{"another baud rate", fixtures.Garbage, devices.ErrGarbled, "00 f8 80 1e", "00 f8 80 1e"},
		{"a shell", fixtures.Shell, devices.ErrConsoleText, `a shell: "uart:~$"`, "uart:~$"},
		{"a login", fixtures.Login, devices.ErrConsoleText, `a login: "board login:"`, "board login:"},
		{"a boot loop", fixtures.BootLoop, devices.ErrConsoleText, "again and again", "HARD FAULT"},
		{"a loop-back plug", fixtures.LoopBack, devices.ErrLoopBack, "of the station", ""},
		{"MCUmgr without our group", fixtures.MCUmgr, devices.ErrOtherServer, "rc 8", ""},
		{"MCUboot's recovery", fixtures.MCUboot, devices.ErrOtherServer, "answers of its other groups", ""},
		{"line ends that are translated", fixtures.TranslatedLines, devices.ErrDamagedFrames, "CR LF", "CR LF"},
		{"a log in the frames", fixtures.LogsInFrames, devices.ErrDamagedFrames, "sensor is late", "sensor is late"},
	}
	var ports []string
	for _, test := range tests {
		ports = append(ports, fixtures.TalkerOnPort(t, test.talker))
	}
	runs := runsOn(t, ports...)
	for i, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			run := runs[ports[i]]
			if !errors.Is(run.Err, test.want) || run.Ending != station.Fault || run.Reason != reason.Of(test.want).Word {
				t.Errorf("%s as %q, want %v: %v", run.Ending, run.Reason, test.want, run.Err)
			}
			if text := fmt.Sprint(run.Err); !strings.Contains(text, test.heard) {
				t.Errorf("%q does not say %q", text, test.heard)
			}
			if got := reason.Detail(run.Err); !strings.Contains(got, test.detail) || (got == "") != (test.detail == "") {
				t.Errorf("detail %q, want %q", got, test.detail)
			}
			if took := run.Finished.Sub(run.Started); took > soon {
				t.Errorf("took %v", took)
			}
		})
	}
}

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
	ended := startOn(t, port)
	<-asked
	name, pid := fixtures.Reader(t, port)
	run := <-ended
	want := fmt.Sprintf("port is in use by %s (pid %d)", name, pid)
	if run.Reason != "port-in-use" || !strings.Contains(fmt.Sprint(run.Err), want) {
		t.Errorf("%s: %v, want %s", run.Reason, run.Err, want)
	}
}

// runOn does a Run on a port, and returns the Run.
func runOn(t *testing.T, port string) station.Run {
	t.Helper()
	return runsOn(t, port)[port]
}

// runsOn does a Run on each port at the same time, and returns the Runs by their bays.
func runsOn(t *testing.T, ports ...string) map[string]station.Run {
	t.Helper()
	ended := startOn(t, ports...)
	runs := map[string]station.Run{}
	for range ports {
		run := <-ended
		runs[run.Bay] = run
	}
	return runs
}

// startOn starts a Run on each port.
func startOn(t *testing.T, ports ...string) <-chan station.Run {
	t.Helper()
	s := ready(t, strings.Join(ports, ","))
	ended := make(chan station.Run, len(ports))
	s.events = func(e station.Event) {
		if e.Kind == station.RunEnded {
			ended <- e.Snap
		}
	}
	for i := range ports {
		s.starts(i+1, Start{})
	}
	return ended
}
