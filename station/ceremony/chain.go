package ceremony

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"hallmark/hsm"
	"hallmark/station/issuance"
	"hallmark/station/reason"
	"hallmark/station/workdir"
)

// A Chain is a CA that was made elsewhere: an issuing CA whose key is on the line's token, and the root that
// signed it.
type Chain struct{ Issuing, Root *x509.Certificate }

// ErrChain refuses the certificates of such a CA.
var ErrChain = reason.New("ca-chain", "the certificates of the CA cannot be used")

func refuseChain(text string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrChain, fmt.Errorf(text, args...))
}

// ReadChain reads a PEM file that holds the issuing CA and then the root, and checks both.
func ReadChain(path string, now time.Time) (*Chain, error) {
	text, err := workdir.ReadInput(path, workdir.MaxFile)
	if err != nil {
		return nil, fmt.Errorf("reading the chain: %w", err)
	}
	chain, err := ParseChain(text, now)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return chain, nil
}

// ParseChain is ReadChain for the content of the file.
func ParseChain(text []byte, now time.Time) (*Chain, error) {
	all, err := workdir.ParseCertificates(text)
	if err != nil {
		return nil, refuseChain("%w", err)
	}
	if len(all) != 2 {
		return nil, refuseChain("%d certificates, want two: the issuing CA, then the root", len(all))
	}
	chain := &Chain{Issuing: all[0], Root: all[1]}
	if err := chain.fits(now); err != nil {
		return chain, err
	}
	if err := chain.Issuing.CheckSignatureFrom(chain.Root); err != nil {
		return chain, refuseChain("the root did not sign the issuing CA: %w; give the root that signed it", err)
	}
	return chain, nil
}

// fits says what would keep boards from verifying certificates of this CA, except the signature of the root on the issuing CA. So a
// ceremony can ask before the root signs.
func (c *Chain) fits(now time.Time) error {
	switch {
	case issuance.SelfIssued(c.Issuing) && !issuance.SelfIssued(c.Root):
		return refuseChain("the order is wrong: want the issuing CA first, then the root")
	case !issuance.SelfIssued(c.Root) && sameText(c.Root.RawIssuer, c.Root.RawSubject):
		return checkIssuer("the root", c.Root.RawIssuer, c.Root.RawSubject, "its subject")
	case !issuance.SelfIssued(c.Root):
		return refuseChain("%q is not a root: it did not issue itself; give the certificate with which the root issued itself", c.Root.Subject)
	case issuance.SelfIssued(c.Issuing):
		return refuseChain("%q is a root, too: want a CA that the root has signed; have the root sign the request of `station ceremony csr`", c.Issuing.Subject)
	}
	err := errors.Join(checkCA("the root", c.Root, now), checkCA("the issuing CA", c.Issuing, now))
	if err != nil {
		return err
	}
	return c.checkTogether()
}

// checkTogether checks that the root may issue the issuing CA.
func (c *Chain) checkTogether() error {
	if err := c.Root.CheckSignatureFrom(c.Root); err != nil {
		return refuseChain("the root did not sign itself: %w; give the certificate as the root has made it", err)
	}
	err := checkIssuer("the issuing CA", c.Issuing.RawIssuer, c.Root.RawSubject, "the root")
	if err == nil {
		err = checkEnds(end{"the root", c.Root.RawSubject, c.Root.PublicKey}, end{"the issuing CA", c.Issuing.RawSubject, c.Issuing.PublicKey})
	}
	if err == nil {
		err = c.checkAuthority()
	}
	if err != nil {
		return err
	}
	switch {
	case issuance.PathLength(c.Root) == 0:
		return refuseChain("the root's path length is 0, so it forbids an issuing CA and every board below it; use a root without a path length, or with at least 1")
	case c.Issuing.NotAfter.After(c.Root.NotAfter):
		return refuseChain("the issuing CA ends at %s, after the root, which ends at %s; have it signed again with an earlier end", date(c.Issuing.NotAfter), date(c.Root.NotAfter))
	case c.Issuing.KeyUsage&x509.KeyUsageCertSign == 0 || len(c.Issuing.SubjectKeyId) == 0:
		return refuseChain("the issuing CA lacks keyCertSign or a subject key identifier; have it signed again with both, with openssl x509 -req by the option -copy_extensions copy")
	}
	return nil
}

