// Package ocsp reads requests for the status of certificates and signs the answers (RFC 6960) with a delegated key.
// golang.org/x/crypto/ocsp does not know nonces, takes one certificate of a request, and reads the clock itself.
package ocsp

import (
	"crypto"
	_ "crypto/sha1" // of CertID; it is no signature
	_ "crypto/sha256"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
)

// Bounds of a request.
const (
	MaxRequest      = 8 << 10 // octets in DER; a request for one certificate has about 100
	maxCertificates = 16      // of one request
	maxNonce        = 128     // octets (RFC 9654 section 2.1)
)

// ErrMalformed: the request cannot be answered, whoever the responder is.
var ErrMalformed = errors.New("malformed OCSP request")

// A CertID names a certificate by hashes of its issuer and by its serial number (RFC 6960 section 4.1.1). The answer
// repeats its octets.
type CertID struct {
	Raw       asn1.RawContent
	Algorithm pkix.AlgorithmIdentifier
	NameHash  []byte
	KeyHash   []byte
	Serial    *big.Int
}

// A Request asks for the status of certificates.
type Request struct {
	Certificates []CertID
	Nonce        []byte // the value of the extension, in DER; nil: none
}

type requestASN1 struct {
	TBS       tbsRequest
	Signature asn1.RawValue `asn1:"explicit,tag:0,optional"` // not checked: everybody gets an answer
}

type tbsRequest struct {
	Version    int           `asn1:"explicit,tag:0,default:0,optional"`
	Requestor  asn1.RawValue `asn1:"explicit,tag:1,optional"`
	List       []singleRequest
	Extensions []pkix.Extension `asn1:"explicit,tag:2,optional"`
}

type singleRequest struct {
	Certificate CertID
	Extensions  []pkix.Extension `asn1:"explicit,tag:0,optional"`
}

// hashes are the hashes of a CertID that an answer can match.
var hashes = map[string]crypto.Hash{"1.3.14.3.2.26": crypto.SHA1, "2.16.840.1.101.3.4.2.1": crypto.SHA256}

var nonceOID = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 2}

// Parse reads a request. Every error wraps ErrMalformed.
func Parse(der []byte) (*Request, error) {
	r, err := parse(der)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return r, nil
}

func parse(der []byte) (*Request, error) {
	if len(der) > MaxRequest {
		return nil, fmt.Errorf("it has %d octets, and at most %d are read", len(der), MaxRequest)
	}
	var read requestASN1
	rest, err := asn1.Unmarshal(der, &read)
	switch {
	case err != nil:
		return nil, err
	case len(rest) > 0:
		return nil, errors.New("octets follow it")
	case read.TBS.Version != 0:
		return nil, fmt.Errorf("its version is %d", read.TBS.Version+1)
	case len(read.TBS.List) == 0 || len(read.TBS.List) > maxCertificates:
		return nil, fmt.Errorf("it asks for %d certificates, want 1 to %d", len(read.TBS.List), maxCertificates)
	}
	r := &Request{}
	for _, one := range read.TBS.List {
		if err := known(one.Extensions); err != nil {
			return nil, err
		}
		r.Certificates = append(r.Certificates, one.Certificate)
	}
	return r, r.readExtensions(read.TBS.Extensions)
}

// known refuses a critical extension, because nothing here knows its meaning.
func known(extensions []pkix.Extension) error {
	for _, e := range extensions {
		if e.Critical {
			return fmt.Errorf("the extension %s is critical, and not known", e.Id)
		}
	}
	return nil
}

func (r *Request) readExtensions(extensions []pkix.Extension) error {
	for _, e := range extensions {
		if !e.Id.Equal(nonceOID) {
			if err := known([]pkix.Extension{e}); err != nil {
				return err
			}
			continue
		}
		var nonce []byte
		rest, err := asn1.Unmarshal(e.Value, &nonce)
		if err != nil || len(rest) > 0 || r.Nonce != nil || len(nonce) == 0 || len(nonce) > maxNonce {
			return fmt.Errorf("want at most one nonce, with 1 to %d octets (RFC 9654 section 2.1)", maxNonce)
		}
		r.Nonce = e.Value
	}
	return nil
}
