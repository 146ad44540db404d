package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A board on a serial port: the real firmware core behind a pseudo terminal,
// which the station opens as it opens a UART.
func TestBoardOnASerialPortPasses(t *testing.T) {
	needSoftHSM(t)
	firmware := firmwareFolder(t)
	dir := filepath.Join(t.TempDir(), "D")
	if code, _, errs := do(t, "init", "--dir", dir); code != exitPass {
		t.Fatal(errs)
	}
	port := boardOnPTY(t, filepath.Join(firmware, "posix", "hallmark-posix"))
	for range 2 { // the second time it has its certificate
		code, out, errs := do(t, "enrol", "--dir", dir, port)
		if code != exitPass || !strings.Contains(out, "1 Runs: 1 pass") {
			t.Fatalf("exit code %d\n%s%s", code, out, errs)
		}
	}
	if code, out, errs := do(t, "doctor", "--dir", dir, "--ports", port); code != exitPass {
		t.Errorf("doctor: exit code %d\n%s%s", code, out, errs)
	}
}

// boardOnPTY starts a board and gives the name of its port.
func boardOnPTY(t *testing.T, image string) string {
	t.Helper()
	board, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { board.Close() })
	// The station's end stays open between Runs: without a reader the kernel hangs the board's end up.
	station := otherEnd(t, board)
	raw(t, station)
	startBoard(t, image, board)
	return station.Name()
}

// otherEnd opens the terminal that belongs to a master.
func otherEnd(t *testing.T, master *os.File) *os.File {
	t.Helper()
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tty.Close() })
	return tty
}

// raw keeps the kernel from echoing octets before the station has opened the port.
func raw(t *testing.T, tty *os.File) {
	t.Helper()
	modes, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	modes.Iflag, modes.Oflag, modes.Lflag = 0, 0, 0
	if err := unix.IoctlSetTermios(int(tty.Fd()), unix.TCSETS, modes); err != nil {
		t.Fatal(err)
	}
}

func startBoard(t *testing.T, image string, line *os.File) {
	t.Helper()
	dir := t.TempDir()
	fuses, flash := filepath.Join(dir, "fuses.bin"), filepath.Join(dir, "flash.bin")
	for path, content := range map[string]string{fuses: "a HUK of thirty-two octets, herea hardware id 16", flash: strings.Repeat("\xff", 64<<10)} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(image, "-fuses", fuses, "-flash", flash, "-line", "3")
	cmd.ExtraFiles = []*os.File{line}
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}
