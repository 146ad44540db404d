package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hallmark/station"
)

// smallPipe returns a pipe that is full after one page. Nobody reads its end r.
func smallPipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	if _, err := unix.FcntlInt(w.Fd(), unix.F_SETPIPE_SZ, 4096); err != nil {
		t.Fatal(err)
	}
	return r, w
}

// started starts a batch whose outputs go to these writers, and closes the writers here.
func (o *outage) started(stdout, stderr *os.File, args ...string) *exec.Cmd {
	o.t.Helper()
	cmd := exec.Command(o.binary, append([]string{"batch", "--dir", o.dir, "--firmware", o.firmware, "--boards", "posix:4"}, args...)...)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	if err := cmd.Start(); err != nil {
		o.t.Fatal(err)
	}
	stdout.Close()
	stderr.Close()
	return cmd
}

func file(t *testing.T) *os.File {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "output")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestOutputThatNobodyReadsStopsNoRunAndNoSignal(t *testing.T) {
	for _, test := range []struct {
		name    string
		count   string
		outputs func() (stdout, stderr *os.File)
		signal  bool
		code    int
		says    string // on stderr, if it is read
	}{
		{"progress", "150", func() (*os.File, *os.File) { _, w := smallPipe(t); return file(t), w }, false, exitPass, ""},
		{"table", "150", func() (*os.File, *os.File) { _, w := smallPipe(t); return w, file(t) }, false, exitFault, "station: writing to standard output: nobody reads it"},
		{"progress, and a signal", "4000", func() (*os.File, *os.File) { _, w := smallPipe(t); return file(t), w }, true, exitAborted, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := &outage{shift: newShift(t)}
			stdout, stderr := test.outputs()
			name := stderr.Name()
			cmd := o.started(stdout, stderr, "--count", test.count)
			o.until("150 boards pass", func() bool { return o.passes() >= 150 })
			if test.signal {
				if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
					t.Fatal(err)
				}
			}
			stop := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
			defer stop.Stop()
			err := cmd.Wait()
			if code := cmd.ProcessState.ExitCode(); code != test.code {
				t.Errorf("exit code %d (%v), want %d", code, err, test.code)
			}
			if test.says != "" {
				if text, err := os.ReadFile(name); err != nil || !strings.Contains(string(text), test.says) {
					t.Errorf("stderr has %q, %v; want %q", text, err, test.says)
				}
			}
			inOrder(t, o.types(), "log.checkpoint success station", "log.shutdown success station")
		})
	}
}

// A reader of JSON lines that comes late gets each line.
func TestJSONLinesWaitForALateReader(t *testing.T) {
	o := &outage{shift: newShift(t)}
	r, w := smallPipe(t)
	cmd := o.started(w, file(t), "--count", "40", "--jsonl", "-")
	o.until("40 boards pass", func() bool { return o.passes() >= 40 })
	text, err := io.ReadAll(r)
	if err != nil || cmd.Wait() != nil || bytes.Count(text, []byte(`"ending":"`+string(station.Pass)+`"`)) != 40 || bytes.Count(text, []byte("\n")) != 40 {
		t.Errorf("%v, %v, %d octets", err, cmd.ProcessState, len(text))
	}
}
