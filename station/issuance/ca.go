package issuance

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"math/big"
	"time"
	"unicode/utf8"
)

// CAConfig has the names and the validity of a CA certificate, for the ceremony.
// Every board gets root and issuing CA over its UART, so the certificates are kept
// small: short names, no CRL distribution point, no authority information access.
type CAConfig struct {
	CommonName   string // 1 to 64 characters (RFC 5280 appendix A.1)
	Organization string // may be empty, at most 64 characters
	NotBefore    time.Time
	NotAfter     time.Time // zero: 99991231235959Z
	// PathLen is how many CAs may follow below this CA: 0 for a CA that issues to
	// boards, -1 for no limit (RFC 5280 section 4.2.1.9).
	PathLen int
	// Serial is that of a certificate which was intended before, and may be signed already: 1 to 20 octets, positive (RFC 5280
	// section 4.1.2.2). nil: a new one is drawn.
	Serial *big.Int
	Intend Intend
}

// Intend is told what will be signed before the CA's key is asked: a certificate with the same TBSCertificate, and with the signature of
// a key that is thrown away. After an error nothing is signed. A nil Intend is told nothing.
type Intend func(twin *x509.Certificate) error

// ServerConfig describes the verifier's TLS server certificate.
type ServerConfig struct {
	CommonName string
	DNSNames   []string // at least one
	NotBefore  time.Time
	NotAfter   time.Time
	Intend     Intend
}

var errNames = errors.New("names: want a common name of 1 to 64 characters and an organization of at most 64")

// Root makes a self-signed CA certificate.
func Root(c CAConfig, signer crypto.Signer, random io.Reader) (*x509.Certificate, error) {
	template, err := c.template(random)
	if err != nil {
		return nil, fmt.Errorf("making the root certificate: %w", err)
	}
	certificate, err := certify(template, template, signer.Public(), signer, random, c.Intend)
	if err != nil {
		return nil, fmt.Errorf("making the root certificate: %w", err)
	}
	return certificate, nil
}

// Issuing makes a CA certificate that the root signs.
func Issuing(c CAConfig, key *ecdsa.PublicKey, root *x509.Certificate, signer crypto.Signer, random io.Reader) (*x509.Certificate, error) {
	template, err := c.template(random)
	if err != nil {
		return nil, fmt.Errorf("making the issuing CA certificate: %w", err)
	}
	certificate, err := certify(template, root, key, signer, random, c.Intend)
	if err != nil {
		return nil, fmt.Errorf("making the issuing CA certificate: %w", err)
	}
	return certificate, nil
}

// Cross makes a certificate for the name and key of another CA. Whoever trusts the issuer then trusts what
// that CA has issued.
func Cross(c CAConfig, other, issuer *x509.Certificate, signer crypto.Signer, random io.Reader) (*x509.Certificate, error) {
	key, ok := other.PublicKey.(*ecdsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("making the cross certificate: the other CA's key is %T, want ECDSA", other.PublicKey)
	}
	template, err := c.template(random)
	if err != nil {
		return nil, fmt.Errorf("making the cross certificate: %w", err)
	}
	template.RawSubject = other.RawSubject
	certificate, err := certify(template, issuer, key, signer, random, c.Intend)
	if err != nil {
		return nil, fmt.Errorf("making the cross certificate: %w", err)
	}
	return certificate, nil
}

// Server makes the verifier's certificate, with subjectAltName and serverAuth.
func Server(c ServerConfig, key *ecdsa.PublicKey, issuer *x509.Certificate, signer crypto.Signer, random io.Reader) (*x509.Certificate, error) {
	template, err := c.template(random)
	if err != nil {
		return nil, fmt.Errorf("making the server certificate: %w", err)
	}
	certificate, err := certify(template, issuer, key, signer, random, c.Intend)
	if err != nil {
		return nil, fmt.Errorf("making the server certificate: %w", err)
	}
	return certificate, nil
}

// proofLife is how long a verification certificate is valid.
const proofLife = 48 * time.Hour

