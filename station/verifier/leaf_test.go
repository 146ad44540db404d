package verifier

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"hallmark/station"
)

// certify makes a client certificate for a key, after the changes were made to it.
func certify(t *testing.T, by *authority, key crypto.Signer, changes ...func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(77), Subject: pkix.Name{CommonName: boardA}, NotBefore: now().Add(-time.Hour), NotAfter: now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	for _, change := range changes {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.certificate, key.Public(), by.key)
	fatalIf(t, err)
	leaf, err := x509.ParseCertificate(der)
	fatalIf(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func newKey(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	fatalIf(t, err)
	return key
}

func TestALeafThatNoProfileAllowsIsRefusedAlsoIfItIsRegistered(t *testing.T) {
	s, _ := open(t)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	fatalIf(t, err)
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	fatalIf(t, err)
	ca := func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, c.KeyUsage|x509.KeyUsageCertSign
	}
	audit := func(c *x509.Certificate) { c.KeyUsage, c.ExtKeyUsage = x509.KeyUsageContentCommitment, nil }
	for _, test := range []struct {
		name        string
		certificate tls.Certificate
		want        error
		text        string
	}{
		{"P-256", certify(t, s.root, newKey(t, elliptic.P256())), nil, ""},
		{"no key usage", certify(t, s.root, newKey(t, elliptic.P256()), func(c *x509.Certificate) { c.KeyUsage = 0 }), nil, ""},
		{"a CA", certify(t, s.root, newKey(t, elliptic.P256()), ca), ErrAuthority, ""},
		{"an audit key", certify(t, s.root, newKey(t, elliptic.P256()), audit), ErrKeyUse, ""},
		{"P-384", certify(t, s.root, newKey(t, elliptic.P384())), ErrKeyKind, "it is P-384"},
		{"RSA", certify(t, s.root, rsaKey), ErrKeyKind, "it is RSA of 2048 bits"},
		{"Ed25519", certify(t, s.root, edKey), ErrKeyKind, "it is Ed25519"},
	} {
		register(t, s, test.certificate, boardA, station.StatusActive)
		got := s.connectAs(t.Context(), test.certificate, test.certificate.Certificate[0])
		if !errors.Is(got, test.want) || got != nil && (!errors.Is(got, station.ErrHandshakeRefused) || !strings.Contains(got.Error(), test.text)) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

func TestCAsOfTheClientAreUsedBelowTheRoot(t *testing.T) {
	s, _ := open(t)
	below := newAuthorityBelow(t, s.root)
	certificate := certify(t, below, newKey(t, elliptic.P256()))
	register(t, s, certificate, boardA, station.StatusActive)
	if got := s.connectAs(t.Context(), certificate, certificate.Certificate[0]); !sameReason(errUnknownAuthority, got) {
		t.Errorf("without the CA: %v", got)
	}
	with := certificate
	with.Certificate = append(with.Certificate, below.certificate.Raw)
	if got := s.connectAs(t.Context(), with, certificate.Certificate[0]); got != nil {
		t.Errorf("with the CA: %v", got)
	}
	if got := s.connectAs(t.Context(), certificate, certificate.Certificate[0]); !sameReason(errUnknownAuthority, got) {
		t.Errorf("the CA of an earlier client is trusted: %v", got)
	}
	foreign := certify(t, newAuthorityBelow(t, s.wrong), newKey(t, elliptic.P256()))
	foreign.Certificate = append(foreign.Certificate, s.wrong.certificate.Raw)
	register(t, s, foreign, boardA, station.StatusActive)
	if got := s.connectAs(t.Context(), foreign, foreign.Certificate[0]); !sameReason(errUnknownAuthority, got) {
		t.Errorf("with a root of its own: %v", got)
	}
}

// newAuthorityBelow makes a CA that another one has signed.
func newAuthorityBelow(t *testing.T, parent *authority) *authority {
	t.Helper()
	key := newKey(t, elliptic.P256())
	made := certify(t, parent, key, func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage, c.Subject, c.ExtKeyUsage = true, true, x509.KeyUsageCertSign, pkix.Name{CommonName: "below"}, nil
	})
	return &authority{made.Leaf, key}
}

func TestTheServerSpeaksNoCBC(t *testing.T) {
	s, _ := open(t)
	certificate := issueAndRegister(t, s, boardA, x509.ExtKeyUsageClientAuth, station.StatusActive)
	pool := x509.NewCertPool()
	pool.AddCert(s.root.certificate)
	dial := func(suite uint16) error {
		conn, err := tls.Dial("tcp", address(s), &tls.Config{Certificates: []tls.Certificate{certificate}, RootCAs: pool, ServerName: s.config.ServerName, Time: now,
			MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{suite}})
		if err == nil {
			err = conn.Close()
		}
		return err
	}
	for _, suite := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		if !strings.Contains(suite.Name, "ECDSA") {
			continue
		}
		if err := dial(suite.ID); (err == nil) != !strings.Contains(suite.Name, "CBC") && !strings.Contains(suite.Name, "RC4") {
			t.Errorf("%s: %v", suite.Name, err)
		}
	}
}

// The certificate of the server may come from a CA that clients get from the server alone.
func TestTheServerSendsTheChainBehindItsCertificate(t *testing.T) {
	base, err := newSelfTest(now)
	fatalIf(t, err)
	below := newAuthorityBelow(t, base.root)
	own := certify(t, below, newKey(t, elliptic.P256()), func(c *x509.Certificate) {
		c.DNSNames, c.ExtKeyUsage = []string{base.config.ServerName}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	})
	config := base.Server.config
	config.Certificate = own
	if _, err := New(config); err == nil {
		t.Error("a certificate without its chain is used")
	}
	config.Certificate.Certificate = append(config.Certificate.Certificate, below.certificate.Raw)
	server, err := New(config)
	fatalIf(t, err)
	s, _ := open(t, func(s *opened) { s.Server = server })
	certificate := issueAndRegister(t, &opened{base, nil}, boardA, x509.ExtKeyUsageClientAuth, station.StatusActive)
	if got := s.connectAs(t.Context(), certificate, certificate.Certificate[0]); got != nil {
		t.Error(got)
	}
}
