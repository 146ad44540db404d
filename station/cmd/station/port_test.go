package main

import (
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