// Verification makes the certificate that shows a cloud who may use the issuing CA. The code of the cloud is the common name. It ends after
// two days, and not after its issuer.
func Verification(code string, serial [16]byte, now time.Time, key *ecdsa.PublicKey, issuer *x509.Certificate, signer crypto.Signer, random io.Reader) (*x509.Certificate, error) {
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(serial[:]), Subject: pkix.Name{CommonName: code},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(proofLife), KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
	}
	if template.NotAfter.After(issuer.NotAfter) {
		template.NotAfter = issuer.NotAfter
	}
	if !template.NotAfter.After(now) {
		return nil, fmt.Errorf("making the verification certificate: %w: the issuing CA has ended at %s", ErrOutlives, issuer.NotAfter.UTC().Format(time.RFC3339))
	}
	certificate, err := certify(template, issuer, key, signer, random, nil)
	if err != nil {
		return nil, fmt.Errorf("making the verification certificate: %w", err)
	}
	return certificate, nil
}

// AuditConfig describes the certificate of the audit key, for whoever checks an evidence bundle, or of a key that signs OCSP answers.
type AuditConfig struct {
	CommonName, Organization string
	NotBefore                time.Time
	NotAfter                 time.Time // zero: 99991231235959Z
	Serial                   *big.Int  // as in CAConfig
	Intend                   Intend
}

func (c AuditConfig) template(random io.Reader) (*x509.Certificate, error) {
	template, err := CAConfig{CommonName: c.CommonName, Organization: c.Organization, NotBefore: c.NotBefore, NotAfter: c.NotAfter, Serial: c.Serial}.template(random)
	if err == nil {
		template.IsCA, template.MaxPathLenZero, template.KeyUsage = false, false, x509.KeyUsageDigitalSignature
	}
	return template, err
}

// Audit makes the certificate of the audit key. It has no extended key usage: with one, programs
// refuse it for CMS signatures (RFC 5652), unless it is emailProtection.
func Audit(c AuditConfig, key *ecdsa.PublicKey, root *x509.Certificate, signer crypto.Signer, random io.Reader) (*x509.Certificate, error) {
	template, err := c.template(random)
	if err != nil {
		return nil, fmt.Errorf("making the certificate of the audit key: %w", err)
	}
	template.KeyUsage |= x509.KeyUsageContentCommitment // RFC 5280 section 4.2.1.3
	certificate, err := certify(template, root, key, signer, random, c.Intend)
	if err != nil {
		return nil, fmt.Errorf("making the certificate of the audit key: %w", err)
	}
	return certificate, nil
}

// MaxResponderDays is the longest validity of the certificate of a key that signs OCSP answers, because nobody can revoke it.
const MaxResponderDays = 366

// noCheck tells clients not to ask for the status of the certificate itself (RFC 6960 section 4.2.2.2.1). Its value is NULL.
var noCheck = pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}, Value: []byte{5, 0}}

// Responder makes the certificate of a key that signs OCSP answers for the issuer. It cannot be revoked, so it is short-lived.
func Responder(c AuditConfig, key *ecdsa.PublicKey, issuer *x509.Certificate, signer crypto.Signer, random io.Reader) (*x509.Certificate, error) {
	template, err := c.template(random)
	if err != nil {
		return nil, fmt.Errorf("making the OCSP certificate: %w", err)
	}
	template.ExtKeyUsage, template.ExtraExtensions = []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}, []pkix.Extension{noCheck}
	if template.SubjectKeyId, err = keyIdentifier(key); err != nil {
		return nil, fmt.Errorf("making the OCSP certificate: %w", err)
	}
	certificate, err := certify(template, issuer, key, signer, random, c.Intend)
	if err != nil {
		return nil, fmt.Errorf("making the OCSP certificate: %w", err)
	}
	return certificate, nil
}

// Client makes the certificate of a key with which a station signs in at the hub of its plant. The hub knows the station by this key, and not by the name.
func Client(c AuditConfig, key *ecdsa.PublicKey, issuer *x509.Certificate, signer crypto.Signer, random io.Reader) (*x509.Certificate, error) {
	template, err := c.template(random)
	if err != nil {
		return nil, fmt.Errorf("making the client certificate: %w", err)
	}
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if template.SubjectKeyId, err = keyIdentifier(key); err != nil {
		return nil, fmt.Errorf("making the client certificate: %w", err)
	}
	certificate, err := certify(template, issuer, key, signer, random, c.Intend)
	if err != nil {
		return nil, fmt.Errorf("making the client certificate: %w", err)
	}
	return certificate, nil
}

