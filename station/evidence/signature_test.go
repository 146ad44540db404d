package evidence

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"hallmark/station/audit"
)

// plainReport is a report without content.
type plainReport struct{}

func (plainReport) Add(*audit.Entry) {}
func (plainReport) Write(w io.Writer, head audit.Head) error {
	_, err := fmt.Fprintln(w, "report", head.Size)
	return err
}

// otherReport is a report of a version that nobody knows.
type otherReport struct{ plainReport }

func (otherReport) Write(w io.Writer, _ audit.Head) error {
	_, err := io.WriteString(w, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta name=\"generator\" content=\"hallmark report 99\">\n</head></html>\n")
	return err
}

// certify makes a certificate of the audit key, signed by the CA.
func (m *memory) certify(ca *x509.Certificate, caKey *ecdsa.PrivateKey) *x509.Certificate {
	m.t.Helper()
	return m.certifyAs(ca, caKey, func(*x509.Certificate) {})
}

func (m *memory) certifyAs(ca *x509.Certificate, caKey *ecdsa.PrivateKey, change func(*x509.Certificate)) *x509.Certificate {
	m.t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(77), Subject: pkix.Name{CommonName: "audit"}, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment,
		NotBefore: time.Unix(1e9, 0), NotAfter: time.Unix(4e9, 0), BasicConstraintsValid: true}
	change(template)
	der, err := x509.CreateCertificate(rand.Reader, template, ca, m.key.Public(), caKey)
	m.must(err)
	certificate, err := x509.ParseCertificate(der)
	m.must(err)
	return certificate
}

// signed writes a bundle that the audit key has signed.
func (m *memory) signed(name string, certificate *x509.Certificate) string {
	m.t.Helper()
	return m.signedWith(name, certificate, plainReport{})
}

func (m *memory) signedWith(name string, certificate *x509.Certificate, report Report) string {
	m.t.Helper()
	path := filepath.Join(m.t.TempDir(), name)
	now := func() time.Time { return time.Unix(1_800_000_000, 0) }
	b := Bundle{Source: m, VerifierKey: m.vkey, Authorities: []*x509.Certificate{m.ca, certificate}, Report: report,
		Signer: &Signer{Certificate: certificate, Key: m.key, Now: now, Random: rand.Reader}}
	_, err := b.Write(m.t.Context(), path)
	m.must(err)
	sums, err := os.ReadFile(filepath.Join(path, SumsFile))
	if !IsTar(name) && (err != nil || sha256.Sum256(sums) != b.Sums) {
		m.t.Errorf("the bundle gives another digest of %s than it has: %v", SumsFile, err)
	}
	return path
}

func TestOpenSSLTakesTheSignatureOfABundle(t *testing.T) {
	m, _ := record(t, 4)
	root := m.signed("bundle", m.certify(m.ca, m.caKey))
	anchor := filepath.Join(t.TempDir(), "root.pem")
	m.must(os.WriteFile(anchor, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: m.ca.Raw}), 0o600))
	for _, name := range signedFiles {
		verify := func(content string) (string, error) {
			text, err := exec.Command("openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", filepath.Join(root, name+SignatureSuffix),
				"-content", content, "-CAfile", anchor, "-out", os.DevNull).CombinedOutput()
			return string(text), err
		}
		if text, err := verify(filepath.Join(root, name)); err != nil {
			t.Errorf("%s: %v: %s", name, err, text)
		}
		if _, err := verify(filepath.Join(root, KeyFile)); err == nil {
			t.Errorf("the signature of %s is good for another file", name)
		}
	}
	for _, o := range []Options{{}, {Root: m.ca}} {
		if v := m.check(root, o); !v.Good() || v.Signed == nil || v.Signed.Unix() != 1_800_000_000 || !v.AuditCertificate || v.RootGiven != (o.Root != nil) {
			t.Errorf("got %+v", v)
		}
	}
	if v := m.check(m.signed("bundle.tar", m.certify(m.ca, m.caKey)), Options{}); !v.Good() || v.Signed == nil {
		t.Errorf("a tar file: got %+v", v)
	}
	if text, err := exec.Command("python3", filepath.Join(root, ScriptFile)).CombinedOutput(); err != nil || !strings.Contains(string(text), "are signed by the audit key") {
		t.Errorf("the script: %v: %s", err, text)
	}
}

