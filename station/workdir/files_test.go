package workdir

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"path/filepath"
	"testing"
)

func TestAPrivateKeyIsReadBackAsItWasWritten(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "key")
	text, err := PrivateKeyPEM(key)
	if err = errors.Join(err, WriteFile(path, text)); err != nil {
		t.Fatal(err)
	}
	if read, err := ReadPrivateKey(path); err != nil || !read.Equal(key) {
		t.Errorf("another key, or %v", err)
	}
	if _, err := PrivateKeyPEM("no key"); err == nil {
		t.Error("a text is taken for a private key")
	}
}
