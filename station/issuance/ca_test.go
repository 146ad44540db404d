package issuance

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestTheCeremonyMakesAChainThatIsSmallEnoughForABoard(t *testing.T) {
	l := newTestIssuer(t, nil)
	for name, certificate := range map[string]*x509.Certificate{"root": l.root, "issuing": l.issuing} {
		if len(certificate.Raw) > 460 {
			t.Errorf("%s has %d octets", name, len(certificate.Raw))
		}
		if len(certificate.SubjectKeyId) != 20 || certificate.KeyUsage != x509.KeyUsageCertSign|x509.KeyUsageCRLSign || !certificate.IsCA {
			t.Errorf("%s: key id %x, usage %b", name, certificate.SubjectKeyId, certificate.KeyUsage)
		}
		if !certificate.NotAfter.Equal(endOfTime) || len(certificate.SerialNumber.Bytes()) != 16 {
			t.Errorf("%s: until %v, serial number %x", name, certificate.NotAfter, certificate.SerialNumber)
		}
	}
	if l.root.MaxPathLen != 1 || !l.issuing.MaxPathLenZero || l.issuing.MaxPathLen != 0 {
		t.Errorf("path lengths %d and %d", l.root.MaxPathLen, l.issuing.MaxPathLen)
	}
	if string(l.issuing.AuthorityKeyId) != string(l.root.SubjectKeyId) {
		t.Error("the issuing CA does not name the root's key")
	}
}

func TestAServerCertificateIsForServersOnly(t *testing.T) {
	l := newTestIssuer(t, nil)
	server, err := Server(ServerConfig{CommonName: "verifier", DNSNames: []string{"verifier.test"},
		NotBefore: someTime.Add(-day), NotAfter: someTime.Add(day)}, &newKey(t).PublicKey, l.issuing, fixedKey("issuing"), numbers(8))
	must(t, err)
	roots, middle := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(l.root)
	middle.AddCert(l.issuing)
	options := x509.VerifyOptions{Roots: roots, Intermediates: middle, CurrentTime: someTime, DNSName: "verifier.test"}
	_, err = server.Verify(options)
	must(t, err)
	options.KeyUsages = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if _, err := server.Verify(options); err == nil {
		t.Error("it is good for a client too")
	}
}

// The limits of names count characters (RFC 5280 appendix A.1), and a character may have four octets.
func TestANameOf64CharactersIsTaken(t *testing.T) {
	key, name := newKey(t), strings.Repeat("株", 64)
	der, err := CARequest(name, "ACME", key, numbers(1))
	must(t, err)
	request, err := ParseCARequest(der)
	must(t, err)
	if request.Subject.CommonName != name {
		t.Errorf("the request is for %q", request.Subject.CommonName)
	}
	if _, err := Root(CAConfig{CommonName: name, NotBefore: someTime}, key, numbers(1)); err != nil {
		t.Errorf("a root: %v", err)
	}
	for _, text := range []string{strings.Repeat("株", 65), "\xff"} {
		if _, err := CARequest(text, "", key, numbers(1)); !errors.Is(err, errNames) {
			t.Errorf("%.6q: got %v", text, err)
		}
		if _, err := CARequest("a", text, key, numbers(1)); !errors.Is(err, errNames) {
			t.Errorf("organization %.6q: got %v", text, err)
		}
	}
}

func TestCeremonyRefusals(t *testing.T) {
	key := newKey(t)
	for name, c := range map[string]CAConfig{
		"no name":             {NotBefore: someTime},
		"a long name":         {CommonName: strings.Repeat("a", 65), NotBefore: someTime},
		"a long organization": {CommonName: "a", Organization: strings.Repeat("a", 65), NotBefore: someTime},
		"no time to live":     {CommonName: "a", NotBefore: someTime, NotAfter: someTime},
	} {
		if _, err := Root(c, key, numbers(1)); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	if _, err := Server(ServerConfig{CommonName: "v", NotBefore: someTime, NotAfter: someTime.Add(day)}, &key.PublicKey, nil, key, numbers(1)); err == nil {
		t.Error("a server certificate without names is accepted")
	}
	if _, err := Root(CAConfig{}, key, numbers(1)); !errors.Is(err, errNames) {
		t.Errorf("got %v", err)
	}
}

// A request and a certificate from elsewhere bring names that no configuration has checked.
func TestATwinWithAnUnfitNameIsRefused(t *testing.T) {
	locality, province, mail, unknown := asn1.ObjectIdentifier{2, 5, 4, 7}, asn1.ObjectIdentifier{2, 5, 4, 8}, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}, asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}
	for _, test := range []struct {
		attribute asn1.ObjectIdentifier
		text      string
		want      bool
	}{
		{oidCommonName, "", true}, {oidCommonName, "line", false}, {oidCommonName, strings.Repeat("x", 64), false}, {oidCommonName, strings.Repeat("ü", 64), false},
		{oidCommonName, strings.Repeat("x", 65), true}, {oidCommonName, "\xff", true},
		{oidOrganization, strings.Repeat("x", 64), false}, {oidOrganization, strings.Repeat("x", 65), true}, {oidUnit, strings.Repeat("x", 65), true},
		{locality, strings.Repeat("x", 128), false}, {locality, strings.Repeat("x", 129), true}, {province, strings.Repeat("x", 128), false}, {province, strings.Repeat("x", 129), true},
		{oidCountry, "DE", false}, {oidCountry, "DEU", true}, {mail, strings.Repeat("x", 255), false}, {mail, strings.Repeat("x", 256), true},
		{unknown, strings.Repeat("x", 300), false}, {unknown, "", true},
	} {
		if got := unfit(pkix.AttributeTypeAndValue{Type: test.attribute, Value: test.text}); got != test.want {
			t.Errorf("%v with %d octets: unfit: %v, want %v", test.attribute, len(test.text), got, test.want)
		}
	}
}

func TestAVerificationCertificateDoesNotOutliveItsIssuer(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC().Truncate(time.Second)
	for left, want := range map[time.Duration]time.Duration{1000 * time.Hour: proofLife, time.Hour: time.Hour, -time.Second: 0} {
		issuer, err := Root(CAConfig{CommonName: "root", NotBefore: now.Add(-100 * time.Hour), NotAfter: now.Add(left), PathLen: 1}, key, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		made, err := Verification("0123", [16]byte{1}, now, &key.PublicKey, issuer, key, rand.Reader)
		switch {
		case want == 0 && !errors.Is(err, ErrOutlives), want != 0 && err != nil:
			t.Errorf("%v left: got %v", left, err)
		case want != 0 && (!made.NotAfter.Equal(now.Add(want)) || made.Subject.CommonName != "0123"):
			t.Errorf("%v left: valid until %v, want %v", left, made.NotAfter, now.Add(want))
		}
	}
}
