package witness

import (
	"bytes"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"hallmark/station/evidence"
)

func TestRequestsThatAreRefused(t *testing.T) {
	hash := "PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw="
	for name, body := range map[string]string{
		"nothing":                        "",
		"no empty line":                  "old 1\n" + hash + "\nlog\n",
		"no old size":                    hash + "\n\nlog\n",
		"a size with a leading zero":     "old 01\n\nlog\n",
		"a negative size":                "old -1\n\nlog\n",
		"a size beyond 62 bits":          "old 9223372036854775807\n\nlog\n",
		"a size without the word":        "1\n\nlog\n",
		"a hash that is too short":       "old 1\nAAAA\n\nlog\n",
		"a hash in another alphabet":     "old 1\n" + strings.ReplaceAll(hash, "w", "_") + "\n\nlog\n",
		"more hashes than any proof has": "old 1\n" + strings.Repeat(hash+"\n", 64) + "\nlog\n",
	} {
		if _, err := ParseRequest([]byte(body)); !errors.Is(err, ErrRequest) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// The law of requests: what is parsed is encoded to the same octets.
func FuzzRequest(f *testing.F) {
	f.Add([]byte("old 20852014\nPlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n\nexample.com/x\n1\n"))
	f.Add([]byte("old 0\n\n\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := ParseRequest(body)
		if err == nil && !bytes.Equal(r.Encode(), body) {
			t.Fatalf("%q becomes %q", body, r.Encode())
		}
	})
}

// The law of uploads: reading never fails in another way than with an error.
func FuzzUpload(f *testing.F) {
	up := &Upload{Origin: "log", Start: 1, End: 3, Ticket: []byte("t")}
	p := &Package{Start: 1, End: 3, Entries: [][]byte{[]byte("a"), {}}}
	f.Add(p.Append(up.Append(nil)))
	f.Fuzz(func(t *testing.T, body []byte) {
		in := bytes.NewReader(body)
		up, err := ReadUpload(in)
		if err != nil || up.Start == up.End {
			return
		}
		p, err := ReadPackage(in, up.Start, up.Bounds(up.Start))
		if err == nil && !bytes.HasPrefix(body, p.Append(up.Append(nil))) {
			t.Fatalf("%x becomes %x", body, p.Append(up.Append(nil)))
		}
	})
}

func TestACosignatureIsVerifiedByTheAuditorsCheck(t *testing.T) {
	key, err := GenerateKey("witness.example/w1", rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := evidence.NewCosigner(key.VerifierKey())
	if err != nil {
		t.Fatal(err)
	}
	text := "log\n1\nPlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n"
	line := key.Cosign(text, time.Unix(0, 0))
	if _, err := note.Open([]byte(text+"\n"+line), note.VerifierList(verifier)); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"", "two words", "a+b", strings.Repeat("a", 101), "ä"} {
		if _, err := GenerateKey(name, rand.Reader); !errors.Is(err, ErrName) {
			t.Errorf("%q: %v", name, err)
		}
	}
}
