package instance_test

import (
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"testing"

	"hallmark/fixtures"
	"hallmark/station/instance"
)

// An intent that names no serial number would not tell which certificate may exist when the answer of the HSM got lost.
func TestTheIntentOfARenewalNamesTheCertificate(t *testing.T) {
	dir := fixtures.NewDirectory(t)
	opened := fixtures.Must(instance.Open(t.Context(), dir, instance.Options{}))(t)
	made := map[string]*x509.Certificate{
		"ocsp": fixtures.Must(opened.RenewOCSP(t.Context(), 30, "ann"))(t),
		"hub":  fixtures.Must(opened.RenewHub(t.Context(), 30, "ann"))(t),
	}
	if err := opened.Close(); err != nil {
		t.Fatal(err)
	}
	for what, certificate := range made {
		named := map[string]string{"serial": fmt.Sprintf("%032x", certificate.SerialNumber), "tbs_sha256": fmt.Sprintf("%x", sha256.Sum256(certificate.RawTBSCertificate))}
		if !fixtures.HasEntry(t, dir, what+".intent", "ann", named) {
			t.Errorf("no entry %s.intent names the certificate %v", what, named)
		}
		named["certificate_sha256"] = fmt.Sprintf("%x", sha256.Sum256(certificate.Raw))
		if !fixtures.HasEntry(t, dir, what+".issued", "ann", named) {
			t.Errorf("no entry %s.issued names the certificate %v", what, named)
		}
	}
}