// A station whose root is offline has its audit key certified by the issuing CA.
func TestABundleBelowAnOfflineRootIsGoodForWhoKnowsTheRootOnly(t *testing.T) {
	m, _ := record(t, 4)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	m.must(err)
	template := &x509.Certificate{SerialNumber: big.NewInt(78), Subject: pkix.Name{CommonName: "issuing"}, KeyUsage: x509.KeyUsageCertSign,
		NotBefore: time.Unix(1e9, 0), NotAfter: time.Unix(4e9, 0), BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true}
	der, err := x509.CreateCertificate(rand.Reader, template, m.ca, key.Public(), m.caKey)
	m.must(err)
	issuing, err := x509.ParseCertificate(der)
	m.must(err)
	certificate := m.certify(issuing, key)
	path := filepath.Join(t.TempDir(), "bundle")
	b := Bundle{Source: m, VerifierKey: m.vkey, Authorities: []*x509.Certificate{m.ca, issuing, certificate}, Report: plainReport{},
		Signer: &Signer{Certificate: certificate, Issuing: Between([]*x509.Certificate{m.ca, issuing}, certificate), Key: m.key, Now: time.Now, Random: rand.Reader}}
	_, err = b.Write(t.Context(), path)
	m.must(err)
	if v := m.check(path, Options{Root: m.ca, Signed: true}); !v.Good() || v.Signed == nil || !v.AuditCertificate {
		t.Errorf("got %+v", v)
	}
	anchor := filepath.Join(t.TempDir(), "root.pem")
	m.must(os.WriteFile(anchor, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: m.ca.Raw}), 0o600))
	text, err := exec.Command("openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", filepath.Join(path, SumsFile+SignatureSuffix),
		"-content", filepath.Join(path, SumsFile), "-CAfile", anchor, "-out", os.DevNull).CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s", err, text)
	}
}

func TestWhatIsWrongWithASignatureIsFound(t *testing.T) {
	other := newMemory(t)
	for _, test := range []struct {
		name   string
		forge  func(m *memory) string
		root   bool
		saying string
	}{
		{"a certificate that the root did not sign", func(m *memory) string { return m.signed("b", m.certify(other.ca, other.caKey)) }, false, "the root did not sign"},
		{"a log of a board's key, which a CA of the station has certified", func(m *memory) string {
			return m.signed("b", m.certifyAs(m.ca, m.caKey, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature }))
		}, true, "not the certificate of an audit key"},
		{"a log of the verifier's key", func(m *memory) string {
			return m.signed("b", m.certifyAs(m.ca, m.caKey, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }))
		}, true, "not the certificate of an audit key"},
		{"another root than the given one", func(m *memory) string {
			m.ca, m.caKey = other.ca, other.caKey
			m.bodies, m.notes, m.certificates, m.tree = m.bodies[:1], nil, nil, tree{put: m.tree.put}
			m.must(m.tree.add(tlog.RecordHash(m.bodies[0])))
			m.checkpoint()
			return m.signed("b", m.certify(m.ca, m.caKey))
		}, true, "not the one that you gave"},
		{"no certificate of the audit key", func(m *memory) string { return m.write("b") }, true, "no certificate of the audit key"},
		{"a signature by another key", func(m *memory) string {
			certificate := m.certify(m.ca, m.caKey)
			m.key = other.key
			return m.signed("b", certificate)
		}, false, "the audit key did not sign it"},
		{"the signature of another bundle", func(m *memory) string {
			root, certificate := "", m.certify(m.ca, m.caKey)
			root = m.signed("b", certificate)
			before, err := os.ReadFile(filepath.Join(root, SumsFile+SignatureSuffix))
			m.must(err)
			m.enrol(100)
			m.checkpoint()
			root = m.signed("c", certificate)
			m.must(os.WriteFile(filepath.Join(root, SumsFile+SignatureSuffix), before, 0o600))
			return root
		}, false, "over another file"},
		{"a damaged certificate", func(m *memory) string {
			root := m.write("b")
			file := filepath.Join(root, AuthoritiesFile)
			text, err := os.ReadFile(file)
			m.must(err)
			m.must(os.WriteFile(file, append(text, "-----BEGIN CERTIFICATE-----\nAAAA\n"...), 0o600))
			m.resum(root)
			return root
		}, false, "more than certificates"},
		{"another CA than the one of the ceremony", func(m *memory) string {
			m.bodies, m.notes, m.certificates, m.tree = nil, nil, nil, tree{put: m.tree.put}
			m.add(audit.Entry{Type: audit.TypeGenesis, Details: map[string]string{"vkey": m.vkey, "certificate_root_sha256": fmt.Sprintf("%x", sha256.Sum256(m.ca.Raw))}})
			m.checkpoint()
			m.ca = other.ca
			return m.write("b")
		}, false, "the root certificate that the entry names is missing"},
		{"one CA more than in the ceremony", func(m *memory) string {
			m.bodies, m.notes, m.certificates, m.tree = nil, nil, nil, tree{put: m.tree.put}
			m.add(audit.Entry{Type: audit.TypeGenesis, Details: map[string]string{"vkey": m.vkey, "certificate_root_sha256": fmt.Sprintf("%x", sha256.Sum256(m.ca.Raw))}})
			m.checkpoint()
			return m.signed("b", other.ca)
		}, false, "the entry does not name the certificate"},
		{"a signature that was removed", func(m *memory) string {
			root := m.signed("b", m.certify(m.ca, m.caKey))
			m.must(os.Remove(filepath.Join(root, SumsFile+SignatureSuffix)))
			return root
		}, false, "the report is signed, so the bundle was, too"},
		{"a signature without a certificate", func(m *memory) string {
			root := m.signed("b", m.certify(m.ca, m.caKey))
			m.must(os.WriteFile(filepath.Join(root, AuthoritiesFile), pemOf([]*x509.Certificate{m.ca}), 0o600))
			m.resum(root)
			return root
		}, false, "no certificate of the audit key to check"},
	} {
		t.Run(test.name, func(t *testing.T) {
			m, _ := record(t, 2)
			o := Options{}
			if test.root {
				o.Root = m.ca
			}
			v := m.check(test.forge(m), o)
			for _, f := range v.Findings {
				if strings.Contains(f.Meaning, test.saying) {
					return
				}
			}
			t.Errorf("got %v", v.Findings)
		})
	}
}

