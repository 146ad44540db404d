package serial_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"hallmark/devices/serial"
	"hallmark/fixtures"
	"hallmark/fixtures/prerequisite"
)

// The terminal programs that people leave open on a bench are Debian's own. Each is named with its process, whether root runs it
// or another user.
func TestATerminalProgramOnThePortIsNamed(t *testing.T) {
	for program, args := range map[string][]string{"picocom": {"--quiet"}, "tio": {}, "minicom": {"--noinit", "-D"}, "screen": {"-D", "-m"}} {
		for who, user := range fixtures.Users() {
			t.Run(program+" "+who, func(t *testing.T) {
				path, port := prerequisite.Program(t, program, program), fixtures.TalkerOnPort(t, fixtures.Silent)
				pid := fixtures.OnTerminal(t, user, path, append(args, port)...)
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
