package main

import (
	"crypto/rand"
	"crypto/x509"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestACertificateThatEndsIsMissedBeforeItHasEnded(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		left time.Duration
		want error
	}{
		"a year is left":             {365 * 24 * time.Hour, nil},
		"30 days are left":           {renewBefore, nil},
		"a second less than 30 days": {renewBefore - time.Second, errEnding},
		"a second is left":           {time.Second, errEnding},
		"it ends now":                {0, errEnded},
		"it has ended":               {-time.Hour, errEnded},
	} {
		t.Run(name, func(t *testing.T) {
			err := expiry(&x509.Certificate{NotAfter: now.Add(test.left)}, now)
			if !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

func TestAnEndedCertificateStopsTheBenchUntilItIsRenewed(t *testing.T) {
	needSoftHSM(t)
	firmware := firmwareFolder(t)
	dir := filepath.Join(t.TempDir(), "D")
	if code, _, errs := do(t, "init", "--dir", dir); code != exitPass {
		t.Fatal(errs)
	}
	endCertificate(t, state(dir))
	enrol := []string{"enrol", "--dir", dir, "--firmware", firmware, "posix"}
	if code, out, errs := do(t, enrol...); code != exitFault || !strings.Contains(errs, errEnded.Error()) {
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

// endCertificate puts a certificate that ended a moment ago in the endpoint's place.
func endCertificate(t *testing.T, s state) {
	t.Helper()
	key, err := readServerKey(s.serverKey())
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(-time.Second)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.server(), certificatePEM(der), 0o600); err != nil {
		t.Fatal(err)
	}
}
