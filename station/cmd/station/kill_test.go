package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"hallmark/devices"
	"hallmark/station/registry"
	"hallmark/station/workdir"
)

// The test kills a batch with SIGKILL at several moments, and repeats the batch with the same
// boards each time. The audit log verifies, no serial number occurs twice, no board has two
// certificates, and no signed certificate is lost.
func TestBatchKilledAtAnyMomentLosesNothing(t *testing.T) {
	needSoftHSM(t)
	firmware := firmwareFolder(t)
	dir := filepath.Join(t.TempDir(), "D")
	if code, _, errs := do(t, "init", "--dir", dir); code != exitPass {
		t.Fatal(errs)
	}
	program := stationProgram(t)
	batch := []string{"batch", "--dir", dir, "--boards", "posix:4", "--count", "16", "--firmware", firmware, "--progress", "none"}
	for i := range 12 {
		cmd := exec.Command(program, batch...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// The kills fall into the start, the Runs and the end. The checks hold for every moment.
		time.Sleep(time.Duration(40+i*i*2) * time.Millisecond)
		_ = cmd.Process.Signal(syscall.SIGKILL) // fails if the process has already ended
		_ = cmd.Wait()
		if code, _, errs := do(t, "audit", "verify", "--dir", dir); code != exitPass {
			t.Fatalf("after kill %d: %s", i+1, errs)
		}
		oneCertificateEach(t, dir, false)
	}
	// A start writes the certificate files that the kills left out, also those of boards without a new Run.
	if code, out, errs := do(t, "enrol", "--dir", dir, "--firmware", firmware, "posix"); code != exitPass {
		t.Fatalf("exit code %d\n%s%s", code, out, errs)
	}
	wholeCertificateFiles(t, dir)
	if code, out, errs := do(t, batch...); code != exitPass {
		t.Fatalf("exit code %d\n%s%s", code, out, errs)
	}
	oneCertificateEach(t, dir, true)
	wholeCertificateFiles(t, dir)
	if code, out, errs := do(t, "doctor", "--dir", dir, "--ports", ""); code != exitPass {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
}

// wholeCertificateFiles checks that certificates/ has the whole certificate of each board that passed.
func wholeCertificateFiles(t *testing.T, dir string) {
	t.Helper()
	reader, err := registry.OpenReader(t.Context(), filepath.Join(dir, "registry.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	err = reader.EachActive(t.Context(), registry.ActiveFilter{}, func(c registry.ActiveCertificate) error {
		path := filepath.Join(dir, "certificates", c.BoardID.String()+".pem")
		if held, err := os.ReadFile(path); err != nil || !bytes.Equal(held, workdir.CertificatePEM(c.DER)) {
			t.Errorf("%s has %d octets, %v", path, len(held), err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// oneCertificateEach checks the certificates in the registry. At the end, every certificate
// that was ever signed and stored is the active certificate of its board.
func oneCertificateEach(t *testing.T, dir string, end bool) {
	t.Helper()
	reader, err := registry.OpenReader(t.Context(), filepath.Join(dir, "registry.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	rows, err := reader.Certificates(t.Context(), registry.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	serials, signed := map[string]bool{}, map[devices.BoardID]int{}
	for _, row := range rows {
		if serials[row.Serial] {
			t.Errorf("serial number %s twice", row.Serial)
		}
		serials[row.Serial] = true
		if row.DER != nil {
			signed[row.BoardID]++
		}
		if end && (row.DER != nil) != (row.Status == "active") {
			t.Errorf("certificate %s of board %s is %s", row.Serial, row.BoardID, row.Status)
		}
	}
	for board, n := range signed {
		if n > 1 {
			t.Errorf("board %s has %s certificates", board, strconv.Itoa(n))
		}
	}
	if end && len(signed) < 16 {
		t.Errorf("%d boards have a certificate, want at least 16", len(signed))
	}
}
