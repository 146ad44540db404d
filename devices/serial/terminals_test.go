package serial_test

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"hallmark/devices/serial"
	"hallmark/fixtures"
	"hallmark/fixtures/prerequisite"
	"hallmark/fixtures/pty"
)

// The terminal programs that people leave open on a bench are Debian's own. Each is named with its process.
func TestATerminalProgramOnThePortIsNamed(t *testing.T) {
	for program, args := range map[string][]string{"picocom": {"--quiet"}, "tio": {}, "minicom": {"--noinit", "-D"}} {
		t.Run(program, func(t *testing.T) {
			path, port := prerequisite.Program(t, program, program), fixtures.TalkerOnPort(t, fixtures.Silent)
			user := fixtures.Must(pty.Open(80, 24))(t)
			cmd := exec.Command(path, append(args, port)...)
			cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = user.Program, user.Program, user.Program, pty.Attributes()
			cmd.Env = []string{"TERM=vt100", "HOME=" + t.TempDir(), "LC_ALL=C"}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				_ = cmd.Process.Kill()
				_ = cmd.Wait() // returns the kill as an error
				_ = user.Close()
			})
			config := serial.Config{Name: port, LockDir: t.TempDir()} // the lock files of minicom are not looked at
			want := fmt.Sprintf("port is in use by %s (pid %d)", program, cmd.Process.Pid)
			for end := time.Now().Add(time.Minute); !errors.Is(serial.Examine(config), serial.ErrBusy); time.Sleep(5 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("%s does not open the port", program)
				}
			}
			if opened, err := serial.Open(config); opened != nil || !strings.Contains(fmt.Sprint(err), want) {
				t.Errorf("%v, want %s", err, want)
			}
		})
	}
}
