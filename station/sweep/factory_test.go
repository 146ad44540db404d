package sweep_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
	"time"

	"hallmark/devices/emulated"
	"hallmark/fixtures"
	"hallmark/station/issuance"
)

// A factory is what stays when the station dies: HSM, CA certificates,
// profile, the firmware image, and the verifier's key.
type factory struct {
	issuingKey, auditKey crypto.Signer // in SoftHSM
	root, issuing        *x509.Certificate
	server               tls.Certificate
	profile              *issuance.Profile
	image                string // of the posix board
}

const serverName = "hallmark" // it crosses the line four times in a Run

func newFactory(t *testing.T) *factory {
	t.Helper()
	token := fixtures.NewToken(t).Open(t)
	rootKey, _ := fixtures.NewKey(t, token, "hallmark-root", 1)
	f := &factory{image: posixImage(t)}
	var issuingPublic *ecdsa.PublicKey
	f.issuingKey, issuingPublic = fixtures.NewKey(t, token, "hallmark-issuing", 2)
	f.auditKey, _ = fixtures.NewKey(t, token, "hallmark-audit", 3)

	begin := time.Now().Add(-time.Hour)
	f.root = must(issuance.Root(issuance.CAConfig{CommonName: "Root", NotBefore: begin, PathLen: 1}, rootKey, rand.Reader))(t)
	f.issuing = must(issuance.Issuing(issuance.CAConfig{CommonName: "Issuing", NotBefore: begin}, issuingPublic, f.root, rootKey, rand.Reader))(t)
	serverKey := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	certificate := must(issuance.Server(issuance.ServerConfig{
		CommonName: serverName, DNSNames: []string{serverName}, NotBefore: begin, NotAfter: begin.Add(24 * time.Hour),
	}, &serverKey.PublicKey, f.root, rootKey, rand.Reader))(t)
	f.server = tls.Certificate{Certificate: [][]byte{certificate.Raw}, PrivateKey: serverKey}
	f.profile = must(issuance.NewProfile(issuance.DefaultProfile()))(t)
	return f
}

// must gives a value, or ends the test.
func must[T any](value T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// posixImage finds the firmware that `make firmware` builds.
func posixImage(t *testing.T) string {
	t.Helper()
	path := must(filepath.Abs(filepath.Join("..", "..", "devices", "firmware", "build", emulated.ImageName(emulated.Posix, ""))))(t)
	if _, err := os.Stat(path); err != nil {
		fixtures.Missing(t, "the posix board (make firmware)")
	}
	return path
}