// WithoutRevocation warns of an issuing CA that may not sign CRLs (RFC 5280 section 4.2.1.3). It is empty for one that may.
func WithoutRevocation(issuing *x509.Certificate) string {
	if issuing.KeyUsage&x509.KeyUsageCRLSign != 0 {
		return ""
	}
	return "the issuing CA lacks the key usage cRLSign: no CRL and no status bundle can be signed with it. Have the owner of the root sign it again with cRLSign, unless revocations are published elsewhere"
}

// authorityKeyID is the extension of RFC 5280 section 4.2.1.1.
var authorityKeyID = asn1.ObjectIdentifier{2, 5, 29, 35}

// checkAuthority checks that issuing CA and root name this root in their authority key identifiers. A program may take another
// root for the issuer otherwise: openssl finds no chain then, although the signature is right.
func (c *Chain) checkAuthority() error {
	return errors.Join(c.namesRoot("the issuing CA", c.Issuing), c.namesRoot("the root", c.Root))
}

func (c *Chain) namesRoot(what string, certificate *x509.Certificate) error {
	at := slices.IndexFunc(certificate.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(authorityKeyID) })
	if at < 0 {
		return nil
	}
	var names struct {
		Key    []byte        `asn1:"optional,tag:0"`
		Issuer asn1.RawValue `asn1:"optional,tag:1"`
		Serial *big.Int      `asn1:"optional,tag:2"`
	}
	if rest, err := asn1.Unmarshal(certificate.Extensions[at].Value, &names); err != nil || len(rest) > 0 {
		return refuseChain("the authority key identifier of %s cannot be read", what)
	}
	issuer, err := directoryName(names.Issuer.Bytes)
	if err != nil {
		return refuseChain("the authority key identifier of %s cannot be read: %w", what, err)
	}
	switch next := "have it signed again by this root, or give the root that signed it"; {
	case len(names.Key) > 0 && len(c.Root.SubjectKeyId) > 0 && !bytes.Equal(names.Key, c.Root.SubjectKeyId):
		return refuseChain("%s names the key identifier %x of its issuer, and the root has %x; %s", what, names.Key, c.Root.SubjectKeyId, next)
	case names.Serial != nil && names.Serial.Cmp(c.Root.SerialNumber) != 0:
		return refuseChain("%s names the serial number %x of its issuer, and the root has %x; %s", what, names.Serial, c.Root.SerialNumber, next)
	case issuer != nil && !bytes.Equal(issuer, c.Root.RawIssuer):
		return refuseChain("%s names the issuer %s of its issuer's certificate, and it is %s; %s", what, nameText(issuer), nameText(c.Root.RawIssuer), next)
	}
	return nil
}

// directoryName returns the first name in GeneralNames (RFC 5280 section 4.2.1.6), or nil.
func directoryName(names []byte) ([]byte, error) {
	for len(names) > 0 {
		var one asn1.RawValue
		rest, err := asn1.Unmarshal(names, &one)
		if err != nil {
			return nil, err
		}
		if one.Class == asn1.ClassContextSpecific && one.Tag == 4 {
			return one.Bytes, nil
		}
		names = rest
	}
	return nil, nil
}

// checkCA checks one CA certificate.
func checkCA(what string, c *x509.Certificate, now time.Time) error {
	if err := errors.Join(checkName(what, c.Subject), checkExtensions(what, c)); err != nil {
		return err
	}
	key, ec := c.PublicKey.(*ecdsa.PublicKey)
	switch {
	case c.PublicKeyAlgorithm == x509.RSA:
		return refuseChain("%s has an RSA key: boards verify ECDSA with P-256 only; make a CA with such a key", what)
	case !ec || key.Curve != elliptic.P256():
		return refuseChain("%s has a %v key that is not P-256: boards verify no other; make a CA with such a key", what, c.PublicKeyAlgorithm)
	case c.SignatureAlgorithm != x509.ECDSAWithSHA256:
		return refuseChain("%s is signed with %v: boards verify ECDSA with SHA-256 only; have it signed again, with openssl by the option -sha256", what, c.SignatureAlgorithm)
	case !c.BasicConstraintsValid || !c.IsCA:
		return refuseChain("%s is no CA (basicConstraints); have it signed again as a CA, with openssl x509 -req by the option -copy_extensions copy", what)
	case c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageCertSign == 0:
		return refuseChain("%s may not sign certificates (keyUsage without keyCertSign); have it signed again with keyCertSign", what)
	case !allows(c, x509.ExtKeyUsageClientAuth) || !allows(c, x509.ExtKeyUsageServerAuth):
		return refuseChain("the extended key usage of %s forbids boards (clientAuth) or the verifier (serverAuth); have it signed without", what)
	case now.After(c.NotAfter):
		return refuseChain("%s has expired on %s; have a new one signed, or check the clock of this machine", what, date(c.NotAfter))
	case now.Before(c.NotBefore):
		return refuseChain("%s is not valid before %s; check the clock of both machines", what, c.NotBefore.UTC().Format(time.RFC3339))
	case len(c.Raw) > issuance.MaxCertificate:
		return refuseChain("%s has %d octets, and boards store at most %d: choose shorter names", what, len(c.Raw), issuance.MaxCertificate)
	}
	return nil
}

