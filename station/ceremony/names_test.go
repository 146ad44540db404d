package ceremony

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// twoNames gives the ceremony that signs a request with these two common names.
func twoNames(t *testing.T, first, second string) rooted {
	t.Helper()
	act, _ := issuing(t, "x")
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	commonName := asn1.ObjectIdentifier{2, 5, 4, 3}
	subject, err := asn1.Marshal(pkix.RDNSequence{{{Type: commonName, Value: first}}, {{Type: commonName, Value: second}}})
	must(t, err)
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{RawSubject: subject}, key)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(act.base, "request.pem"), pem.EncodeToMemory(&pem.Block{Type: requestPEM, Bytes: der}), 0o600))
	return act
}

// Witnesses read the plan and the transcript. A common name that stands only in the certificate would be signed and not seen.
func TestEachAttributeOfANameIsShown(t *testing.T) {
	act := twoNames(t, "Other Company", "ACME line 1")
	must(t, act.kind.read(act.Act))
	if plan := act.Plan(); !strings.Contains(plan, `subject "CN=ACME line 1,CN=Other Company"`) {
		t.Errorf("the plan says %s", plan)
	}
	entries, _, err := finish(t, act.Act, act.root.key)
	must(t, err)
	for _, one := range entries[1:] {
		if !strings.Contains(one.Facts["subject"], "Other Company") {
			t.Errorf("%s says %q", one.What, one.Facts["subject"])
		}
	}
	act = twoNames(t, "Other\u202eCompany", "ACME line 1")
	if err := act.kind.read(act.Act); err == nil || !strings.Contains(err.Error(), "characters that cannot be read") {
		t.Errorf("a common name that cannot be read: got %v", err)
	}
}

// The certificates of `import` were signed elsewhere: no ceremony on this token has one left.
func TestAStoppedImportHasSignedNothing(t *testing.T) {
	for kindName, signed := range map[string]bool{"import": false, "root": true} {
		log := &transcript{lines: []entry{{What: "begin", Facts: map[string]string{"ceremony": kindName}}, {What: "certificate", Facts: map[string]string{"serial": "7"}}}}
		if got := log.left(); strings.Contains(got, "is signed") != signed {
			t.Errorf("%s: got %q", kindName, got)
		}
	}
}
