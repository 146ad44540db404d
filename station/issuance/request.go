package issuance

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
)

// basicConstraints are those of RFC 5280 section 4.2.1.9.
type basicConstraints struct {
	CA         bool
	PathLength int
}

// CARequest makes the CSR (PKCS#10, DER) of an issuing CA. The CSR asks for the extensions that an issuing CA
// needs, so that a root that copies them (`openssl x509 -req -copy_extensions copy`) signs the right certificate.
func CARequest(commonName, organization string, signer crypto.Signer, random io.Reader) ([]byte, error) {
	key, ok := signer.Public().(*ecdsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("making the request: key is %T: want a P-256 key", signer.Public())
	}
	if commonName == "" || tooLong(commonName) || tooLong(organization) {
		return nil, fmt.Errorf("making the request: %w", errNames)
	}
	extensions, err := caExtensions(key)
	if err != nil {
		return nil, fmt.Errorf("making the request: %w", err)
	}
	der, err := x509.CreateCertificateRequest(random, &x509.CertificateRequest{
		Subject: name(commonName, organization), ExtraExtensions: extensions, SignatureAlgorithm: x509.ECDSAWithSHA256,
	}, signer)
	if err != nil {
		return nil, fmt.Errorf("making the request: %w", err)
	}
	_, err = ParseCARequest(der)
	return der, err
}

func caExtensions(key *ecdsa.PublicKey) ([]pkix.Extension, error) {
	id, err := keyIdentifier(key)
	if err != nil {
		return nil, err
	}
	var list []pkix.Extension
	for _, e := range []struct {
		id       asn1.ObjectIdentifier
		critical bool
		value    any
	}{
		{oidBC, true, basicConstraints{true, 0}},
		{oidKeyUsage, true, asn1.BitString{Bytes: []byte{0x06}, BitLength: 7}}, // keyCertSign, cRLSign (RFC 5280 section 4.2.1.3)
		{oidSKI, false, id},
	} {
		value, err := asn1.Marshal(e.value)
		if err != nil {
			return nil, err
		}
		list = append(list, pkix.Extension{Id: e.id, Critical: e.critical, Value: value})
	}
	return list, nil
}

// Reasons to refuse the CSR of a CA.
var (
	errRequestKey  = errors.New("its key is not P-256, the only kind that boards verify")
	errRequestName = errors.New("its subject is empty")
)

// ParseCARequest reads the CSR of a CA, and checks that its key signed it.
func ParseCARequest(der []byte) (*x509.CertificateRequest, error) {
	request, err := x509.ParseCertificateRequest(der)
	if err == nil {
		err = request.CheckSignature()
	}
	if err != nil {
		return nil, fmt.Errorf("reading the request: %w", err)
	}
	if key, ok := request.PublicKey.(*ecdsa.PublicKey); !ok || key.Curve != elliptic.P256() {
		return nil, fmt.Errorf("reading the request: %w", errRequestKey)
	}
	if len(request.Subject.Names) == 0 {
		return nil, fmt.Errorf("reading the request: %w", errRequestName)
	}
	return request, nil
}

// Requested makes the certificate of an issuing CA whose CSR came from elsewhere: name and key are those of the
// CSR, and everything else is ours.
func Requested(c CAConfig, request *x509.CertificateRequest, issuer *x509.Certificate, signer crypto.Signer, random io.Reader) (*x509.Certificate, error) {
	return Cross(c, &x509.Certificate{RawSubject: request.RawSubject, PublicKey: request.PublicKey}, issuer, signer, random)
}
