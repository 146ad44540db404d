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
	"hallmark/station/issuance"
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
	must(t, os.WriteFile(filepath.Join(base, "request.pem"), request(t, commonName, key), 0o600))
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	must(t, err)
	return rooted{&Act{
		File: &configs.Ceremony{Ceremony: "issuing", Issuer: "root.pem", Request: "request.pem", NotAfter: "never", Witnesses: []string{"Anna", "Ben"}},
		base: base, kind: kinds["issuing"], now: func() time.Time { return noon },
	}, root}, public
}

// request is a CSR in PEM.
func request(t *testing.T, commonName string, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: commonName}}, key)
	must(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: requestPEM, Bytes: der})
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
	one, none := 1, 0
	second, _ := tiers(t)
	second.template.Subject.CommonName = "root 2"
	other, err := x509.ParseCertificate(signed(t, second, second))
	must(t, err)
	for kindName, below := range map[string]*int{"root": &one, "cross": &none} {
		act := &Act{File: &configs.Ceremony{Ceremony: kindName, Subject: configs.CeremonySubject{CommonName: "ACME root 2"}, NotAfter: "never", PathLength: below}, kind: kinds[kindName], now: act.now,
			inputs: inputs{issuer: act.issuer, other: other}}
		if entries, n, err := finish(t, act, key); err != nil || n != 1 || last(entries) != "certificate" {
			t.Errorf("%s: %d signatures, %v, %v", kindName, n, entries, err)
		}
	}
}

// A certificate on record is taken only if it is the one that the file asks for, such as with its path length.
func TestACertificateOnRecordWithAnotherPathLengthIsNotTaken(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	for recorded, want := range map[int]error{1: nil, 5: ErrRecord} {
		one := 1
		act := &Act{File: &configs.Ceremony{Ceremony: "root", Subject: configs.CeremonySubject{CommonName: "R"}, NotAfter: "never", PathLength: &one}, kind: kinds["root"],
			now: func() time.Time { return noon }, Show: io.Discard, random: rand.Reader}
		log, err := openTranscript(filepath.Join(t.TempDir(), "out"), act)
		must(t, err)
		root, err := issuance.Root(issuance.CAConfig{CommonName: "R", PathLen: recorded, NotBefore: noon.AddDate(0, 0, -3)}, key, rand.Reader)
		must(t, errors.Join(err, log.certificate(root)))
		signer := &asked{Signer: key, before: func() {}}
		files, err := act.kind.finish(t.Context(), act, signer, log)
		if !errors.Is(err, want) || signer.n != 0 {
			t.Errorf("path length %d on record: %d signatures, %v", recorded, signer.n, err)
		}
		if want == nil && string(files[0].Content) != string(workdir.CertificatePEM(root.Raw)) {
			t.Error("another certificate is taken")
		}
		must(t, log.close())
	}
}

