package issuance

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"hallmark/devices"
)

// newCOSEIssuer makes an issuer that certifies both keys of a board.
func newCOSEIssuer(t testing.TB, change func(*Config, *ecdsa.PrivateKey)) *testIssuer {
	t.Helper()
	profile, err := NewProfile(linaroCOSE())
	must(t, err)
	return newTestIssuer(t, func(c *Config, key *ecdsa.PrivateKey) {
		c.COSE = profile
		if change != nil {
			change(c, key)
		}
	})
}

// coseRequest is a request for the board's COSE key.
func coseRequest(t testing.TB) Request {
	t.Helper()
	p := honest(t)
	p.key = fixedKey("board, COSE")
	spki, err := keyDER(&p.key.PublicKey)
	must(t, err)
	p.spki = spki
	p.subject, err = subjectDER("Linaro", someBoard.String(), "Device COSE Sign")
	must(t, err)
	return Request{Run: "0190a5e2-7b1c-7000-8000-000000000002", BoardID: someBoard, Purpose: devices.PurposeCOSE, Nonce: someNonce, CSR: p.sign(t)}
}

func (l *testIssuer) issueCOSE(t testing.TB) *Certificate {
	t.Helper()
	grant, err := l.Check(t.Context(), coseRequest(t))
	must(t, err)
	certificate, err := l.Sign(t.Context(), grant)
	must(t, err)
	return certificate
}

// TestTheCOSECertificateIsTheGolden does what TestTheCertificateIsTheGolden does.
func TestTheCOSECertificateIsTheGolden(t *testing.T) {
	l := newCOSEIssuer(t, func(c *Config, key *ecdsa.PrivateKey) { c.Signer = deterministic(key) })
	certificate := l.issueCOSE(t)
	golden(t, "cose.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.DER}))
	golden(t, "cose.txt", openssl(t, certificate.DER, "x509", "-inform", "DER", "-noout", "-text", "-nameopt", "RFC2253"))
	parsed, err := x509.ParseCertificate(certificate.DER)
	must(t, err)
	if len(parsed.ExtKeyUsage)+len(parsed.UnknownExtKeyUsage) != 0 || parsed.KeyUsage != x509.KeyUsageDigitalSignature {
		t.Errorf("key usage %b, extended %v: want digitalSignature alone", parsed.KeyUsage, parsed.ExtKeyUsage)
	}
}

func TestOpenSSLVerifiesTheChainOfBothCertificates(t *testing.T) {
	l := newCOSEIssuer(t, nil)
	tls, err := l.Sign(t.Context(), l.grantOne(t))
	must(t, err)
	dir := t.TempDir()
	for name, der := range map[string][]byte{"root": l.root.Raw, "issuing": l.issuing.Raw} {
		must(t, os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	}
	for _, der := range [][]byte{tls.DER, l.issueCOSE(t).DER} {
		openssl(t, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), "verify", "-x509_strict", "-attime", "1795348800",
			"-CAfile", filepath.Join(dir, "root"), "-untrusted", filepath.Join(dir, "issuing"))
	}
}

func TestEachPurposeHasAnIntentOfItsOwn(t *testing.T) {
	l := newCOSEIssuer(t, nil)
	tls, err := l.Check(t.Context(), l.request(t))
	must(t, err)
	cose, err := l.Check(t.Context(), coseRequest(t))
	must(t, err)
	a, b := tls.intent.Key, cose.intent.Key
	if a.Purpose != devices.PurposeTLS || b.Purpose != devices.PurposeCOSE || a.SPKISHA256 == b.SPKISHA256 || a.ProfileSHA256 == b.ProfileSHA256 {
		t.Errorf("%+v\n%+v", a, b)
	}
}

func TestARequestForAnotherPurposeIsRefused(t *testing.T) {
	both, one := newCOSEIssuer(t, nil), newTestIssuer(t, nil)
	tlsAsCOSE, coseAsTLS, unknown := both.request(t), coseRequest(t), coseRequest(t)
	tlsAsCOSE.Purpose, coseAsTLS.Purpose, unknown.Purpose = devices.PurposeCOSE, devices.PurposeTLS, "email"
	for _, test := range []struct {
		name    string
		issuer  *testIssuer
		request Request
		want    error
	}{
		{"where no profile is for it", one, coseRequest(t), ErrNoProfile},
		{"that nobody knows", both, unknown, ErrNoProfile},
		{"with the CSR of the TLS key", both, tlsAsCOSE, ErrSubject},
		{"with the CSR of the COSE key", both, coseAsTLS, ErrSubject},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := test.issuer.Check(t.Context(), test.request); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

func TestAProfileIsNotTakenForAnotherPurpose(t *testing.T) {
	tls, err := NewProfile(linaro())
	must(t, err)
	cose, err := NewProfile(linaroCOSE())
	must(t, err)
	c := newTestIssuer(t, nil).config
	for name, profiles := range map[string][2]*Profile{"COSE for TLS": {cose, nil}, "TLS for COSE": {tls, tls}} {
		c.Profile, c.COSE = profiles[0], profiles[1]
		if _, err := New(c); !errors.Is(err, ErrProfile) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// A profile of an earlier version has no purpose. Its digest must not change, because
// a station finds its stored certificates by the digest of the profile (I9).
func TestThePurposeOfATLSProfileDoesNotChangeItsDigest(t *testing.T) {
	const before = "74a936bb8ff50e19eec32491882d2a4b57432de24ba2917d8e35eb16705cc7da"
	for _, purpose := range []string{"", devices.PurposeTLS.String()} {
		c := linaro()
		c.Purpose = purpose
		p, err := NewProfile(c)
		must(t, err)
		if sum := p.SHA256(); hex.EncodeToString(sum[:]) != before || p.Purpose() != devices.PurposeTLS {
			t.Errorf("purpose %q: %s has the digest %x", purpose, canonicalOf(t, p), sum)
		}
	}
}

func TestPossession(t *testing.T) {
	request := coseRequest(t)
	want, err := keyDER(&fixedKey("board, COSE").PublicKey)
	must(t, err)
	otherNonce, forged := someNonce, append([]byte(nil), request.CSR...)
	otherNonce[0] ^= 1
	forged[len(forged)-1] ^= 1
	for _, test := range []struct {
		name  string
		csr   []byte
		board devices.BoardID
		unit  string
		nonce [16]byte
		want  error
	}{
		{"a CSR that answers the nonce", request.CSR, someBoard, "Device COSE Sign", someNonce, nil},
		{"a CSR for another nonce", request.CSR, someBoard, "Device COSE Sign", otherNonce, ErrNonceWrong},
		{"a CSR of another board", request.CSR, devices.BoardID{1}, "Device COSE Sign", someNonce, ErrBoardID},
		{"a CSR with another subject", request.CSR, someBoard, "Device Client TLS", someNonce, ErrSubject},
		{"a signature that does not verify", forged, someBoard, "Device COSE Sign", someNonce, ErrSignature},
		{"no CSR", nil, someBoard, "Device COSE Sign", someNonce, ErrNotDER},
	} {
		t.Run(test.name, func(t *testing.T) {
			spki, err := Possession(test.csr, test.board, test.nonce, "Linaro", test.unit)
			if !errors.Is(err, test.want) || err == nil && spki != sha256.Sum256(want) {
				t.Errorf("got %x, %v", spki, err)
			}
		})
	}
}