// checkName refuses a name that could rewrite the screen or the transcript on which people rely, and an empty one: a CA has a name
// (RFC 5280 section 4.1.2.6).
func checkName(what string, subject pkix.Name) error {
	empty := func(one pkix.AttributeTypeAndValue) bool { return strings.TrimSpace(fmt.Sprint(one.Value)) == "" }
	if len(subject.Names) == 0 || slices.ContainsFunc(subject.Names, empty) {
		return refuseChain("%s has an empty name, or an empty part in its name; have it made with a common name", what)
	}
	if text := subject.String(); text != reason.Printable(text) {
		return refuseChain("the name of %s has characters that cannot be read: %+q", what, text)
	}
	return nil
}

// Extensions of a CA certificate.
var (
	nameConstraints   = asn1.ObjectIdentifier{2, 5, 29, 30} // RFC 5280 section 4.2.1.10
	policyConstraints = asn1.ObjectIdentifier{2, 5, 29, 36} // RFC 5280 section 4.2.1.11
	// mayBeCritical are the critical extensions that the mbedTLS of boards takes: subjectAltName, basicConstraints,
	// keyUsage, extKeyUsage. mbedTLS refuses a certificate with another one.
	mayBeCritical = []asn1.ObjectIdentifier{{2, 5, 29, 17}, {2, 5, 29, 19}, {2, 5, 29, 15}, {2, 5, 29, 37}}
)

// checkExtensions refuses the extensions with which boards, or the programs that verify boards, refuse the chain.
func checkExtensions(what string, c *x509.Certificate) error {
	for _, e := range c.Extensions {
		switch {
		case e.Id.Equal(nameConstraints):
			return refuseChain("%s has name constraints: most boards refuse or ignore them; have it signed without", what)
		case e.Id.Equal(policyConstraints):
			return refuseChain("%s demands certificate policies (policyConstraints), and boards' certificates have none; have it signed without", what)
		case e.Critical && !slices.ContainsFunc(mayBeCritical, e.Id.Equal):
			return refuseChain("%s has the critical extension %v, with which boards refuse it; have it signed without", what, e.Id)
		}
	}
	return nil
}

// allows reports whether certificates below a CA may have a usage. Programs hold a CA's extended key usage to
// mean its whole subtree, although RFC 5280 does not say so.
func allows(c *x509.Certificate, usage x509.ExtKeyUsage) bool {
	none := len(c.ExtKeyUsage) == 0 && len(c.UnknownExtKeyUsage) == 0
	return none || slices.Contains(c.ExtKeyUsage, usage) || slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny)
}

func date(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// adopt finds the key of the issuing CA on the token.
func (c *Chain) adopt(ctx context.Context, token *hsm.Token, ref hsm.KeyRef) (crypto.Signer, error) {
	public, ok := c.Issuing.PublicKey.(*ecdsa.PublicKey)
	if !ok {
		return nil, refuseChain("the issuing CA has a %v key, want ECDSA", c.Issuing.PublicKeyAlgorithm)
	}
	signer, err := token.Signer(ctx, ref, public)
	if errors.Is(err, hsm.ErrKeyMissing) || errors.Is(err, hsm.ErrKeyDiffers) {
		return nil, refuseChain("the key of the issuing CA is not on the token: %w", err)
	}
	return signer, err
}
