package timestamp

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	_ "crypto/sha512" // the digests of authorities
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// A Token is what an authority says.
type Token struct {
	Time      time.Time
	Authority string // subject of its certificate
	nonce     *big.Int
}

// Errors of Verify.
var (
	ErrOtherText = errors.New("the time stamp is of another text")
	ErrSignature = errors.New("the time stamp is not signed by the authority")
)

// The structures of a token: RFC 5652 sections 3 and 5, RFC 3161 section 2.4.2.
type contentInfo struct {
	Type    asn1.ObjectIdentifier
	Content asn1.RawValue `asn1:"explicit,tag:0"`
}

type signedData struct {
	Version      int
	Digests      []pkix.AlgorithmIdentifier `asn1:"set"`
	Content      encapsulated
	Certificates asn1.RawValue `asn1:"optional,tag:0"`
	CRLs         asn1.RawValue `asn1:"optional,tag:1"`
	Signers      []signerInfo  `asn1:"set"`
}

type encapsulated struct {
	Type    asn1.ObjectIdentifier
	Content []byte `asn1:"explicit,optional,tag:0"`
}

type signerInfo struct {
	Version   int
	Signer    issuerAndSerial
	Digest    pkix.AlgorithmIdentifier
	Signed    asn1.RawValue `asn1:"optional,tag:0"`
	Algorithm pkix.AlgorithmIdentifier
	Signature []byte
	Unsigned  asn1.RawValue `asn1:"optional,tag:1"`
}

type issuerAndSerial struct {
	Issuer asn1.RawValue
	Serial *big.Int
}

type attribute struct {
	Type   asn1.ObjectIdentifier
	Values asn1.RawValue `asn1:"set"`
}

type tstInfo struct {
	Version  int
	Policy   asn1.ObjectIdentifier
	Imprint  messageImprint
	Serial   *big.Int
	Time     time.Time     `asn1:"generalized"`
	Accuracy accuracy      `asn1:"optional"`
	Ordering bool          `asn1:"optional"`
	Nonce    *big.Int      `asn1:"optional"`
	Name     asn1.RawValue `asn1:"optional,tag:0"`
	More     asn1.RawValue `asn1:"optional,tag:1"`
}

type accuracy struct {
	Seconds int `asn1:"optional"`
	Millis  int `asn1:"optional,tag:0"`
	Micros  int `asn1:"optional,tag:1"`
}

// Object identifiers: RFC 5652 sections 4, 5.1 and 11, RFC 3161 section 2.4.2, RFC 5035 section 3,
// RFC 2634 section 5.4, RFC 5754.
var (
	oidSignedData    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidTSTInfo       = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 4}
	oidContentType   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	oidMessageDigest = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
	oidSigningCert   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 12}
	oidSigningCert2  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 47}
	oidSHA384        = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}
	oidSHA512        = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}
)

// Verify checks a response: it is about the text, and an authority below the roots signed it.
func Verify(answer, text []byte, roots *x509.CertPool) (*Token, error) {
	data, err := parse(answer)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrResponse, err)
	}
	var info tstInfo
	if err := exactly(data.Content.Content, &info); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrResponse, err)
	}
	sum := sha256.Sum256(text)
	if !info.Imprint.Algorithm.Algorithm.Equal(oidSHA256) || !bytes.Equal(info.Imprint.Hashed, sum[:]) {
		return nil, ErrOtherText
	}
	signer, err := data.verify(roots, info.Time)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSignature, err)
	}
	return &Token{info.Time, signer.Subject.String(), info.Nonce}, nil
}

// exactly decodes DER without anything behind it.
func exactly(der []byte, into any) error {
	rest, err := asn1.Unmarshal(der, into)
	if err == nil && len(rest) > 0 {
		err = errors.New("octets lie behind the structure")
	}
	return err
}

// parse finds the token in the response.
func parse(answer []byte) (*signedData, error) {
	var r response
	if err := exactly(answer, &r); err != nil {
		return nil, err
	}
	if r.Status.Status > 1 { // 0 granted, 1 granted with modifications (RFC 3161 section 2.4.2)
		return nil, fmt.Errorf("the authority refuses with status %d: %.200q", r.Status.Status, r.Status.Text)
	}
	var content contentInfo
	if err := exactly(r.Token.FullBytes, &content); err != nil {
		return nil, err
	}
	var data signedData
	if err := exactly(content.Content.Bytes, &data); err != nil {
		return nil, err
	}
	if !content.Type.Equal(oidSignedData) || !data.Content.Type.Equal(oidTSTInfo) || len(data.Signers) != 1 {
		return nil, errors.New("it is no time stamp token with one signer")
	}
	return &data, nil
}

