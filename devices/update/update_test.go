package update_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"hallmark/devices/update"
)

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sign(t *testing.T, signed []byte, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	digest := sha256.Sum256(signed)
	signature, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return signature
}

func made(t *testing.T, key *ecdsa.PrivateKey, slots update.Slots) []byte {
	t.Helper()
	draft, err := update.New([16]byte{1, 2}, 7, slots)
	if err != nil {
		t.Fatal(err)
	}
	file, err := draft.Finish(sign(t, draft.Signed, key), &key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func TestAnUpdateComesBackAsItWasMade(t *testing.T) {
	key := newKey(t)
	slots := update.Slots{2: []byte("certificate"), 3: []byte("cose")}
	m, got, err := update.Verify(made(t, key, slots), &key.PublicKey)
	if err != nil || m.Counter != 7 || !bytes.Equal(m.Board, append([]byte{1, 2}, make([]byte, 14)...)) || m.Names() != "certificate, cose" {
		t.Errorf("%+v, %v", m, err)
	}
	for slot := range slots {
		if !bytes.Equal(got[slot], slots[slot]) {
			t.Errorf("slot %d: %q", slot, got[slot])
		}
	}
}

// What one octet changes is damage or another signature, and so is what a cut leaves.
func TestNoChangedAndNoCutFileIsTaken(t *testing.T) {
	key := newKey(t)
	file := made(t, key, update.Slots{2: []byte("certificate")})
	for at := range file {
		changed := bytes.Clone(file)
		changed[at] ^= 4
		for _, octets := range [][]byte{changed, file[:at]} {
			if _, _, err := update.Verify(octets, &key.PublicKey); !errors.Is(err, update.ErrDamaged) && !errors.Is(err, update.ErrForged) {
				t.Errorf("octet %d: %v", at, err)
			}
		}
	}
	if _, _, err := update.Verify(file, &newKey(t).PublicKey); !errors.Is(err, update.ErrForged) {
		t.Errorf("another anchor: %v", err)
	}
}

func TestWhatFitsNoBoardIsNotMade(t *testing.T) {
	key := newKey(t)
	for name, slots := range map[string]update.Slots{"nothing": {}, "an object of 1025 octets": {2: make([]byte, 1025)}} {
		if _, err := update.New([16]byte{}, 1, slots); err == nil {
			t.Errorf("%s was made", name)
		}
	}
	large := make([]byte, update.MaxObject)
	draft, err := update.New([16]byte{}, 1, update.Slots{large, large, large, large})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := draft.Finish(sign(t, draft.Signed, key), &key.PublicKey); err == nil {
		t.Error("a file that no board takes was made")
	}
	if _, err := draft.Finish(sign(t, draft.Signed, key), &newKey(t).PublicKey); !errors.Is(err, update.ErrForged) {
		t.Errorf("the signature of another key: %v", err)
	}
}

// PROTOCOL.md says how the owner of an offline root signs a manifest.
func TestOpensslSignsAManifest(t *testing.T) {
	dir := t.TempDir()
	run := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("openssl", args...).CombinedOutput(); err != nil {
			t.Fatalf("openssl %v: %v\n%s", args, err, out)
		}
	}
	path := func(name string) string { return filepath.Join(dir, name) }
	run("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path("key"))
	run("ec", "-in", path("key"), "-pubout", "-outform", "DER", "-out", path("public"))
	draft, err := update.New([16]byte{1}, 1, update.Slots{2: []byte("certificate")})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path("manifest"), draft.Signed, 0o600); err != nil {
		t.Fatal(err)
	}
	run("dgst", "-sha256", "-sign", path("key"), "-out", path("signature"), path("manifest"))
	signature, err := os.ReadFile(path("signature"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := draft.Finish(signature, publicKey(t, path("public"))); err != nil {
		t.Error(err)
	}
}

func FuzzOpen(f *testing.F) {
	draft, err := update.New([16]byte{1}, 1, update.Slots{2: []byte("certificate")})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(draft.Signed)
	f.Fuzz(func(t *testing.T, octets []byte) {
		m, slots, err := update.Open(octets)
		if err != nil {
			if !errors.Is(err, update.ErrDamaged) {
				t.Fatal(err)
			}
			return
		}
		if _, err := update.New([16]byte(m.Board), m.Counter, slots); err != nil {
			t.Fatalf("what was read cannot be made: %v", err)
		}
	})
}
