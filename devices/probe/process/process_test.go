package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hallmark/devices/probe"
)

// The test binary is also a station that is killed while its programmer runs.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "station" {
		_, err := (&Command{Program: "/bin/sh", Args: []string{"-c", os.Args[2]}, Limit: time.Hour}).Run(context.Background(), func(line string) { fmt.Println(line) })
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func shell(script string, limit time.Duration) *Command {
	return &Command{Program: "/bin/sh", Args: []string{"-c", script}, Env: []string{"PATH=" + os.Getenv("PATH")}, Limit: limit}
}

func TestARun(t *testing.T) {
	var lines []string
	got, err := shell("echo one; printf '10%%\\r20%%\\r'; printf two >&2; exit 3", time.Minute).Run(t.Context(), func(line string) { lines = append(lines, line) })
	if err != nil || got.Exit != 3 || got.Text != "one\n10%\n20%\ntwo" {
		t.Errorf("got %+v, %v", got, err)
	}
	if want := []string{"one", "10%", "20%", "two"}; !slices.Equal(lines, want) {
		t.Errorf("lines %q, want %q", lines, want)
	}
}

func TestARunIsRefused(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("no program"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name    string
		command *Command
		want    error
	}{
		{"a program that is not there", &Command{Program: "no-such-programmer", Limit: time.Minute}, probe.ErrNoTool},
		{"a path that is not there", &Command{Program: "/no/such/programmer", Limit: time.Minute}, probe.ErrNoTool},
		{"a file that is no program", &Command{Program: text, Limit: time.Minute}, probe.ErrNoTool},
		{"a folder", &Command{Program: "/", Limit: time.Minute}, probe.ErrNoTool},
		{"one that never ends", shell("sleep 1000", 100*time.Millisecond), probe.ErrSilent},
		{"one that catches signals", shell("trap '' TERM INT HUP; while :; do sleep 1000; done", 100*time.Millisecond), probe.ErrSilent},
		{"one that prints 100 MB", shell("head -c 100000000 /dev/zero", time.Minute), probe.ErrUnclear},
		{"one that prints for ever", shell("yes", time.Minute), probe.ErrUnclear},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got, err := test.command.Run(t.Context(), nil); !errors.Is(err, test.want) || len(got.Text) > MaxOutput {
				t.Errorf("got %v with %d octets, want %v", err, len(got.Text), test.want)
			}
		})
	}
}

func TestAStopEndsTheProgrammer(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	_, err := shell("echo ready; sleep 1000", time.Hour).Run(ctx, func(string) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestAQuestionGetsNoAnswer(t *testing.T) {
	got, err := shell("read answer; echo \"read: $?\"; (: </dev/tty) 2>/dev/null || echo no terminal", time.Minute).Run(t.Context(), nil)
	if err != nil || !strings.Contains(got.Text, "read: 1\nno terminal") {
		t.Errorf("got %+v, %v", got, err)
	}
}

// pidIn waits until the file holds a process id.
func pidIn(t *testing.T, path string) int {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		text, err := os.ReadFile(path)
		if pid, bad := strconv.Atoi(strings.TrimSpace(string(text))); err == nil && bad == nil {
			return pid
		}
	}
	t.Fatalf("no process id in %s", path)
	return 0
}

// ends waits until the process has ended. A zombie has ended, too.
func ends(t *testing.T, pid int) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || bytes.Contains(status, []byte(") Z ")) {
			return
		}
	}
	t.Errorf("process %d is still there", pid)
}

func TestNoProcessIsLeftBehind(t *testing.T) {
	for _, test := range []struct{ name, script string }{
		{"a child in the background", "sleep 1000 & echo $! >%s; echo done"},
		{"a child that left the group and holds the output", "setsid sh -c 'echo $$ >%s; exec sleep 1000' & while ! test -s %[1]s; do :; done; echo done"},
		{"a child without the output", "sleep 1000 >/dev/null 2>&1 & echo $! >%s; echo done"},
		{"a child that left the group without the output", "setsid sh -c 'echo $$ >%s; exec sleep 1000' >/dev/null 2>&1 & while ! test -s %[1]s; do :; done; echo done"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "pid")
			got, err := shell(fmt.Sprintf(test.script, path), time.Minute).Run(t.Context(), nil)
			if err != nil || got.Text != "done\n" || got.Exit != 0 {
				t.Errorf("got %+v, %v", got, err)
			}
			ends(t, pidIn(t, path))
		})
	}
}

