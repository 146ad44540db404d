package ceremony

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hallmark/configs"
	"hallmark/station/workdir"
)

// A rooted ceremony has the key of its issuer.
type rooted struct {
	*Act
	root *tier
}

// issuing gives the ceremony that signs a request for this name, and the request's public key.
func issuing(t *testing.T, commonName string) (rooted, []byte) {
	t.Helper()
	base := t.TempDir()
	root, _ := tiers(t)
	root.template.NotAfter = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	must(t, os.WriteFile(filepath.Join(base, "root.pem"), workdir.CertificatePEM(signed(t, root, root)), 0o600))
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: commonName}}, key)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(base, "request.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), 0o600))
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	must(t, err)
	return rooted{&Act{
		File: &configs.Ceremony{Ceremony: "issuing", Issuer: "root.pem", Request: "request.pem", NotAfter: "never", Witnesses: []string{"Anna", "Ben"}},
		base: base, kind: kinds["issuing"], now: func() time.Time { return noon },
	}, root}, public
}

// asked is a key that counts how often it is asked, and says before each answer what it is asked for.
type asked struct {
	crypto.Signer
	before func()
	n      int
}

func (a *asked) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	a.n++
	a.before()
	return a.Signer.Sign(random, digest, opts)
}

// finish signs what an Act asks for, with a transcript of its own.
func finish(t *testing.T, act *Act, key crypto.Signer) (entries []entry, signatures int, err error) {
	t.Helper()
	act.Show, act.random = io.Discard, rand.Reader
	log, err := openTranscript(filepath.Join(t.TempDir(), "out"), act)
	must(t, err)
	signer := &asked{Signer: key}
	signer.before = func() {
		last := log.lines[len(log.lines)-1]
		if last.What != "certificate-intended" || last.Facts["serial"] == "" || len(last.Facts["tbs_sha256"]) != 64 {
			t.Errorf("before the signature the transcript ends with %v", last)
		}
	}
	_, err = act.kind.finish(t.Context(), act, signer, log)
	must(t, log.close())
	return log.lines, signer.n, err
}

func last(entries []entry) string { return entries[len(entries)-1].What }

// A signature cannot be taken back, so it is on record before it is made.
func TestASignatureOfACeremonyIsOnRecordBefore(t *testing.T) {
	act, _ := issuing(t, "ACME line 1")
	must(t, act.kind.read(act.Act))
	key := act.root.key
	entries, n, err := finish(t, act.Act, key)
	if err != nil || n != 1 || last(entries) != "certificate" {
		t.Errorf("%d signatures, %v, %v", n, entries, err)
	}
	one, other := 1, act.issuer
	for _, kindName := range []string{"root", "cross"} {
		act := &Act{File: &configs.Ceremony{Ceremony: kindName, Subject: configs.CeremonySubject{CommonName: "ACME root 2"}, NotAfter: "never", PathLength: &one}, kind: kinds[kindName], now: act.now,
			inputs: inputs{issuer: act.issuer, other: other}}
		if entries, n, err := finish(t, act, key); err != nil || n != 1 || last(entries) != "certificate" {
			t.Errorf("%s: %d signatures, %v, %v", kindName, n, entries, err)
		}
	}
}

// What would keep boards from using the new CA is found before the root signs.
func TestAnIssuingCAThatBoardsWouldRefuseIsNotSigned(t *testing.T) {
	act, _ := issuing(t, "root")
	if err := act.kind.read(act.Act); !errors.Is(err, ErrChain) || !strings.Contains(err.Error(), "request.pem") || !strings.Contains(err.Error(), "the name of the root") {
		t.Errorf("the name of the root: got %v", err)
	}
	act, _ = issuing(t, "ACME line 1")
	above, below := tiers(t)
	below.template.MaxPathLen, below.template.MaxPathLenZero, below.template.NotAfter = 1, false, act.root.template.NotAfter
	above.template.NotAfter = act.root.template.NotAfter
	must(t, os.WriteFile(filepath.Join(act.base, "root.pem"), workdir.CertificatePEM(signed(t, below, above)), 0o600))
	if err := act.kind.read(act.Act); !errors.Is(err, ErrChain) || !strings.Contains(err.Error(), "root.pem") || !strings.Contains(err.Error(), "is not a root") {
		t.Errorf("an issuer below a root: got %v", err)
	}
	// The rest is known only of the twin.
	act, _ = issuing(t, "ACME line 1")
	must(t, act.kind.read(act.Act))
	act.now = func() time.Time { return noon.AddDate(0, 0, -3) }
	entries, n, err := finish(t, act.Act, act.root.key)
	if !errors.Is(err, ErrChain) || n != 0 || last(entries) != "begin" {
		t.Errorf("a root that is not valid yet: %d signatures, %v, %v", n, entries, err)
	}
}

