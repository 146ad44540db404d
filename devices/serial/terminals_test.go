package serial_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"hallmark/devices/serial"
	"hallmark/fixtures"
	"hallmark/fixtures/prerequisite"
	"hallmark/fixtures/pty"
)

// nobody is Debian's user without rights.
const nobody = 65534

// The terminal programs that people leave open on a bench are Debian's own. Each is named with its process, whether root runs it
// or another user.
func TestATerminalProgramOnThePortIsNamed(t *testing.T) {
	users := map[string]uint32{"as this user": uint32(os.Getuid())}
	if os.Getuid() == 0 {
		users["as another user"] = nobody // only root starts programs of other users
	}
	for program, args := range map[string][]string{"picocom": {"--quiet"}, "tio": {}, "minicom": {"--noinit", "-D"}, "screen": {"-D", "-m"}} {
		for who, user := range users {
			t.Run(program+" "+who, func(t *testing.T) {
				path, port := prerequisite.Program(t, program, program), fixtures.TalkerOnPort(t, fixtures.Silent)
				pid := onTerminal(t, user, path, append(args, port)...)
				config := serial.Config{Name: port, LockDir: t.TempDir()} // the lock files of minicom are not looked at
				for end := time.Now().Add(time.Minute); !errors.Is(serial.Examine(config), serial.ErrBusy); time.Sleep(5 * time.Millisecond) {
					if time.Now().After(end) {
						t.Fatalf("%s does not open the port", program)
					}
				}
				want := fmt.Sprintf("port is in use by %s (pid %d)", program, pid)
				if opened, err := serial.Open(config); opened != nil || !strings.Contains(fmt.Sprint(err), want) {
					t.Errorf("%v, want %s", err, want)
				}
			})
		}
	}
}

// onTerminal starts a program on a terminal of its own, as a user, and returns its PID.
func onTerminal(t *testing.T, user uint32, path string, args ...string) int {
	t.Helper()
	terminal := fixtures.Must(pty.Open(80, 24))(t)
	home := fixtures.Must(os.MkdirTemp("", "home"))(t) // t.TempDir is closed to other users
	t.Cleanup(func() { os.RemoveAll(home) })
	for _, own := range []string{home, args[len(args)-1], terminal.Program.Name()} {
		if err := os.Chown(own, int(user), -1); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(path, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = terminal.Program, terminal.Program, terminal.Program, pty.Attributes()
	if user != uint32(os.Getuid()) {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: user, Gid: user}
	}
	cmd.Dir, cmd.Env = "/", []string{"TERM=vt100", "HOME=" + home, "SCREENDIR=" + home, "LC_ALL=C"}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // returns the kill as an error
		_ = terminal.Close()
	})
	return cmd.Process.Pid
}
