package ocsp

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"time"
)

// Answers without a signature (RFC 6960 section 4.2.1).
var (
	Malformed     = []byte{0x30, 0x03, 0x0a, 0x01, 0x01}
	InternalError = []byte{0x30, 0x03, 0x0a, 0x01, 0x02}
	TryLater      = []byte{0x30, 0x03, 0x0a, 0x01, 0x03}
)

// State is what is known of a certificate.
type State int

// The states of RFC 6960 section 2.2. Unknown is the zero value, so nothing is good by default.
const (
	Unknown State = iota
	Good
	Revoked
)

// A Status is the state of a certificate.
type Status struct {
	State     State
	RevokedAt time.Time
	Reason    int // RFC 5280 section 5.3.1
}

// A Signer signs answers for one issuing CA.
type Signer struct {
	Certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	responder   asn1.RawValue // the responder's ID, by key
	issuer      map[crypto.Hash]issuerHashes
}

type issuerHashes struct{ name, key []byte }

type singleAnswer struct {
	Certificate CertID
	Status      asn1.RawValue
	ThisUpdate  time.Time `asn1:"generalized"`
	NextUpdate  time.Time `asn1:"generalized,explicit,tag:0"`
}

type answerData struct {
	Responder  asn1.RawValue
	ProducedAt time.Time `asn1:"generalized"`
	Answers    []singleAnswer
	Extensions []pkix.Extension `asn1:"explicit,tag:1,optional,omitempty"`
}

type basicAnswer struct {
	Data         asn1.RawValue
	Algorithm    pkix.AlgorithmIdentifier
	Signature    asn1.BitString
	Certificates []asn1.RawValue `asn1:"explicit,tag:0"`
}

type answerASN1 struct {
	Status asn1.Enumerated
	Bytes  struct {
		Type  asn1.ObjectIdentifier
		Basic []byte
	} `asn1:"explicit,tag:0"`
}

type revokedInfo struct {
	Time   time.Time       `asn1:"generalized"`
	Reason asn1.Enumerated `asn1:"explicit,tag:0,optional"` // 0 is left out: unspecified (RFC 5280 section 5.3.1)
}

var (
	basicOID     = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 1}
	ecdsaSHA256  = pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}}
	goodDER      = asn1.RawValue{FullBytes: []byte{0x80, 0}}
	unknownDER   = asn1.RawValue{FullBytes: []byte{0x82, 0}}
	contextClass = asn1.ClassContextSpecific
)

// Answer signs the answer to a request. lookup gives the status of a serial number of the issuing CA; a certificate
// of another issuer is unknown. The answer ends after validity, and not later than the certificate of the Signer.
func (s *Signer) Answer(r *Request, lookup func(serial *big.Int) (Status, error), now time.Time, validity time.Duration) ([]byte, error) {
	now = now.UTC().Truncate(time.Second)
	end := now.Add(validity).Truncate(time.Second)
	if end.After(s.Certificate.NotAfter) {
		end = s.Certificate.NotAfter.UTC()
	}
	data := answerData{Responder: s.responder, ProducedAt: now}
	for _, id := range r.Certificates {
		var status Status
		var err error
		if s.issued(id) {
			if status, err = lookup(id.Serial); err != nil {
				return nil, err
			}
		}
		one := singleAnswer{Certificate: id, ThisUpdate: now, NextUpdate: end}
		if one.Status, err = status.der(); err != nil {
			return nil, err
		}
		data.Answers = append(data.Answers, one)
	}
	if r.Nonce != nil {
		data.Extensions = []pkix.Extension{{Id: nonceOID, Value: r.Nonce}}
	}
	return s.sign(data)
}

// issued reports whether the certificate names the issuing CA of the Signer.
func (s *Signer) issued(id CertID) bool {
	ours, known := s.issuer[hashes[id.Algorithm.Algorithm.String()]]
	return known && bytes.Equal(id.NameHash, ours.name) && bytes.Equal(id.KeyHash, ours.key)
}

func (s Status) der() (asn1.RawValue, error) {
	switch s.State {
	case Good:
		return goodDER, nil
	case Revoked:
		octets, err := asn1.MarshalWithParams(revokedInfo{s.RevokedAt.UTC(), asn1.Enumerated(s.Reason)}, "tag:1")
		return asn1.RawValue{FullBytes: octets}, err
	}
	return unknownDER, nil
}

func (s *Signer) sign(data answerData) ([]byte, error) {
	octets, err := asn1.Marshal(data)
	if err != nil {
		return nil, fmt.Errorf("encoding an OCSP answer: %w", err)
	}
	digest := sha256.Sum256(octets)
	signature, err := ecdsa.SignASN1(rand.Reader, s.key, digest[:])
	if err != nil {
		return nil, fmt.Errorf("signing an OCSP answer: %w", err)
	}
	answer := answerASN1{}
	answer.Bytes.Type = basicOID
	answer.Bytes.Basic, err = asn1.Marshal(basicAnswer{Data: asn1.RawValue{FullBytes: octets}, Algorithm: ecdsaSHA256,
		Signature: asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}, Certificates: []asn1.RawValue{{FullBytes: s.Certificate.Raw}}})
	if err != nil {
		return nil, fmt.Errorf("encoding an OCSP answer: %w", err)
	}
	return asn1.Marshal(answer)
}
