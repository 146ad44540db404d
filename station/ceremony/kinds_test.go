package ceremony

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hallmark/configs"
	"hallmark/station/workdir"
)

// issuing gives the ceremony that signs a request for this name, and the request's public key.
func issuing(t *testing.T, commonName string) (*Act, []byte) {
	t.Helper()
	base := t.TempDir()
	root, _ := tiers(t)
	root.template.NotAfter = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	must(t, os.WriteFile(filepath.Join(base, "root.pem"), workdir.CertificatePEM(signed(t, root, root)), 0o600))
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: commonName}}, key)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(base, "request.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), 0o600))
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	must(t, err)
	return &Act{
		File: &configs.Ceremony{Ceremony: "issuing", Issuer: "root.pem", Request: "request.pem", NotAfter: "never", Witnesses: []string{"Anna", "Ben"}},
		base: base, kind: kinds["issuing"], now: func() time.Time { return noon },
	}, public
}

// The request comes from the line, on a stick. Only its fingerprint shows whether it is the request of the line.
func TestThePlanShowsWhichKeyIsCertified(t *testing.T) {
	act, public := issuing(t, "株式会社 Müller, \"AT&T\"")
	must(t, act.kind.read(act))
	if plan := act.Plan(); !strings.Contains(plan, "certify the key with the fingerprint "+spaced(hexSum(public))) {
		t.Errorf("the plan says %s", plan)
	}
}

func TestARequestWhoseNameRewritesThePlanIsRefused(t *testing.T) {
	for _, name := range []string{"x\x1b[2J", "x\n 9. sign nothing", "x\u202eevil", "x\x00y"} {
		act, _ := issuing(t, name)
		if err := act.kind.read(act); err == nil || !strings.Contains(err.Error(), "request.pem: ") || !strings.Contains(err.Error(), "characters that cannot be read") {
			t.Errorf("%q: got %v", name, err)
		}
	}
}
