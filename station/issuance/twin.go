package issuance

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"
)

// A twin is a certificate with the content of the one that will be signed, and with the signature of a key that
// is thrown away. The twin is linted before the CA signs, because a signature cannot be taken back.

// newTwin makes the twin of a template.
func newTwin(template, parent *x509.Certificate, key *ecdsa.PublicKey) (*x509.Certificate, error) {
	throwAway, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	issuer := *parent
	issuer.PublicKey = &throwAway.PublicKey
	der, err := x509.CreateCertificate(rand.Reader, template, &issuer, key, throwAway)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// lintTwin checks a twin against RFC 5280 and against what boards can store and verify. The parent of a root is the
// template of the root itself.
func lintTwin(twin, parent *x509.Certificate) error {
	return errors.Join(lintFindings(twin, parent)...)
}

// A certificateRule is one rule about one certificate.
type certificateRule struct {
	broken bool
	text   string
}

// broken gives an error for each rule that is broken.
func broken(rules []certificateRule) (findings []error) {
	for _, rule := range rules {
		if rule.broken {
			findings = append(findings, errors.New(rule.text))
		}
	}
	return findings
}

// unfit is true for a part of a name that RFC 5280 does not allow: an empty one, or one that is longer than its upper bound.
func unfit(part pkix.AttributeTypeAndValue) bool {
	text := fmt.Sprint(part.Value)
	upper, bounded := upperBounds[part.Type.String()]
	return text == "" || !utf8.ValidString(text) || bounded && utf8.RuneCountInString(text) > upper
}

func lintFindings(twin, parent *x509.Certificate) []error {
	key, _ := twin.PublicKey.(*ecdsa.PublicKey)
	return broken([]certificateRule{
		{twin.Version != 3, "the version is not 3 (RFC 5280 section 4.1.2.1)"},
		{twin.SerialNumber.Sign() <= 0 || twin.SerialNumber.BitLen() > 159, "the serial number is not positive, or longer than 20 octets (section 4.1.2.2)"},
		{twin.SignatureAlgorithm != x509.ECDSAWithSHA256, "the signature is not ECDSA with SHA-256, the only one that boards verify"},
		{key == nil || key.Curve != elliptic.P256(), "the key is not P-256, the only kind that boards verify"},
		{len(twin.Subject.Names) == 0, "the subject is empty (section 4.1.2.6)"},
		{slices.ContainsFunc(twin.Subject.Names, unfit), "a part of the subject is empty, or longer than RFC 5280 allows: 64 characters for CN, O and OU, 128 for L and ST, 2 for C (appendix A.1)"},
		{twin.NotAfter.After(parent.NotAfter), "it would be valid longer than its issuer"},
		{!twin.BasicConstraintsValid, "basicConstraints are missing (section 4.2.1.9)"},
		{twin.KeyUsage == 0, "keyUsage is missing (section 4.2.1.3)"},
		{twin.IsCA != (twin.KeyUsage&x509.KeyUsageCertSign != 0), "CA and keyCertSign do not go together (section 4.2.1.9)"},
		{twin.IsCA && len(twin.SubjectKeyId) == 0, "the subject key identifier is missing (section 4.2.1.2)"},
		{len(twin.AuthorityKeyId) > 0 && !bytes.Equal(twin.AuthorityKeyId, parent.SubjectKeyId), "the authority key identifier is not the issuer's subject key identifier (section 4.2.1.1)"},
		{twin.IsCA && !SelfIssued(twin) && !mayHaveCA(parent, twin), "the issuer's path length allows no CA below it, or not as many as its own path length says (section 4.2.1.9)"},
		{len(twin.UnhandledCriticalExtensions) > 0, "there is a critical extension that is not known (section 4.2)"},
		{len(twin.Raw) > MaxCertificate, fmt.Sprintf("it has %d octets, and boards store at most %d: choose shorter names", len(twin.Raw), MaxCertificate)},
	})
}

// PathLength is how many CAs may follow below a CA (RFC 5280 section 4.2.1.9): 0 forbids each CA, -1 allows any number.
func PathLength(ca *x509.Certificate) int {
	if ca.MaxPathLen == 0 && !ca.MaxPathLenZero {
		return -1
	}
	return ca.MaxPathLen
}

// mayHaveCA reports whether the path length of a CA allows another CA below it, with what that CA allows below itself.
func mayHaveCA(ca, below *x509.Certificate) bool {
	limit, asked := PathLength(ca), PathLength(below)
	return limit < 0 || asked >= 0 && asked < limit
}

// SelfIssued reports whether a certificate names its own subject as issuer. Such a certificate is not counted in a path (RFC 5280, section 6.1.4).
func SelfIssued(c *x509.Certificate) bool { return bytes.Equal(c.RawSubject, c.RawIssuer) }
