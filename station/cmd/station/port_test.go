package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"hallmark/fixtures"
)

// The board is the real firmware core behind a pseudo terminal. The station opens the pseudo
// terminal in the same way as a UART.
func TestBoardOnASerialPortPasses(t *testing.T) {
	needSoftHSM(t)
	firmware := firmwareFolder(t)
	dir := filepath.Join(t.TempDir(), "D")
	if code, _, errs := do(t, "init", "--dir", dir); code != exitPass {
		t.Fatal(errs)
	}
	port := fixtures.BoardOnPort(t, filepath.Join(firmware, "posix", "hallmark-posix"))
	for range 2 { // the second time the board already has its certificate
		code, out, errs := do(t, "enrol", "--dir", dir, port)
		if code != exitPass || !strings.Contains(out, "1 Run: 1 pass") {
			t.Fatalf("exit code %d\n%s%s", code, out, errs)
		}
	}
	if code, out, errs := do(t, "doctor", "--dir", dir, "--ports", port); code != exitPass {
		t.Errorf("doctor: exit code %d\n%s%s", code, out, errs)
	}
}

// The board is behind Debian's ser2net, once as raw octets and once with RFC 2217.
func TestABoardBehindAServerOfPortsPasses(t *testing.T) {
	needSoftHSM(t)
	image := filepath.Join(firmwareFolder(t), "posix", "hallmark-posix")
	for how, scheme := range map[string]string{"tcp": "tcp://", "telnet(rfc2217),tcp": "rfc2217://"} {
		dir := filepath.Join(t.TempDir(), "D")
		if code, _, errs := do(t, "init", "--dir", dir); code != exitPass {
			t.Fatal(errs)
		}
		address := scheme + fixtures.ServePort(t, fixtures.BoardOnPort(t, image), how)
		for range 2 { // the second time the board already has its certificate
			if code, out, errs := do(t, "enrol", "--dir", dir, address); code != exitPass || !strings.Contains(out, "1 Run: 1 pass") {
				t.Fatalf("%s: exit code %d\n%s%s", address, code, out, errs)
			}
		}
		if code, out, errs := do(t, "doctor", "--dir", dir, "--ports", address); code != exitPass {
			t.Errorf("doctor: exit code %d\n%s%s", code, out, errs)
		}
		if code, out, errs := do(t, "enrol", "--dir", dir, "tcp://127.0.0.1:1"); code != exitFault || !strings.Contains(out, "port-unreachable") {
			t.Errorf("a server that is not there: exit code %d\n%s%s", code, out, errs)
		}
	}
}

// What sits on a port, and who uses it, is said in the same words by enrol and doctor.
func TestABadPortIsNamedOnTheCommandLine(t *testing.T) {
	needSoftHSM(t)
	dir := filepath.Join(t.TempDir(), "D")
	if code, _, errs := do(t, "init", "--dir", dir); code != exitPass {
		t.Fatal(errs)
	}
	code, out, errs := do(t, "enrol", "--dir", dir, fixtures.TalkerOnPort(t, fixtures.BootLoop))
	if code != exitFault || !strings.Contains(errs, "again and again") || !strings.Contains(out, "console-text") || !strings.Contains(out, "  | [00:00:00.002] <err> os: ***** HARD FAULT *****") {
		t.Errorf("a boot loop: exit code %d\n%s%s", code, out, errs)
	}

	used := fixtures.TalkerOnPort(t, fixtures.Silent)
	name, pid := fixtures.Reader(t, used)
	want := fmt.Sprintf("port is in use by %s (pid %d)", name, pid)
	if code, out, errs := do(t, "enrol", "--dir", dir, used); code != exitFault || !strings.Contains(errs, want) || !strings.Contains(out, "port-in-use") {
		t.Errorf("enrol: exit code %d\n%s%s", code, out, errs)
	}
	if code, out, _ := do(t, "doctor", "--dir", dir, "--ports", used); code != exitFault || !strings.Contains(out, want) {
		t.Errorf("doctor: exit code %d\n%s", code, out)
	}
	if code, _, errs := do(t, "enrol", "--dir", dir, "/dev/null"); code != exitUsage || !strings.Contains(errs, "not a serial port: it is a device of memory") {
		t.Errorf("/dev/null: exit code %d\n%s", code, errs)
	}
}
