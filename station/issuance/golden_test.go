package issuance

import (
	"bytes"
	"crypto/ecdsa"
	"encoding/pem"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"hallmark/fixtures/prerequisite"
)

var update = flag.Bool("update", false, "write the golden files")

// TestTheCertificateIsTheGolden compares every octet of a certificate, and the text
// that openssl prints for it, with stored files.
func TestTheCertificateIsTheGolden(t *testing.T) {
	l := newTestIssuer(t, func(c *Config, key *ecdsa.PrivateKey) { c.Signer = deterministic(key) })
	certificate, err := l.Sign(t.Context(), l.grantOne(t))
	must(t, err)
	golden(t, "board.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.DER}))
	golden(t, "board.txt", openssl(t, certificate.DER, "x509", "-inform", "DER", "-noout", "-text", "-nameopt", "RFC2253"))
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		must(t, os.WriteFile(path, got, 0o644))
	}
	want, err := os.ReadFile(path)
	must(t, err)
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (go test -update writes it):\n%s", path, got)
	}
}

func openssl(t *testing.T, input []byte, arguments ...string) []byte {
	t.Helper()
	command := exec.CommandContext(t.Context(), prerequisite.Program(t, "openssl", "openssl"), arguments...)
	command.Stdin = bytes.NewReader(input)
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("openssl %s: %v\n%s", strings.Join(arguments, " "), err, out)
	}
	return out
}

func TestOpenSSLVerifiesTheChain(t *testing.T) {
	l := newTestIssuer(t, nil)
	certificate, err := l.Sign(t.Context(), l.grantOne(t))
	must(t, err)
	dir := t.TempDir()
	for name, der := range map[string][]byte{"root": l.root.Raw, "issuing": l.issuing.Raw} {
		must(t, os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	}
	board := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.DER})
	openssl(t, board, "verify", "-x509_strict", "-purpose", "sslclient", "-attime", "1795348800",
		"-CAfile", filepath.Join(dir, "root"), "-untrusted", filepath.Join(dir, "issuing"))
}
