package update_test

import (
	"crypto/ecdsa"
	"crypto/x509"
	"os"
	"testing"
)

func publicKey(t *testing.T, path string) *ecdsa.PublicKey {
	t.Helper()
	der, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		t.Fatal(err)
	}
	return key.(*ecdsa.PublicKey)
}
