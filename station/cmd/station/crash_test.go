package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Each program ends with SIGABRT when it crashes, and never with 2, which is the exit code of a Reject. A SIGQUIT is a crash
// that a test can cause: Go's runtime ends the program as after a panic.
func TestACrashOfEachProgramEndsWithASignal(t *testing.T) {
	folder := plainPrograms(t)
	for _, program := range []string{"station", "verifier", "auditcheck"} {
		t.Run(program, func(t *testing.T) {
			cmd := exec.Command(filepath.Join(folder, program), "--help")
			cmd.Stdout = fullPipe(t)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			waitUntilItWrites(t, cmd.Process.Pid)
			if err := cmd.Process.Signal(syscall.SIGQUIT); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait() // its status is what counts
			status := cmd.ProcessState.Sys().(syscall.WaitStatus)
			if !status.Signaled() || status.Signal() != unix.SIGABRT || status.CoreDump() {
				t.Errorf("it ends as %v", cmd.ProcessState)
			}
		})
	}
}

// waitUntilItWrites waits until a thread of the process hangs in a write to its standard output (proc_pid_syscall(5)).
func waitUntilItWrites(t *testing.T, pid int) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/syscall", pid))
		if err != nil {
			t.Fatal(err)
		}
		for _, thread := range threads {
			call, _ := os.ReadFile(thread) // a thread may have ended meanwhile
			if strings.HasPrefix(string(call), fmt.Sprintf("%d 0x1 ", unix.SYS_WRITE)) {
				return
			}
		}
	}
	t.Fatal("it writes nothing")
}
