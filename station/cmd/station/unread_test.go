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
	"hallmark/station/instance"
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

// A reader that takes one line and goes, as `head -1` does, ends no command and decides no exit code.
func TestAReaderThatGoesAwayDecidesNoExitCode(t *testing.T) {
	o := &outage{shift: newShift(t)}
	if code, out, errs := do(t, "batch", "--dir", o.dir, "--firmware", o.firmware, "--boards", "posix:2"); code != exitPass {
		t.Fatal(out, errs)
	}
	for _, words := range []string{
		"doctor --ports=", "boards", "boards --json", "runs", "orders", "certificates list", "audit show", "audit verify", "audit checkpoint",
		"bays", "--version", "--help", "batch --help", "affected --operator " + instance.LocalUser(), "audit export --out OUT.tar", "backup --to OUT2.tar",
		"certificates export --out OUT3", "renew-verifier", "accept-registry --operator ann", "tui --plain --boards posix:1 --operator OP-1 --firmware FIRMWARE",
		"batch --boards posix:2 --firmware FIRMWARE", "enrol posix --firmware FIRMWARE",
	} {
		t.Run(words, func(t *testing.T) {
			r, w := smallPipe(t)
			r.Close()
			words := strings.NewReplacer("OUT", t.TempDir()+"/out", "FIRMWARE", o.firmware).Replace(words)
			cmd := exec.Command(o.binary, append(strings.Fields(words), "--dir", o.dir)...)
			var errs bytes.Buffer
			cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader("quit\n"), w, &errs
			err := cmd.Run()
			w.Close()
			if err != nil {
				t.Errorf("%v\n%s", err, errs.String())
			}
		})
	}
}
