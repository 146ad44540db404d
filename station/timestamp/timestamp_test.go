package timestamp_test

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hallmark/fixtures/authority"
	"hallmark/station/timestamp"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func roots(t testing.TB, path string) *x509.CertPool {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		t.Fatal("no certificate")
	}
	return pool
}

var text = []byte("hallmark/test\n3\nPlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n")

func stamp(t *testing.T, a *authority.Authority) []byte {
	t.Helper()
	client := timestamp.NewClient(a.URL, roots(t, a.CA), nil)
	defer client.Close()
	answer, at, err := client.Stamp(t.Context(), text)
	must(t, err)
	if d := time.Since(at); d > time.Minute || d < -time.Minute {
		t.Errorf("the time is %v", at)
	}
	return answer
}

func TestOpenSSLStampsAndAgrees(t *testing.T) {
	for _, kind := range []string{"rsa:2048", "ec"} {
		t.Run(kind, func(t *testing.T) {
			a := authority.New(t, kind)
			answer := stamp(t, a)
			token, err := timestamp.Verify(answer, text, roots(t, a.CA))
			if err != nil || token.Authority != "CN=test authority" {
				t.Errorf("%+v, %v", token, err)
			}
			dir := t.TempDir()
			must(t, os.WriteFile(filepath.Join(dir, "text"), text, 0o600))
			must(t, os.WriteFile(filepath.Join(dir, "tsr"), answer, 0o600))
			command := exec.Command("openssl", "ts", "-verify", "-data", "text", "-in", "tsr", "-CAfile", a.CA)
			command.Dir = dir
			if out, err := command.CombinedOutput(); err != nil || !strings.Contains(string(out), "Verification: OK") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// No octet of a token that is signed or that names the signer can be changed. A few octets of the
// response stand outside of both, such as the version numbers.
func TestAChangedTokenIsRefused(t *testing.T) {
	a := authority.New(t, "ec")
	answer, pool := stamp(t, a), roots(t, a.CA)
	good, err := timestamp.Verify(answer, text, pool)
	must(t, err)
	accepted := 0
	for i := range answer {
		changed := bytes.Clone(answer)
		changed[i] ^= 0x41
		token, err := timestamp.Verify(changed, text, pool)
		if err == nil && (token.Time != good.Time || token.Authority != good.Authority) {
			t.Errorf("octet %d changes what the token says", i)
		}
		if err == nil {
			accepted++
		}
	}
	if accepted > 300 { // the root, which is in the token and is not used, and version numbers
		t.Errorf("%d of %d changes are accepted", accepted, len(answer))
	}
	if _, err := timestamp.Verify(answer, append(text, '\n'), pool); !errors.Is(err, timestamp.ErrOtherText) {
		t.Errorf("another text: %v", err)
	}
	if _, err := timestamp.Verify(answer, text, roots(t, authority.New(t, "ec").CA)); !errors.Is(err, timestamp.ErrSignature) {
		t.Errorf("another root: %v", err)
	}
	for i := range len(answer) {
		if _, err := timestamp.Verify(answer[:i], text, pool); err == nil {
			t.Errorf("the first %d octets are a token", i)
		}
	}
}

func TestABadAuthorityIsNamed(t *testing.T) {
	a := authority.New(t, "ec")
	old := stamp(t, a)
	for name, c := range map[string]struct {
		handle http.HandlerFunc
		want   error
	}{
		"an old answer":           {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(old) }, timestamp.ErrResponse},
		"garbage":                 {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }, timestamp.ErrResponse},
		"nothing":                 {func(http.ResponseWriter, *http.Request) {}, timestamp.ErrResponse},
		"another status":          {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }, timestamp.ErrResponse},
		"a refusal":               {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte{0x30, 5, 0x30, 3, 2, 1, 2}) }, timestamp.ErrResponse},
		"a hundred million zeros": {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.CopyN(w, zeroes{}, 100<<20) }, timestamp.ErrResponse},
		"another address":         {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, a.URL, http.StatusTemporaryRedirect) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(c.handle)
			defer server.Close()
			client := timestamp.NewClient(server.URL, roots(t, a.CA), nil)
			defer client.Close()
			if _, _, err := client.Stamp(t.Context(), text); err == nil || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

type zeroes struct{}

func (zeroes) Read(p []byte) (int, error) { return len(p), nil }

// The law: no octets make Verify crash.
func FuzzVerify(f *testing.F) {
	f.Add([]byte{0x30, 5, 0x30, 3, 2, 1, 0})
	f.Fuzz(func(t *testing.T, answer []byte) {
		if _, err := timestamp.Verify(answer, text, x509.NewCertPool()); err == nil {
			t.Error("an answer without a root is good")
		}
	})
}