// The texts of a later edition are not compared if the audit key has signed the bundle.
func TestASignedBundleMayHaveTextsOfALaterEdition(t *testing.T) {
	m, _ := record(t, 4)
	certificate := m.certify(m.ca, m.caKey)
	root := m.signed("b", certificate)
	edited(filepath.Join(root, ScriptFile), func(text []byte) []byte {
		return bytes.Replace(text, fmt.Appendf(nil, "# Edition %d.", edition), fmt.Appendf(nil, "# Edition %d.", edition+1), 1)
	})
	m.must(os.Remove(filepath.Join(root, SumsFile+SignatureSuffix))) // SHA256SUMS does not name it
	m.resum(root)
	sums, err := os.ReadFile(filepath.Join(root, SumsFile))
	m.must(err)
	signer := &Signer{Certificate: certificate, Key: m.key, Now: func() time.Time { return time.Unix(1_800_000_000, 0) }, Random: rand.Reader}
	signature, err := signer.Sign(sha256.Sum256(sums))
	m.must(err)
	m.must(os.WriteFile(filepath.Join(root, SumsFile+SignatureSuffix), signature, 0o600))
	if v := m.check(root, Options{Key: m.vkey, Report: nil}); !v.Good() || !slices.ContainsFunc(v.NotChecked, func(f Finding) bool { return f.File == ScriptFile }) {
		t.Errorf("got %v and %v", v.Findings, v.NotChecked)
	}
}

// No octet of a signature is free.
// The genesis entry names root and audit key. A bundle has their certificates in this order.
func TestTheAuthoritiesHaveTheOrderOfTheCeremony(t *testing.T) {
	m := newMemory(t)
	certificate := m.certify(m.ca, m.caKey)
	digestText := func(c *x509.Certificate) string { return fmt.Sprintf("%x", sha256.Sum256(c.Raw)) }
	m.bodies, m.notes, m.certificates, m.tree = nil, nil, nil, tree{put: m.tree.put}
	m.add(audit.Entry{Type: audit.TypeGenesis, Details: map[string]string{"vkey": m.vkey, "certificate_root_sha256": digestText(m.ca), "certificate_audit_sha256": digestText(certificate)}})
	m.enrol(1)
	m.checkpoint()
	const want = "the certificates are not in the order of the entry"
	for name, test := range map[string]struct {
		all  []*x509.Certificate
		good bool
	}{
		"as in the ceremony": {[]*x509.Certificate{m.ca, certificate}, true},
		"the other way":      {[]*x509.Certificate{certificate, m.ca}, false},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "b")
			_, err := (&Bundle{Source: m, VerifierKey: m.vkey, Authorities: test.all, Report: plainReport{}}).Write(t.Context(), path)
			m.must(err)
			v := m.check(path, Options{Key: m.vkey})
			found := slices.ContainsFunc(v.Findings, func(f Finding) bool { return f.File == AuthoritiesFile && strings.Contains(f.Meaning, want) })
			if v.Good() != test.good || found == test.good {
				t.Errorf("findings %v", v.Findings)
			}
		})
	}
}

func TestEachOctetOfASignatureCounts(t *testing.T) {
	m, _ := record(t, 1)
	certificate := m.certify(m.ca, m.caKey)
	signer := &Signer{Certificate: certificate, Key: m.key, Now: time.Now, Random: rand.Reader}
	sum := digest(sha256.Sum256([]byte("content")))
	signature, err := signer.Sign(sum)
	m.must(err)
	if _, err := checkCMS(signature, sum, certificate, nil); err != nil {
		t.Fatal(err)
	}
	for at := range signature {
		for bit := range 8 {
			changed := bytes.Clone(signature)
			changed[at] ^= 1 << bit
			if _, err := checkCMS(changed, sum, certificate, nil); err == nil {
				t.Fatalf("octet %d is free", at)
			}
		}
	}
	for _, text := range [][]byte{nil, signature[:len(signature)-1], append(bytes.Clone(signature), 0)} {
		if _, err := checkCMS(text, sum, certificate, nil); err == nil {
			t.Errorf("%x is taken", text)
		}
	}
}
