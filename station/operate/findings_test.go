package operate

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hallmark/devices"
	"hallmark/devices/emulated"
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
		ports = append(ports, cable(t, fixtures.TalkerOnPort(t, test.talker)))
	}
	s, ended := startOn(t, ports...)
	runs := map[string]station.Run{}
	for range ports {
		run := <-ended
		runs[run.Bay] = run
	}
	s.waits()
	good := fixtures.BoardOnPort(t, fixtures.Firmware(t, "../..", emulated.Posix, ""))
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
			s.must(errors.Join(os.Remove(ports[i]), os.Symlink(good, ports[i]))) // the next board in this bay
			s.starts(i+1, Start{})
			s.waits()
			s.last(i+1, station.Pass)
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

// cable makes a name for a port. Another port can get the name later, as the next board in a bay.
func cable(t *testing.T, port string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "by-path")
	if err := os.Symlink(port, name); err != nil {
		t.Fatal(err)
	}
	return name
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
