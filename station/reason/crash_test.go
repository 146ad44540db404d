package reason_test

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hallmark/station/reason"
)

const crashing = "HALLMARK_TEST_CRASH"

// A panic in any goroutine ends the program with SIGABRT, never with the exit code of a Reject,
// and leaves no core, which could hold a PIN.
func TestACrashIsNoVerdict(t *testing.T) {
	if os.Getenv(crashing) != "" {
		crash(t)
	}
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^TestACrashIsNoVerdict$")
	cmd.Env, cmd.Dir = append(os.Environ(), crashing+"=1"), dir
	var exit *exec.ExitError
	if out, err := cmd.CombinedOutput(); !errors.As(err, &exit) {
		t.Fatalf("%v\n%s", err, out)
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() || status.Signal() != unix.SIGABRT || status.CoreDump() {
		t.Errorf("it ends as %v, core %t", exit, status.CoreDump())
	}
}

func crash(t *testing.T) {
	if err := reason.EndCrashesBySignal(); err != nil {
		t.Fatal(err)
	}
	go func() { panic("a mistake of the program") }()
	time.Sleep(time.Minute)
}
