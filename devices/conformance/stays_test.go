package conformance

import (
	"bufio"
	"crypto/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"hallmark/devices/emulated"
	"hallmark/fixtures/prerequisite"
)

// A board at a port is the same board in each check.
func TestABoardThatStaysConforms(t *testing.T) {
	t.Parallel()
	tty := plugIn(t)
	open, err := parse("port:"+tty, silicon{baud: 115200})
	if err != nil {
		t.Fatal(err)
	}
	TestBoard(t, open(t))
}

// plugIn starts a board on a pseudo-terminal, which exists until the test ends.
func plugIn(t *testing.T) (tty string) {
	t.Helper()
	image := prerequisite.Firmware(t, filepath.Join(builds, emulated.ImageName(emulated.Posix, "")))
	dir := t.TempDir()
	fuses := make([]byte, emulated.FusesSize)
	if _, err := rand.Read(fuses); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "fuses"), fuses, 0o600); err != nil {
		t.Fatal(err)
	}
	board := exec.Command(image, "-fuses", filepath.Join(dir, "fuses"), "-flash", filepath.Join(dir, "flash"), "-pty")
	board.Stderr = os.Stderr
	out, err := board.StdoutPipe()
	if err == nil {
		err = board.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = board.Process.Kill() // fails if the process has ended
		_ = board.Wait()         // the error says that the process was killed
	})
	tty, err = bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(tty)
}