func (c CAConfig) template(random io.Reader) (*x509.Certificate, error) {
	if c.CommonName == "" || tooLong(c.CommonName) || tooLong(c.Organization) {
		return nil, errNames
	}
	if c.NotAfter.IsZero() {
		c.NotAfter = endOfTime
	}
	if c.Serial == nil {
		serial, err := NewSerial(random)
		if err != nil {
			return nil, err
		}
		c.Serial = new(big.Int).SetBytes(serial[:])
	}
	return &x509.Certificate{
		SerialNumber:          c.Serial,
		Subject:               name(c.CommonName, c.Organization),
		NotBefore:             c.NotBefore.UTC(),
		NotAfter:              c.NotAfter.UTC(),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLen:            c.PathLen,
		MaxPathLenZero:        c.PathLen == 0,
	}, nil
}

func (c ServerConfig) template(random io.Reader) (*x509.Certificate, error) {
	if c.CommonName == "" || tooLong(c.CommonName) {
		return nil, errNames
	}
	if len(c.DNSNames) == 0 {
		return nil, errors.New("names: want at least one DNS name (RFC 9525 section 2)")
	}
	serial, err := NewSerial(random)
	if err != nil {
		return nil, err
	}
	return &x509.Certificate{
		SerialNumber:          new(big.Int).SetBytes(serial[:]),
		Subject:               name(c.CommonName, ""),
		NotBefore:             c.NotBefore.UTC(),
		NotAfter:              c.NotAfter.UTC(),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		DNSNames:              c.DNSNames,
	}, nil
}

// tooLong is true for a name of more than 64 characters (ub-common-name and
// ub-organization-name, RFC 5280 appendix A.1). Characters are not octets.
func tooLong(text string) bool {
	return !utf8.ValidString(text) || utf8.RuneCountInString(text) > upperBounds[oidCommonName.String()]
}

func name(commonName, organization string) pkix.Name {
	n := pkix.Name{CommonName: commonName}
	if organization != "" {
		n.Organization = []string{organization}
	}
	return n
}

var errOtherThanTwin = errors.New("what was signed is not what was linted")

// certify lints a twin of the certificate, tells the caller of it, signs the template, parses the result, and checks its
// signature and that the signed content is that of the twin.
func certify(template, parent *x509.Certificate, public crypto.PublicKey, signer crypto.Signer, random io.Reader, intend Intend) (*x509.Certificate, error) {
	key, ok := public.(*ecdsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("key is %T: want a P-256 key", public)
	}
	if !template.NotAfter.After(template.NotBefore) {
		return nil, fmt.Errorf("validity from %v to %v is empty", template.NotBefore, template.NotAfter)
	}
	template.SignatureAlgorithm = x509.ECDSAWithSHA256
	// Only a CA must have a subject key identifier. For the server it is a SHOULD (RFC
	// 5280 section 4.2.1.2), and would cost octets on every board's UART.
	if template.IsCA {
		id, err := keyIdentifier(key)
		if err != nil {
			return nil, err
		}
		template.SubjectKeyId = id
	}
	twin, err := newTwin(template, parent, key)
	if err != nil {
		return nil, err
	}
	if err := lintTwin(twin, parent); err != nil {
		return nil, fmt.Errorf("nothing was signed: %w", err)
	}
	if intend != nil {
		if err := intend(twin); err != nil {
			return nil, fmt.Errorf("nothing was signed: %w", err)
		}
	}
	der, err := x509.CreateCertificate(random, template, parent, key, signer)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(twin.RawTBSCertificate, certificate.RawTBSCertificate) {
		return nil, errOtherThanTwin
	}
	if parent == template {
		parent = certificate
	}
	return certificate, certificate.CheckSignatureFrom(parent)
}