// What would keep boards from using the new CA is found before the root signs.
func TestAnIssuingCAThatBoardsWouldRefuseIsNotSigned(t *testing.T) {
	act, _ := issuing(t, "root")
	if err := act.kind.read(act.Act); !errors.Is(err, ErrChain) || !strings.Contains(err.Error(), "request.pem") || !strings.Contains(err.Error(), "the name of the root") {
		t.Errorf("the name of the root: got %v", err)
	}
	act, _ = issuing(t, " Root")
	if err := act.kind.read(act.Act); !errors.Is(err, ErrChain) || !strings.Contains(err.Error(), "has the name of the root in root.pem") {
		t.Errorf("the text of the root's name: got %v", err)
	}
	act, _ = issuing(t, "ACME line 1")
	must(t, os.WriteFile(filepath.Join(act.base, "request.pem"), request(t, "ACME line 1", act.root.key), 0o600))
	if err := act.kind.read(act.Act); !errors.Is(err, ErrChain) || !strings.Contains(err.Error(), "the request in request.pem has the key of the root in root.pem; each CA needs a key of its own") {
		t.Errorf("the key of the root: got %v", err)
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
		{"a root below a root that allows one", 1, 1, nil, "path_length is 1, and the issuer allows 1 CA below"},
		{"more than the issuer allows", 2, 3, nil, "path_length is 3, and the issuer allows 2 CAs"},
		{"a root that may have no CA", 2, 0, nil, "the other CA is a root"},
		{"the issuer itself", -1, 1, func(_, _ *tier) []byte { return nil }, "the other CA in other.pem has the key of the issuer in root.pem"},
		{"a new root with the old name", -1, 1, func(root, _ *tier) []byte {
			root.template.Subject.CommonName = "root"
			return signed(t, root, root)
		}, "the other CA in other.pem has the name of the issuer in root.pem"},
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
			own := signed(t, issuer, issuer)
			der := other(root, below)
			if der == nil {
				der = own
			}
			must(t, os.WriteFile(filepath.Join(base, "root.pem"), workdir.CertificatePEM(own), 0o600))
			must(t, os.WriteFile(filepath.Join(base, "other.pem"), workdir.CertificatePEM(der), 0o600))
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

// The file of a ceremony names its inputs and does not hold them, so somebody could exchange one while the ceremony is stopped.
func TestAnInputThatWasExchangedIsRefused(t *testing.T) {
	const head = "hsm: {module: /usr/lib/m.so, token_label: vault}\nkey: {label: k}\nout: out\nwitnesses: [Anna, Ben]\n"
	for _, test := range []struct{ kind, text, exchanged string }{
		{"issuing", "issuer: root.pem\nrequest: request.pem\nnot_after: never\n", "request.pem"},
		{"issuing", "issuer: root.pem\nrequest: request.pem\nnot_after: never\n", "root.pem"},
		{"cross", "issuer: root.pem\ncertificate: other.pem\nnot_after: 2030-01-01\npath_length: 0\n", "other.pem"},
		{"cross", "issuer: root.pem\ncertificate: other.pem\nnot_after: 2030-01-01\npath_length: 0\n", "root.pem"},
		{"import", "chain: chain.pem\n", "chain.pem"},
	} {
		t.Run(test.kind+" "+test.exchanged, func(t *testing.T) {
			act, _ := issuing(t, "ACME line 1")
			base := act.base
			_, below := tiers(t)
			below.template.AuthorityKeyId = act.root.template.SubjectKeyId
			der := signed(t, below, act.root)
			root, err := os.ReadFile(filepath.Join(base, "root.pem"))
			must(t, err)
			must(t, os.WriteFile(filepath.Join(base, "other.pem"), workdir.CertificatePEM(der), 0o600))
			must(t, os.WriteFile(filepath.Join(base, "chain.pem"), append(workdir.CertificatePEM(der), root...), 0o600))
			path := filepath.Join(base, "ceremony.yaml")
			must(t, os.WriteFile(path, []byte("ceremony: "+test.kind+"\n"+test.text+head), 0o600))
			open := func() error {
				again, err := readAt(path, test.kind, func() time.Time { return noon })
				if err != nil {
					return err
				}
				log, err := openTranscript(again.out(), again)
				if err != nil {
					return err
				}
				must(t, log.add("key-found", map[string]string{"label": "k"}))
				return log.close()
			}
			must(t, open())
			must(t, open())
			file, err := os.OpenFile(filepath.Join(base, test.exchanged), os.O_APPEND|os.O_WRONLY, 0)
			must(t, err)
			_, err = file.WriteString("\n")
			must(t, errors.Join(err, file.Close()))
			if err := open(); !errors.Is(err, ErrOutput) || !strings.Contains(err.Error(), test.exchanged+" is not the file that it was") {
				t.Errorf("got %v", err)
			}
		})
	}
}

// Witnesses sign what the plan says, so it names the token and the certificate as they are, and not as the file abbreviates them.
func TestThePlanNamesTokenAndCertificate(t *testing.T) {
	const head = `hsm: {token_uri: "pkcs11:token=va%e2%80%aeult;serial=01?module-path=/usr/lib/m.so", pin_source: "file:pin", exceptions: [restored-keys], token_slot: 7, key_template: minimal, key_id_octets: 2}
key: {label: vault-root}
out: out
witnesses: [Anna, Ben]
`
	root, below := tiers(t)
	root.template.MaxPathLen = 2
	base := t.TempDir()
	must(t, os.WriteFile(filepath.Join(base, "root.pem"), workdir.CertificatePEM(signed(t, root, root)), 0o600))
	must(t, os.WriteFile(filepath.Join(base, "other.pem"), workdir.CertificatePEM(signed(t, below, root)), 0o600))
	for name, test := range map[string]struct {
		text string
		want []string
	}{
		"root": {"ceremony: root\nsubject: {common_name: Secret Name, organization: ACME}\nnot_after: never\npath_length: 3\n", []string{
			`make the key "vault-root" there: P-256`, "id of 2 octets", `subject "CN=Secret Name,O=ACME"`, "issuer itself", "path length 3", "valid to never"}},
		"csr": {"ceremony: csr\nsubject: {common_name: Secret Name}\n", []string{`subject "CN=Secret Name"`, "path length 0"}},
		"cross": {"ceremony: cross\nissuer: root.pem\ncertificate: other.pem\nnot_after: 2030-01-01\npath_length: 1\n", []string{
			`find the key "vault-root"`, `subject "CN=issuing"`, `issuer "CN=root"`, "path length 1", "valid to 2030-01-01"}},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(base, name+".yaml")
			must(t, os.WriteFile(path, []byte(test.text+head), 0o600))
			act, err := readAt(path, name, func() time.Time { return noon })
			must(t, err)
			plan := act.Plan()
			for _, want := range append(test.want, `token with label "va\u202eult" and serial "01" and slot 7`, `through "/usr/lib/m.so"`, `the PIN comes from "file:`+base+`/pin"`, "exceptions: restored-keys") {
				if !strings.Contains(plan, want) {
					t.Errorf("the plan does not say %q:\n%s", want, plan)
				}
			}
		})
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
