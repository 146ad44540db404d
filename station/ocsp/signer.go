package ocsp

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"hallmark/station/reason"
	"hallmark/station/workdir"
)

// Refusals of the delegated key and its certificate.
var (
	// ErrMissing: a part of the pair does not exist.
	ErrMissing = reason.New("ocsp-missing", "there is no OCSP key or no certificate for it")
	// ErrOtherKey: the certificate is for another key.
	ErrOtherKey = reason.New("ocsp-other-key", "the OCSP certificate is not for the OCSP key")
	// ErrUnfit: clients would refuse the answers (RFC 6960 section 4.2.2.2).
	ErrUnfit = reason.New("ocsp-unfit", "the OCSP certificate is not one of this issuing CA for signing OCSP answers")
	// ErrEnded: the certificate is not valid any more.
	ErrEnded = reason.New("ocsp-ended", "the OCSP certificate has ended")
)

// ErrEnding: a warning. The Signer still works.
var ErrEnding = errors.New("the OCSP certificate ends soon")

// Load reads the delegated key and its certificate, and checks that both serve for the issuing CA.
func Load(certificate, key string, issuing *x509.Certificate) (*Signer, error) {
	read, err := workdir.ReadCertificate(certificate)
	if err != nil {
		return nil, missing(err)
	}
	private, err := workdir.ReadPrivateKey(key)
	if err != nil {
		return nil, missing(err)
	}
	if !private.PublicKey.Equal(read.PublicKey) {
		return nil, fmt.Errorf("%s: %w", certificate, ErrOtherKey)
	}
	signer, err := newSigner(read, private, issuing)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", certificate, err)
	}
	return signer, nil
}

func missing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", ErrMissing, err)
	}
	return err
}

func newSigner(certificate *x509.Certificate, key *ecdsa.PrivateKey, issuing *x509.Certificate) (*Signer, error) {
	if key.Curve != elliptic.P256() {
		return nil, fmt.Errorf("%w: its key is not P-256", ErrUnfit)
	}
	if err := certificate.CheckSignatureFrom(issuing); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnfit, err)
	}
	if !slices.Contains(certificate.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning) {
		return nil, fmt.Errorf("%w: it lacks the extended key usage OCSPSigning", ErrUnfit)
	}
	ours, err := publicKey(certificate)
	if err != nil {
		return nil, err
	}
	id := sha1.Sum(ours) // of the key, as RFC 6960 section 4.2.1 has it
	octets, err := asn1.Marshal(id[:])
	if err != nil {
		return nil, err
	}
	s := &Signer{Certificate: certificate, key: key, responder: asn1.RawValue{Class: contextClass, Tag: 2, IsCompound: true, Bytes: octets}, issuer: map[crypto.Hash]issuerHashes{}}
	theirs, err := publicKey(issuing)
	if err != nil {
		return nil, err
	}
	for _, hash := range hashes {
		s.issuer[hash] = issuerHashes{digest(hash, issuing.RawSubject), digest(hash, theirs)}
	}
	return s, nil
}

// publicKey gives the octets of the key without algorithm and unused bits, as CertID hashes them.
func publicKey(certificate *x509.Certificate) ([]byte, error) {
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(certificate.RawSubjectPublicKeyInfo, &info); err != nil {
		return nil, fmt.Errorf("reading the key of a certificate: %w", err)
	}
	return info.Key.RightAlign(), nil
}

func digest(hash crypto.Hash, octets []byte) []byte {
	h := hash.New()
	h.Write(octets)
	return h.Sum(nil)
}

// renewBefore is the longest time before the end of a certificate in which it ends soon.
const renewBefore = 7 * 24 * time.Hour

// CheckExpiry returns ErrEnded or ErrEnding if the certificate has ended or will end soon: in a week, or in the last quarter of
// its validity.
func CheckExpiry(certificate *x509.Certificate, now time.Time) error {
	left := certificate.NotAfter.Sub(now)
	at := certificate.NotAfter.UTC().Format(time.RFC3339)
	switch {
	case left <= 0:
		return fmt.Errorf("%w at %s", ErrEnded, at)
	case left < min(renewBefore, certificate.NotAfter.Sub(certificate.NotBefore)/4):
		return fmt.Errorf("%s: %w", at, ErrEnding)
	}
	return nil
}
