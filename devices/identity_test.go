package devices

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

const identityVectors = "testdata/identity.txt"

var writeVectors = flag.Bool("write-vectors", false, "write testdata/identity.txt anew")

// vectorHUKs are the HUKs and suffixes of the vectors in the file.
func vectorHUKs() [][2]string {
	rows := [][2]string{}
	for _, known := range knownHUKs {
		rows = append(rows, [2]string{hex.EncodeToString(known.huk()), ""})
	}
	return append(rows,
		[2]string{"f0e1d2c3b4a5968778695a4b3c2d1e0fffeeddccbbaa99887766554433221100", ""},
		[2]string{"f0e1d2c3b4a5968778695a4b3c2d1e0fffeeddccbbaa99887766554433221100", "-7"})
}

func uncompressed(t *testing.T, key *ecdsa.PublicKey) string {
	t.Helper()
	octets, err := key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(octets)
}

func vectorLine(t *testing.T, huk, suffix string) string {
	t.Helper()
	octets, err := hex.DecodeString(huk)
	if err != nil {
		t.Fatal(err)
	}
	d, err := DeriveIdentity(octets, suffix)
	if err != nil {
		t.Fatal(err)
	}
	if suffix == "" {
		suffix = "."
	}
	return fmt.Sprintf("%s %s %s %s %s", huk, suffix, d.ID, uncompressed(t, d.TLS), uncompressed(t, d.COSE))
}

func TestIdentitiesAgreeWithTheVectorsThatTheCCoreReads(t *testing.T) {
	if *writeVectors {
		text := "# PROTOCOL.md section 5: HUK, suffix (. for none), BoardID, TLS and COSE public key (uncompressed point).\n"
		for _, row := range vectorHUKs() {
			text += vectorLine(t, row[0], row[1]) + "\n"
		}
		if err := os.WriteFile(identityVectors, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.Open(identityVectors)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rows := 0
	for lines := bufio.NewScanner(file); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if len(fields) != 5 {
			t.Fatalf("line %q has %d fields, want 5", lines.Text(), len(fields))
		}
		suffix := strings.TrimPrefix(fields[1], ".")
		if got := vectorLine(t, fields[0], suffix); got != lines.Text() {
			t.Errorf("got  %s\nwant %s", got, lines.Text())
		}
		rows++
	}
	if rows == 0 {
		t.Error("no vectors")
	}
}

// The expected values were computed independently, from TF-M's algorithm.
func TestTheDummyIdentitiesOfTFMAreDerivedAsTFMDerivesThem(t *testing.T) {
	huk := knownHUKs[0].huk()
	derive := func(owner int32) Derived {
		key, err := ownerKey(huk, owner)
		if err != nil {
			t.Fatal(err)
		}
		d, err := DeriveIdentity(key, "")
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	table := []struct{ name, got, want string }{
		{"TLS key, non-secure world", uncompressed(t, derive(-1).TLS), "04b487cf1a2f96a769399f51008e7b268741f59e2904072d1e429046fa64871d31be341f49171523a505dc62fe5068fcf22a695d014d1ef64be5d75ac19a0fca59"},
		{"COSE key, partition", uncompressed(t, derive(0x4c690100).COSE), "0450208fdeead2757d07b189969223551a9b27bd7c7be3e3e9e62c962b222e7def06cdaacb6358f25f5c2039ada683cf417c79cc170f4c1734456a3710719baed0"},
		{"BoardID, partition", derive(0x4c690100).ID.String(), "d5668f22-64b7-4efd-b4cb-0b6d940434b0"},
	}
	for _, row := range table {
		if row.got != row.want {
			t.Errorf("%s:\n got %s\nwant %s", row.name, row.got, row.want)
		}
	}
}

func TestKnownDummiesAreKnownByIDAndByEachKey(t *testing.T) {
	nobody := BoardID{1}
	for _, known := range knownHUKs {
		d, err := DeriveIdentity(known.huk(), "")
		if err != nil {
			t.Fatal(err)
		}
		if name, ok := KnownDummy(d.ID, nil); !ok || name != known.name {
			t.Errorf("%s by BoardID: %q, %v", known.name, name, ok)
		}
		for _, key := range []*ecdsa.PublicKey{d.TLS, d.COSE} {
			spki, err := x509.MarshalPKIXPublicKey(key)
			if err != nil {
				t.Fatal(err)
			}
			if name, ok := KnownDummy(nobody, spki); !ok || name != known.name {
				t.Errorf("%s by key: %q, %v", known.name, name, ok)
			}
		}
	}
	fresh, err := DeriveIdentity(bytes.Repeat([]byte{0x5a}, HUKSize), "")
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(fresh.TLS)
	if err != nil {
		t.Fatal(err)
	}
	if name, ok := KnownDummy(fresh.ID, spki); ok {
		t.Errorf("a fresh HUK is called %q", name)
	}
}

func TestADummyIsKnownForWhicheverCallerHelloNames(t *testing.T) {
	for _, caller := range []int32{-1, -0x3c000000, 0x4c690100, 0x1234, -2147483648} {
		key, err := ownerKey(knownHUKs[0].huk(), caller)
		if err != nil {
			t.Fatal(err)
		}
		d, err := DeriveIdentity(key, "")
		if err != nil {
			t.Fatal(err)
		}
		if !DummyOfCaller(d.ID, caller) || DummyOfCaller(d.ID, caller+1) {
			t.Errorf("caller %d: %v is not known, or known for another", caller, d.ID)
		}
	}
}

func TestAHUKOfAnotherLengthIsRefused(t *testing.T) {
	if _, err := DeriveIdentity(make([]byte, 16), ""); !errors.Is(err, ErrHUKSize) {
		t.Errorf("%v, want %v", err, ErrHUKSize)
	}
}
