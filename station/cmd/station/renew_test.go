package main

import (
	"crypto/rand"
	"crypto/x509"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hallmark/station/instance"
	"hallmark/station/workdir"
)

func TestAnEndedCertificateStopsTheStationUntilItIsRenewed(t *testing.T) {
	needSoftHSM(t)
	firmware := firmwareFolder(t)
	dir := filepath.Join(t.TempDir(), "D")
	if code, _, errs := do(t, "init", "--dir", dir); code != exitPass {
		t.Fatal(errs)
	}
	endCertificate(t, workdir.Dir(dir))
	enrol := []string{"enrol", "--dir", dir, "--firmware", firmware, "posix"}
	if code, out, errs := do(t, enrol...); code != exitFault || !strings.Contains(errs, instance.ErrEnded.Error()) {
		t.Errorf("enrol: exit code %d\n%s%s", code, out, errs)
	}
	if code, out, _ := do(t, "doctor", "--dir", dir, "--ports", ""); code != exitFault || !strings.Contains(out, "FAIL  certificates") {
		t.Errorf("doctor: exit code %d\n%s", code, out)
	}
	for _, args := range [][]string{{"renew-verifier", "--dir", dir}, enrol, {"doctor", "--dir", dir, "--ports", ""}} {
		if code, out, errs := do(t, args...); code != exitPass {
			t.Errorf("%v: exit code %d\n%s%s", args, code, out, errs)
		}
	}
}

// endCertificate replaces the verifier's certificate by a certificate that ended a moment ago.
func endCertificate(t *testing.T, s workdir.Dir) {
	t.Helper()
	key, err := workdir.ReadPrivateKey(s.ServerKey())
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(-time.Second)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.Server(), workdir.CertificatePEM(der), 0o600); err != nil {
		t.Fatal(err)
	}
}
