package evidence

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"time"
)

// A detached CMS signature (RFC 5652) over a file, with one signer, its certificate, the issuing CA if it signed
// that certificate, and three signed attributes. `openssl cms -verify -binary -inform DER -content FILE` accepts it.

// Object identifiers.
var (
	oidData          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1} // RFC 5652 section 4
	oidSignedData    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2} // section 5.1
	oidContentType   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3} // section 11.1
	oidMessageDigest = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4} // section 11.2
	oidSigningTime   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 5} // section 11.3
	oidSHA256        = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	oidECDSASHA256   = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2} // RFC 5758 section 3.2
)

type contentInfo struct { // section 3
	Type    asn1.ObjectIdentifier
	Content signedData `asn1:"explicit,tag:0"`
}

type signedData struct { // section 5.1
	Version      int
	Digests      []pkix.AlgorithmIdentifier `asn1:"set"`
	Encapsulated struct{ Type asn1.ObjectIdentifier }
	Certificates asn1.RawValue
	Signers      []signerInfo `asn1:"set"`
}

type signerInfo struct { // section 5.3
	Version   int
	Signer    issuerAndSerial
	Digest    pkix.AlgorithmIdentifier
	Signed    asn1.RawValue // the signed attributes, [0] IMPLICIT
	Algorithm pkix.AlgorithmIdentifier
	Signature []byte
}

type issuerAndSerial struct { // section 10.2.4
	Issuer asn1.RawValue
	Serial *big.Int
}

type attribute struct { // section 5.3
	Type   asn1.ObjectIdentifier
	Values []asn1.RawValue `asn1:"set"`
}

// A Signer signs the files of a bundle, and other files that leave the station.
type Signer struct {
	Certificate *x509.Certificate // of the audit key
	Issuing     *x509.Certificate // the CA between Certificate and the root; nil: the root signed Certificate
	Key         crypto.Signer     // the audit key, in the HSM
	Now         func() time.Time
	Random      io.Reader
}

// Sign gives the signature over a content with this SHA-256.
func (s *Signer) Sign(content [sha256.Size]byte) ([]byte, error) {
	attributes, err := signedAttributes(content, s.Now())
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(attributes)
	signature, err := s.Key.Sign(s.Random, sum[:], crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("signing a file with the audit key: %w", err)
	}
	return encodeCMS(s.Certificate, s.Issuing, attributes, signature)
}

// signedAttributes gives the attributes as they are signed: a SET OF in DER (section 5.4).
func signedAttributes(content digest, at time.Time) ([]byte, error) {
	var set [][]byte
	for _, a := range []struct {
		oid   asn1.ObjectIdentifier
		value any
	}{{oidContentType, oidData}, {oidSigningTime, at.UTC().Truncate(time.Second)}, {oidMessageDigest, content[:]}} {
		value, err := asn1.Marshal(a.value)
		if err != nil {
			return nil, err
		}
		encoded, err := asn1.Marshal(attribute{a.oid, []asn1.RawValue{{FullBytes: value}}})
		if err != nil {
			return nil, err
		}
		set = append(set, encoded)
	}
	slices.SortFunc(set, bytes.Compare) // X.690 section 11.6
	return asn1.Marshal(asn1.RawValue{Class: asn1.ClassUniversal, Tag: asn1.TagSet, IsCompound: true, Bytes: bytes.Join(set, nil)})
}

// encodeCMS gives the only form of a signature that this package writes and takes.
func encodeCMS(certificate, issuing *x509.Certificate, attributes, signature []byte) ([]byte, error) {
	var set asn1.RawValue
	if _, err := asn1.Unmarshal(attributes, &set); err != nil {
		return nil, err
	}
	certificates := [][]byte{certificate.Raw}
	if issuing != nil {
		certificates = append(certificates, issuing.Raw)
		slices.SortFunc(certificates, bytes.Compare) // X.690 section 11.6
	}
	sha := pkix.AlgorithmIdentifier{Algorithm: oidSHA256}
	data := signedData{Version: 1, Digests: []pkix.AlgorithmIdentifier{sha}, Certificates: implicit(bytes.Join(certificates, nil))}
	data.Encapsulated.Type = oidData
	data.Signers = []signerInfo{{Version: 1, Signer: issuerAndSerial{asn1.RawValue{FullBytes: certificate.RawIssuer}, certificate.SerialNumber}, Digest: sha,
		Signed: implicit(set.Bytes), Algorithm: pkix.AlgorithmIdentifier{Algorithm: oidECDSASHA256}, Signature: signature}}
	return asn1.Marshal(contentInfo{oidSignedData, data})
}

var errCMS = errors.New("not a CMS signature of a station")

// checkCMS checks a signature over a content with this SHA-256 by the key of the certificate, and
// gives the time that the signer says. A signature in another form is refused, so that no octet of
// the file is free.
func checkCMS(signed []byte, content digest, certificate, issuing *x509.Certificate) (at time.Time, err error) {
	var info contentInfo
	rest, err := asn1.Unmarshal(signed, &info)
	if err != nil || len(rest) > 0 || len(info.Content.Signers) != 1 {
		return at, errCMS
	}
	signer := info.Content.Signers[0]
	attributes, at, err := readAttributes(signer.Signed.Bytes)
	if err != nil {
		return at, err
	}
	key, ok := certificate.PublicKey.(*ecdsa.PublicKey)
	if sum := sha256.Sum256(attributes); !ok || !ecdsa.VerifyASN1(key, sum[:], signer.Signature) {
		return at, errors.New("the audit key did not sign it")
	}
	if want, err := signedAttributes(content, at); err != nil || !bytes.Equal(want, attributes) {
		return at, errors.New("the signature is over another file")
	}
	if want, err := encodeCMS(certificate, issuing, attributes, signer.Signature); err != nil || !bytes.Equal(want, signed) {
		return at, errCMS
	}
	return at, nil
}

// readAttributes gives the signed attributes as they were signed, and the time among them.
func readAttributes(content []byte) (set []byte, at time.Time, err error) {
	set, err = asn1.Marshal(asn1.RawValue{Class: asn1.ClassUniversal, Tag: asn1.TagSet, IsCompound: true, Bytes: content})
	for err == nil && len(content) > 0 {
		var a attribute
		if content, err = asn1.Unmarshal(content, &a); err == nil && a.Type.Equal(oidSigningTime) && len(a.Values) == 1 {
			_, err = asn1.Unmarshal(a.Values[0].FullBytes, &at)
		}
	}
	if err != nil {
		return nil, at, errCMS
	}
	return set, at, nil
}

// CertificatesOnly gives SignedData without content and without signature, whose certificates keep their order
// (RFC 5652 section 5.1; "certs-only" in RFC 8551 section 3.8).
func CertificatesOnly(certificates ...[]byte) ([]byte, error) {
	data := signedData{Version: 1, Certificates: implicit(bytes.Join(certificates, nil))}
	data.Encapsulated.Type = oidData
	return asn1.Marshal(contentInfo{oidSignedData, data})
}

// implicit gives a constructed value with the tag [0] IMPLICIT.
func implicit(content []byte) asn1.RawValue {
	return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: content}
}