// A cross certificate with which no board's certificate verifies would be found in the field only.
func TestACrossCertificateThatCannotWorkIsRefused(t *testing.T) {
	for _, test := range []struct {
		name          string
		limit, length int // of the issuer, -1 for none, and in the file
		other         func(root, issuing *tier) []byte
		want          string // empty: it is taken
	}{
		{"a root below a root without a limit", -1, 1, nil, ""},
		{"a root below a root that allows two", 2, 1, nil, ""},
		{"a root below a root that allows one", 1, 1, nil, "path_length is 1, and the issuer allows 1 CAs"},
		{"more than the issuer allows", 2, 3, nil, "path_length is 3, and the issuer allows 2 CAs"},
		{"a root that may have no CA", 2, 0, nil, "the other CA is a root"},
		{"an issuing CA", 1, 0, func(root, issuing *tier) []byte { return signed(t, issuing, root) }, ""},
		{"a root with one wrong bit", 2, 1, func(root, _ *tier) []byte {
			der := signed(t, root, root)
			der[len(der)-1] ^= 1
			return der
		}, "other.pem did not sign itself"},
	} {
		t.Run(test.name, func(t *testing.T) {
			base := t.TempDir()
			issuer, _ := tiers(t)
			issuer.template.MaxPathLen = test.limit
			root, below := tiers(t)
			root.template.Subject.CommonName = "root 2"
			other := func(root, _ *tier) []byte { return signed(t, root, root) }
			if test.other != nil {
				other = test.other
			}
			must(t, os.WriteFile(filepath.Join(base, "root.pem"), workdir.CertificatePEM(signed(t, issuer, issuer)), 0o600))
			must(t, os.WriteFile(filepath.Join(base, "other.pem"), workdir.CertificatePEM(other(root, below)), 0o600))
			act := &Act{
				File: &configs.Ceremony{Ceremony: "cross", Issuer: "root.pem", Certificate: "other.pem", NotAfter: "2030-01-01", PathLength: &test.length, Witnesses: []string{"Anna", "Ben"}},
				base: base, kind: kinds["cross"], now: func() time.Time { return noon },
			}
			err := act.kind.read(act)
			if test.want != "" {
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("got %v, want %q", err, test.want)
				}
				return
			}
			must(t, err)
			if _, n, err := finish(t, act, issuer.key); err != nil || n != 1 {
				t.Errorf("%d signatures, %v", n, err)
			}
		})
	}
}

// A key that was made for nothing stays on the token, so the names are tried with a key that is thrown away.
func TestNamesThatCannotBeSignedAreRefusedBeforeTheKeyIsMade(t *testing.T) {
	one := 1
	for _, test := range []struct{ kind, commonName, organization, want string }{
		{"csr", strings.Repeat("株", 64), strings.Repeat("株", 64), ""},
		{"csr", strings.Repeat("株", 65), "", "common name of 1 to 64 characters"},
		{"root", strings.Repeat("株", 64), "", ""},
		{"root", strings.Repeat("株", 64), strings.Repeat("式", 64), "boards store at most 1024"},
	} {
		act := &Act{
			File: &configs.Ceremony{Ceremony: test.kind, Subject: configs.CeremonySubject{CommonName: test.commonName, Organization: test.organization}, NotAfter: "never", PathLength: &one},
			kind: kinds[test.kind], now: func() time.Time { return noon },
		}
		if err := act.kind.read(act); test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s for %.6q, %.6q: got %v, want %q", test.kind, test.commonName, test.organization, err, test.want)
		}
	}
}

// The request comes from the line, on a stick. Only its fingerprint shows whether it is the request of the line.
func TestThePlanShowsWhichKeyIsCertified(t *testing.T) {
	act, public := issuing(t, "株式会社 Müller, \"AT&T\"")
	must(t, act.kind.read(act.Act))
	if plan := act.Plan(); !strings.Contains(plan, "certify the key with the fingerprint "+spaced(hexSum(public))) {
		t.Errorf("the plan says %s", plan)
	}
}

func TestARequestWhoseNameRewritesThePlanIsRefused(t *testing.T) {
	for _, name := range []string{"x\x1b[2J", "x\n 9. sign nothing", "x\u202eevil", "x\x00y"} {
		act, _ := issuing(t, name)
		if err := act.kind.read(act.Act); err == nil || !strings.Contains(err.Error(), "request.pem: ") || !strings.Contains(err.Error(), "characters that cannot be read") {
			t.Errorf("%q: got %v", name, err)
		}
	}
}
