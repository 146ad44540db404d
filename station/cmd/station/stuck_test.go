package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hallmark/fixtures"
	"hallmark/station/instance"
)

// fullPipe returns the end of a pipe that takes no octet, because nobody reads the other end.
func fullPipe(t *testing.T) *os.File {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	size := fixtures.Must(unix.FcntlInt(w.Fd(), unix.F_SETPIPE_SZ, os.Getpagesize()))(t)
	fixtures.Must(w.Write(bytes.Repeat([]byte{'.'}, size)))(t)
	return w
}

func TestLinesThatNobodyReadsStopNoRunAndNoSignal(t *testing.T) {
	o := &outage{shift: newShift(t)}
	cmd := exec.Command(o.binary, "--plain", "--dir", o.dir, "--firmware", o.firmware, "--boards", "posix:2", "--operator", "OP-1")
	cmd.Stdout, cmd.Stderr = fullPipe(t), fullPipe(t)
	commands := fixtures.Must(cmd.StdinPipe())(t)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"1\n", "2\n", "nonsense\n", "1\n"} {
		before := o.passes()
		fixtures.Must(io.WriteString(commands, command))(t)
		if command != "nonsense\n" {
			o.until("the board passes", func() bool { return o.passes() > before })
		}
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	defer kill.Stop()
	_ = cmd.Wait() // the exit code says the same
	if code := cmd.ProcessState.ExitCode(); code != exitAborted {
		t.Errorf("exit code %d", code)
	}
	inOrder(t, o.types(), "station.stop success "+instance.LocalUser(), "log.shutdown success station")
}

func TestADoctorWhoseOutputNobodyReadsEnds(t *testing.T) {
	o := &outage{shift: newShift(t)}
	cmd := exec.Command(o.binary, "doctor", "--dir", o.dir, "--ports", "")
	cmd.Stdout, cmd.Stderr = fullPipe(t), fullPipe(t)
	kill := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	defer kill.Stop()
	if err := cmd.Run(); err == nil || cmd.ProcessState.ExitCode() != exitFault {
		t.Errorf("exit code %d (%v)", cmd.ProcessState.ExitCode(), err)
	}
}

func TestATerminalAfterXOFFStopsNoRunAndNoSignal(t *testing.T) {
	o := &outage{shift: newShift(t)}
	t.Setenv("TERM", "xterm-256color")
	person := startAtTerminal(t, exec.Command(o.binary, "--dir", o.dir, "--firmware", o.firmware, "--boards", "posix:2", "--operator", "OP-1", "--bell"), "")
	window := unix.Winsize{Row: 24, Col: 80}
	if err := unix.IoctlSetWinsize(int(person.screen.Fd()), unix.TIOCSWINSZ, &window); err != nil {
		t.Fatal(err)
	}
	person.readUntil("self-test")
	person.readUntil("to begin the shift")
	if err := unix.IoctlSetInt(int(person.tty.Fd()), unix.TCXONC, unix.TCOOFF); err != nil {
		t.Fatal(err)
	}
	person.types(goKey)
	for _, bay := range []string{"1", "2", "1"} {
		before := o.passes()
		var pressed time.Time
		o.until("the board passes", func() bool {
			if time.Since(pressed) > time.Second { // keys that come together are a scan
				person.types(bay + goKey) // a key during a check or a Run does nothing
				pressed = time.Now()
			}
			return o.passes() > before
		})
	}
	if err := person.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := person.leave(); code != exitAborted {
		t.Errorf("exit code %d", code)
	}
}
