package ceremony

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"hallmark/configs"
	"hallmark/station/workdir"
)

var noon = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A tier is what a test makes one certificate from.
type tier struct {
	template x509.Certificate
	key      crypto.Signer
}

// tiers gives the templates of a root and an issuing CA that a station takes.
func tiers(t *testing.T) (root, issuing *tier) {
	t.Helper()
	make := func(name string, pathLength int, end time.Time) *tier {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		must(t, err)
		return &tier{x509.Certificate{
			SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: name}, NotBefore: noon.Add(-time.Hour), NotAfter: end,
			BasicConstraintsValid: true, IsCA: true, MaxPathLen: pathLength, MaxPathLenZero: pathLength == 0,
			KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, SubjectKeyId: []byte(name),
		}, key}
	}
	return make("root", 1, noon.AddDate(20, 0, 0)), make("issuing", 0, noon.AddDate(10, 0, 0))
}

// authorityNames is an authority key identifier with an issuer and a serial number.
func authorityNames(t *testing.T, name string, serial int64) []byte {
	t.Helper()
	der, err := asn1.Marshal(pkix.Name{CommonName: name}.ToRDNSequence())
	must(t, err)
	directory, err := asn1.Marshal(asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 4, IsCompound: true, Bytes: der})
	must(t, err)
	value, err := asn1.Marshal(struct {
		Issuer asn1.RawValue
		Serial *big.Int `asn1:"tag:2"`
	}{asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 1, IsCompound: true, Bytes: directory}, big.NewInt(serial)})
	must(t, err)
	return value
}

func signed(t *testing.T, one, parent *tier) []byte {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, &one.template, &parent.template, one.key.Public(), parent.key)
	must(t, err)
	return der
}

// commonName is a name of one CN in this string type.
func commonName(t *testing.T, text string, tag int) []byte {
	t.Helper()
	type attribute struct {
		ID    asn1.ObjectIdentifier
		Value asn1.RawValue
	}
	type set []attribute
	value := asn1.RawValue{Tag: tag, Bytes: []byte(text)}
	inner, err := asn1.MarshalWithParams(set{{asn1.ObjectIdentifier{2, 5, 4, 3}, value}}, "set")
	must(t, err)
	der, err := asn1.Marshal([]asn1.RawValue{{FullBytes: inner}})
	must(t, err)
	return der
}

// Such a CA enrols boards, so it is taken. People learn at once that nobody will be able to revoke with it.
func TestAnIssuingCAWithoutCRLSignIsNamed(t *testing.T) {
	root, issuing := tiers(t)
	for _, usage := range []x509.KeyUsage{x509.KeyUsageCertSign, x509.KeyUsageCertSign | x509.KeyUsageCRLSign} {
		issuing.template.KeyUsage = usage
		certificate, err := x509.ParseCertificate(signed(t, issuing, root))
		must(t, err)
		chain := &Chain{Root: certificate, Issuing: certificate}
		named := strings.Contains(strings.Join(kinds[configs.CeremonyImport].plan(&Act{inputs: inputs{chain: chain}}), "\n"), "cRLSign")
		if missing := usage&x509.KeyUsageCRLSign == 0; named != missing {
			t.Errorf("key usage %b: the plan names cRLSign: %v, want %v", usage, named, missing)
		}
	}
}