// verify finds the certificate of the signer, and checks signature and chain as of the time in the token.
func (d *signedData) verify(roots *x509.CertPool, at time.Time) (*x509.Certificate, error) {
	certificates, err := x509.ParseCertificates(d.Certificates.Bytes)
	if err != nil {
		return nil, fmt.Errorf("reading its certificates: %w", err)
	}
	var signer *x509.Certificate
	others := x509.NewCertPool()
	for _, c := range certificates {
		if others.AddCert(c); bytes.Equal(c.RawIssuer, d.Signers[0].Signer.Issuer.FullBytes) && c.SerialNumber.Cmp(d.Signers[0].Signer.Serial) == 0 {
			signer = c
		}
	}
	if signer == nil {
		return nil, errors.New("the token lacks the certificate of its signer")
	}
	if err := d.signature(signer); err != nil {
		return nil, err
	}
	_, err = signer.Verify(x509.VerifyOptions{Roots: roots, Intermediates: others, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping}})
	return signer, err
}

// signature checks the signed attributes and the signature over them (RFC 5652 section 5.4).
func (d *signedData) signature(signer *x509.Certificate) error {
	s := &d.Signers[0]
	hash, err := hashOf(s.Digest.Algorithm)
	if err != nil {
		return err
	}
	if len(s.Signed.FullBytes) == 0 {
		return errors.New("it has no signed attributes")
	}
	if err := d.attributes(hash, signer); err != nil {
		return err
	}
	signed := bytes.Clone(s.Signed.FullBytes)
	signed[0] = 0x31 // SET OF, and not the implicit tag (RFC 5652 section 5.4)
	digest := hash.New()
	_, _ = digest.Write(signed) // a hash never fails
	switch key := signer.PublicKey.(type) {
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(key, hash, digest.Sum(nil), s.Signature)
	case *ecdsa.PublicKey:
		if ecdsa.VerifyASN1(key, digest.Sum(nil), s.Signature) {
			return nil
		}
		return errors.New("the ECDSA signature does not verify")
	}
	return fmt.Errorf("its key is a %T, want RSA or ECDSA", signer.PublicKey)
}

func hashOf(algorithm asn1.ObjectIdentifier) (crypto.Hash, error) {
	switch {
	case algorithm.Equal(oidSHA256):
		return crypto.SHA256, nil
	case algorithm.Equal(oidSHA384):
		return crypto.SHA384, nil
	case algorithm.Equal(oidSHA512):
		return crypto.SHA512, nil
	}
	return 0, fmt.Errorf("its digest is %v, want SHA-256, SHA-384 or SHA-512", algorithm)
}

// attributes checks that the signed attributes are of this token and of this signer.
func (d *signedData) attributes(hash crypto.Hash, signer *x509.Certificate) error {
	values := map[string][]byte{}
	for rest := d.Signers[0].Signed.Bytes; len(rest) > 0; {
		var a attribute
		var err error
		if rest, err = asn1.Unmarshal(rest, &a); err != nil {
			return fmt.Errorf("reading its signed attributes: %w", err)
		}
		values[a.Type.String()] = a.Values.Bytes
	}
	var kind asn1.ObjectIdentifier
	var digest []byte
	if err := errors.Join(exactly(values[oidContentType.String()], &kind), exactly(values[oidMessageDigest.String()], &digest)); err != nil {
		return fmt.Errorf("reading its signed attributes: %w", err)
	}
	sum := hash.New()
	_, _ = sum.Write(d.Content.Content) // a hash never fails
	if !kind.Equal(oidTSTInfo) || !bytes.Equal(digest, sum.Sum(nil)) {
		return errors.New("its signed attributes are of another content")
	}
	return namesSigner(values[oidSigningCert.String()], values[oidSigningCert2.String()], signer)
}

// The attributes that name the certificate of the signer (RFC 5035 section 3, RFC 2634 section
// 5.4). RFC 3161 section 2.4.2 wants one of them, so that nobody can exchange the certificate.
type signingCertificate struct {
	IDs      []asn1.RawValue
	Policies asn1.RawValue `asn1:"optional"`
}

type certificateID struct {
	Hash   []byte
	Issuer asn1.RawValue `asn1:"optional"`
}

type certificateID2 struct {
	Algorithm pkix.AlgorithmIdentifier `asn1:"optional"` // left out: SHA-256
	Hash      []byte
	Issuer    asn1.RawValue `asn1:"optional"`
}

func namesSigner(old, now []byte, signer *x509.Certificate) error {
	var names signingCertificate
	text := now
	if len(now) == 0 {
		text = old
	}
	if err := exactly(text, &names); err != nil || len(names.IDs) == 0 {
		return errors.New("its signed attributes do not name the certificate of the signer")
	}
	var named, want []byte
	if len(now) == 0 {
		var id certificateID
		if err := exactly(names.IDs[0].FullBytes, &id); err != nil {
			return err
		}
		sum := sha1.Sum(signer.Raw) // RFC 2634: the name of a certificate, not a signature
		named, want = id.Hash, sum[:]
	} else {
		var id certificateID2
		if err := exactly(names.IDs[0].FullBytes, &id); err != nil {
			return err
		}
		hash := crypto.SHA256
		if len(id.Algorithm.Algorithm) > 0 {
			var err error
			if hash, err = hashOf(id.Algorithm.Algorithm); err != nil {
				return err
			}
		}
		sum := hash.New()
		_, _ = sum.Write(signer.Raw) // a hash never fails
		named, want = id.Hash, sum.Sum(nil)
	}
	if !bytes.Equal(named, want) {
		return errors.New("its signed attributes name another certificate")
	}
	return nil
}