// Linux shows no environment of a process that is in execve(2). A process that starts itself again and again is there often.
func TestAProcessThatStartsAProgramIsNotOverlooked(t *testing.T) {
	again := filepath.Join(t.TempDir(), "again")
	if err := os.WriteFile(again, []byte("exec /bin/sh "+again+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 40 {
		path := filepath.Join(t.TempDir(), "pid")
		script := fmt.Sprintf("setsid sh -c 'echo $$ >%s; exec sh %s' >/dev/null 2>&1 & while ! test -s %[1]s; do :; done", path, again)
		if _, err := shell(script, time.Minute).Run(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		pid := pidIn(t, path)
		t.Cleanup(func() { _ = unix.Kill(pid, unix.SIGKILL) })
		if ends(t, pid); t.Failed() {
			return
		}
	}
}

// A programmer may run beside programs that have no environment, and its end does not wait for them.
func TestAProcessWithoutEnvironmentIsNotWaitedFor(t *testing.T) {
	bare := exec.Command("env", "-i", "sleep", "1000")
	if err := bare.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bare.Process.Kill(); bare.Wait() })
	for deadline, seen := time.Now().Add(30*time.Second), map[string]bool{}; startsProgram(bare.Process.Pid, seen); time.Sleep(execPause) {
		if time.Now().After(deadline) {
			t.Fatal("it counts as a process that starts a program")
		}
	}
}

// While Linux writes the environment of a program that starts, the environment has no octets for a moment: one look of 5,000 saw it. The test
// waits for ten of them.
func TestAProcessThatStartsAProgramHasAnEnvironment(t *testing.T) {
	again := filepath.Join(t.TempDir(), "again")
	if err := os.WriteFile(again, []byte("exec /bin/sh "+again+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	mark := "NAME=" + strings.Repeat("long ", 1000)
	starts := exec.Command("/bin/sh", again)
	starts.Env = []string{"FIRST=" + strings.Repeat("long ", 5000), mark}
	if err := starts.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { starts.Process.Kill(); starts.Wait() })
	for bare := map[string]bool{}; len(bare) < 10; {
		environment, err := environmentOf(starts.Process.Pid)
		if err != nil || len(environment) > 0 && !hasVariable(environment, mark) {
			t.Fatalf("an environment of %d octets has no mark, %v", len(environment), err)
		}
		seen := len(bare)
		if len(environment) == 0 && !startsProgram(starts.Process.Pid, bare) {
			t.Fatal("it counts as a process whose environment was cleared")
		}
		if len(bare) > seen {
			time.Sleep(execPause)
		}
	}
}

func TestTheProgrammerInheritsNothing(t *testing.T) {
	leak, err := syscall.Open(os.DevNull, syscall.O_RDONLY, 0) // without O_CLOEXEC, as C libraries open files
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(leak) })
	t.Setenv("SECRET", "1234")
	got, err := shell("for f in /proc/$$/fd/*; do test ! -e $f || echo ${f##*/}; done; env | grep SECRET", time.Minute).Run(t.Context(), nil)
	if fields := strings.Fields(got.Text); err != nil || !slices.Equal(fields, []string{"0", "1", "2"}) {
		t.Errorf("it has %q, %v", got.Text, err)
	}
}