func TestAChainThatKeepsBoardsFromVerifyingIsRefused(t *testing.T) {
	other, _ := tiers(t)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	must(t, err)
	for _, test := range []struct {
		name   string
		change func(root, issuing *tier)
		file   func(root, issuing []byte) []byte // nil: issuing CA, then root
		want   string                            // empty: it is taken
	}{
		{"issuing CA and root", nil, nil, ""},
		{"a root without key usage and path length, as openssl req -x509 makes it", func(r, _ *tier) { r.template.KeyUsage, r.template.MaxPathLen = 0, -1 }, nil, ""},
		{"text around the certificates", nil, func(r, i []byte) []byte {
			return append([]byte("Certificate:\n"), workdir.CertificatePEM(i, r)...)
		}, ""},
		{"the wrong order", nil, func(r, i []byte) []byte { return workdir.CertificatePEM(r, i) }, "the order is wrong"},
		{"no root", nil, func(_, i []byte) []byte { return workdir.CertificatePEM(i) }, "1 certificates, want two"},
		{"nothing", nil, func(_, _ []byte) []byte { return nil }, "no PEM certificate in it"},
		{"three tiers", nil, func(r, i []byte) []byte { return workdir.CertificatePEM(i, i, r) }, "3 certificates, want two"},
		{"a byte order mark", nil, func(r, i []byte) []byte { return append([]byte("\ufeff"), workdir.CertificatePEM(i, r)...) }, "byte order mark"},
		{"damaged PEM", nil, func(r, i []byte) []byte {
			return bytes.Replace(workdir.CertificatePEM(i, r), []byte("-----END CERTIFICATE"), []byte("-----END CERT"), 1)
		}, "its PEM is damaged"},
		{"damaged DER", nil, func(r, i []byte) []byte { return workdir.CertificatePEM(i[:len(i)-1], r) }, "certificate 1 cannot be read"},
		{"a private key beside the certificates", nil, func(r, i []byte) []byte {
			return append(workdir.CertificatePEM(i, r), "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"...)
		}, `a PEM block "PRIVATE KEY", want only CERTIFICATE: a secret lies in this file`},
		{"an RSA root", func(r, _ *tier) { r.key = rsaKey }, nil, "the root has an RSA key"},
		{"an RSA issuing CA", func(_, i *tier) { i.key = rsaKey }, nil, "the issuing CA has an RSA key"},
		{"a root with P-384", func(r, _ *tier) { r.key = p384 }, nil, "not P-256"},
		{"SHA-384 by a root with P-256", func(r, _ *tier) { r.template.SignatureAlgorithm = x509.ECDSAWithSHA384 }, nil, "signed with ECDSA-SHA384"},
		{"name constraints", func(_, i *tier) { i.template.PermittedDNSDomains = []string{"acme.example"} }, nil, "the issuing CA has name constraints"},
		{"name constraints of the root", func(r, _ *tier) { r.template.ExcludedDNSDomains = []string{"acme.example"} }, nil, "the root has name constraints"},
		{"a root with path length 0", func(r, _ *tier) { r.template.MaxPathLen, r.template.MaxPathLenZero = 0, true }, nil, "path length is 0"},
		{"an issuing CA that is no CA", func(_, i *tier) {
			i.template.IsCA, i.template.MaxPathLen, i.template.MaxPathLenZero = false, 0, false
		}, nil, "is no CA (basicConstraints); have it signed again as a CA, with openssl x509 -req by the option -copy_extensions copy"},
		{"an issuing CA without keyCertSign", func(_, i *tier) { i.template.KeyUsage = x509.KeyUsageCRLSign }, nil, "may not sign certificates"},
		{"an issuing CA without key usage", func(_, i *tier) { i.template.KeyUsage = 0 }, nil, "lacks keyCertSign"},
		{"an issuing CA for clients only", func(_, i *tier) { i.template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }, nil, "forbids boards (clientAuth) or the verifier"},
		{"an issuing CA that has expired", func(_, i *tier) { i.template.NotAfter = noon.Add(-time.Second) }, nil, "the issuing CA has expired on 2026-11-29"},
		{"a root that is not valid yet", func(r, _ *tier) { r.template.NotBefore = noon.Add(time.Minute) }, nil, "the root is not valid before"},
		{"an issuing CA that outlives the root", func(r, i *tier) { i.template.NotAfter = r.template.NotAfter.Add(time.Hour) }, nil, "after the root"},
		{"a root of another name", func(_, i *tier) {}, func(_, i []byte) []byte {
			other.template.Subject.CommonName = "other"
			return workdir.CertificatePEM(i, signed(t, other, other))
		}, `"CN=root" issued the issuing CA, and the root is "CN=other"`},
		{"the name of the root in another string type", nil, func(_, i []byte) []byte {
			other.template.Subject, other.template.RawSubject = pkix.Name{}, commonName(t, "root", asn1.TagUTF8String)
			defer func() { other.template.RawSubject = nil }()
			return workdir.CertificatePEM(i, signed(t, other, other))
		}, `the issuing CA names the issuer "CN=root", and the root has the same text in other octets (PrintableString "root" here, UTF8String "root" there)`},
		{"a root that issued itself under another string type", nil, func(_, i []byte) []byte {
			self, above := *other, *other
			self.template.RawSubject, above.template.RawSubject = commonName(t, "root", asn1.TagUTF8String), commonName(t, "root", asn1.TagPrintableString)
			return workdir.CertificatePEM(i, signed(t, &self, &above))
		}, `the root names the issuer "CN=root", and its subject has the same text in other octets`},
		{"an issuing CA with the text of the root's name", func(_, i *tier) {
			i.template.RawSubject = commonName(t, "ROOT ", asn1.TagUTF8String)
		}, nil, "the issuing CA has the name of the root"},
		{"an issuing CA with the key of the root", func(r, i *tier) { i.key = r.key }, nil, "the issuing CA has the key of the root; each CA needs a key of its own"},
		{"a root of the same name with another key", nil, func(_, i []byte) []byte {
			other.template.Subject.CommonName = "root"
			return workdir.CertificatePEM(i, signed(t, other, other))
		}, "the root did not sign the issuing CA"},
		{"an issuing CA that names another key identifier of the root", func(_, i *tier) {
			i.template.ExtraExtensions = []pkix.Extension{{Id: authorityKeyID, Value: append([]byte{0x30, 0x07, 0x80, 0x05}, "other"...)}}
		}, nil, "names the key identifier 6f74686572 of its issuer, and the root has 726f6f74"},
		{"an issuing CA that names another serial number of the root", func(_, i *tier) {
			i.template.ExtraExtensions = []pkix.Extension{{Id: authorityKeyID, Value: []byte{0x30, 0x03, 0x82, 0x01, 0x08}}}
		}, nil, "names the serial number 8 of its issuer, and the root has 7"},
		{"an issuing CA that names the serial number of the root", func(_, i *tier) {
			i.template.ExtraExtensions = []pkix.Extension{{Id: authorityKeyID, Value: []byte{0x30, 0x03, 0x82, 0x01, 0x07}}}
		}, nil, ""},
		{"an issuing CA that names the issuer of the root", func(_, i *tier) {
			i.template.ExtraExtensions = []pkix.Extension{{Id: authorityKeyID, Value: authorityNames(t, "root", 7)}}
		}, nil, ""},
		{"an issuing CA that names another issuer with the right serial number", func(_, i *tier) {
			i.template.ExtraExtensions = []pkix.Extension{{Id: authorityKeyID, Value: authorityNames(t, "other", 7)}}
		}, nil, `the issuing CA names the issuer "CN=other" of its issuer's certificate, and it is "CN=root"`},
		{"a root with an authority key identifier that is not its own", func(r, _ *tier) {
			r.template.ExtraExtensions = []pkix.Extension{{Id: authorityKeyID, Value: append([]byte{0x30, 0x07, 0x80, 0x05}, "other"...)}}
		}, nil, "the root names the key identifier 6f74686572 of its issuer, and the root has 726f6f74"},
		{"a root that names its own key identifier", func(r, _ *tier) {
			r.template.ExtraExtensions = []pkix.Extension{{Id: authorityKeyID, Value: append([]byte{0x30, 0x06, 0x80, 0x04}, "root"...)}}
		}, nil, ""},
		{"an issuing CA without a name", func(_, i *tier) { i.template.Subject = pkix.Name{} }, nil, "the issuing CA has an empty name"},
		{"an issuing CA with an empty common name", func(_, i *tier) {
			i.template.RawSubject = []byte{0x30, 0x0b, 0x31, 0x09, 0x30, 0x07, 0x06, 0x03, 0x55, 0x04, 0x03, 0x0c, 0x00}
		}, nil, "the issuing CA has an empty name"},
		{"an issuing CA that demands policies", func(_, i *tier) {
			i.template.ExtraExtensions = []pkix.Extension{{Id: policyConstraints, Value: []byte{0x30, 0x03, 0x80, 0x01, 0x00}}}
		}, nil, "the issuing CA demands certificate policies"},
		{"a critical extension that boards do not know", func(_, i *tier) {
			i.template.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 54}, Critical: true, Value: []byte{0x02, 0x01, 0x00}}}
		}, nil, "the issuing CA has the critical extension 2.5.29.54"},
		{"a name that rewrites the screen", func(_, i *tier) { i.template.Subject.CommonName = "ACME\x1b[2J" }, nil, "the name of the issuing CA has characters that cannot be read"},
		{"a name with a line feed", func(r, _ *tier) { r.template.Subject.CommonName = "ACME\n 9. sign nothing" }, nil, "the name of the root has characters that cannot be read"},
		{"a certificate that boards cannot store", func(_, i *tier) { i.template.Subject.Organization = []string{strings.Repeat("x", 700)} }, nil, "boards store at most 1024"},
	} {
		t.Run(test.name, func(t *testing.T) {
			root, issuing := tiers(t)
			if test.change != nil {
				test.change(root, issuing)
			}
			file := func(r, i []byte) []byte { return workdir.CertificatePEM(i, r) }
			if test.file != nil {
				file = test.file
			}
			_, err := ParseChain(file(signed(t, root, root), signed(t, issuing, root)), noon)
			switch {
			case test.want == "":
				must(t, err)
			case !errors.Is(err, ErrChain) || !strings.Contains(err.Error(), test.want):
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}