func TestTheProgrammerDiesWithTheStation(t *testing.T) {
	for _, test := range []struct{ name, script string }{
		{"the programmer", "echo $$ >%s; exec sleep 1000"},
		{"a process that the programmer has started", "sleep 1000 >/dev/null 2>&1 & echo $! >%s; wait"},
		{"one that ignores signals", "sh -c 'trap \"\" HUP TERM INT PIPE; echo $$ >%s; while :; do sleep 1000; done' >/dev/null 2>&1 & wait"},
		{"one that left the group", "setsid sh -c 'echo $$ >%s; exec sleep 1000' >/dev/null 2>&1 & wait"},
		{"one whose parent has ended", "sh -c 'sleep 1000 >/dev/null 2>&1 & echo $! >%s'; exec sleep 1000"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "pid")
			station := exec.Command(os.Args[0], "station", fmt.Sprintf(test.script, path))
			if err := station.Start(); err != nil {
				t.Fatal(err)
			}
			pid := pidIn(t, path)
			if err := station.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			if err := station.Wait(); err == nil {
				t.Error("the station was not killed")
			}
			ends(t, pid)
		})
	}
}

// A station can be killed before it tells the watcher which group the programmer has.
func TestAWatcherWithoutAGroupKillsTheProgrammer(t *testing.T) {
	w, err := startWatcher()
	if err != nil {
		t.Fatal(err)
	}
	programmer := exec.Command("sleep", "1000")
	programmer.Env = []string{w.mark()}
	if err := errors.Join(programmer.Start(), w.input.Close(), w.cmd.Wait()); err != nil {
		t.Fatal(err)
	}
	ends(t, programmer.Process.Pid)
	if err := programmer.Wait(); err == nil {
		t.Error("the programmer was not killed")
	}
}

// A station lives for months, so no run may leave a descriptor, a goroutine or a process.
func TestARunLeavesNothingInTheStation(t *testing.T) {
	held := func() (descriptors, goroutines int) {
		all, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(all), runtime.NumGoroutine()
	}
	if _, err := shell("true", time.Minute).Run(t.Context(), nil); err != nil { // what the runtime opens once
		t.Fatal(err)
	}
	descriptors, goroutines := held()
	for _, command := range []*Command{shell("true", time.Minute), shell("sleep 1000", 50*time.Millisecond), {Program: "/", Limit: time.Minute}, {Program: "/bin/true", Dir: "/no/such/directory", Limit: time.Minute}} {
		_, err := command.Run(t.Context(), nil)
		if _, none := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); !errors.Is(none, syscall.ECHILD) {
			t.Errorf("%q, which ended with %v, leaves a process: %v", command.Args, err, none)
		}
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		d, g := held()
		if d <= descriptors && g <= goroutines {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d descriptors and %d goroutines, before %d and %d", d, g, descriptors, goroutines)
		}
	}
}

func TestAFileThatAProgrammerLeavesIsBounded(t *testing.T) {
	for name, leave := range map[string]func(path string) error{
		"a file without end":  func(path string) error { return errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, 1<<42)) },
		"a pipe that waits":   func(path string) error { return unix.Mkfifo(path, 0o600) },
		"a link to a device":  func(path string) error { return os.Symlink("/dev/zero", path) },
		"a directory":         func(path string) error { return os.Mkdir(path, 0o700) },
		"a link that circles": func(path string) error { return os.Symlink(path, path) },
	} {
		path := filepath.Join(t.TempDir(), "dump.bin")
		if err := leave(path); err != nil {
			t.Fatal(err)
		}
		if data, err := ReadIfThere(path); !errors.Is(err, probe.ErrUnclear) || len(data) > 0 {
			t.Errorf("%s: %d octets, %v", name, len(data), err)
		}
	}
	if data, err := ReadIfThere(filepath.Join(t.TempDir(), "dump.bin")); err != nil || data != nil {
		t.Errorf("no file: %d octets, %v", len(data), err)
	}
}

func TestAProgrammerFillsNoDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	for size, exit := range map[string]int{"256M": 0, "257M": -1} {
		got, err := shell(`while test "$(ulimit -f)" = unlimited; do :; done; exec truncate -s `+size+" "+path, time.Minute).Run(t.Context(), nil)
		if err != nil || (got.Exit == 0) != (exit == 0) {
			t.Errorf("%s: %+v, %v", size, got, err)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Size() > maxWritten {
		t.Errorf("%v, %v", info.Size(), err)
	}
}
