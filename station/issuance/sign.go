package issuance

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
)

// MaxCertificate is the largest certificate in octets (PROTOCOL.md section 4 "write", slots 2 and 3).
const MaxCertificate = 1024

// maxSignature is the most octets that seal adds to a TBSCertificate: the header of
// the outer SEQUENCE, the algorithm, the header of the BIT STRING, and an
// ECDSA-Sig-Value with two integers of 33 octets.
const maxSignature = 4 + 12 + 3 + 72

// Certificate is the certificate that a board gets.
type Certificate struct {
	DER                []byte
	Serial             [16]byte
	SHA256, SPKISHA256 [32]byte // of DER, and of the SubjectPublicKeyInfo in it
	Stored             bool     // true: it was issued earlier, nothing was signed now (I9)
}

// grant decides every octet that will be signed.
func (i *Issuer) grant(req Request, profile *Profile, key *ecdsa.PublicKey, spki []byte) (*Grant, error) {
	serial, err := NewSerial(i.config.Random)
	if err != nil {
		return nil, err
	}
	notBefore, notAfter := profile.Validity(i.config.Now())
	if notAfter.After(i.config.Issuer.NotAfter) {
		return nil, fmt.Errorf("%w: until %v, the issuer until %v", ErrOutlives, notAfter, i.config.Issuer.NotAfter)
	}
	tbs, err := profile.tbs(i.config.Issuer, serial, validity{notBefore, notAfter}, key, board{req.BoardID, req.HardwareID})
	if err != nil {
		return nil, fmt.Errorf("writing the TBSCertificate: %w", err)
	}
	if size := sealedSize(tbs); size > profile.MaxOctets() {
		return nil, fmt.Errorf("%w: it could have %d octets, profile %s allows %d", ErrDoesNotFit, size, profile.Name(), profile.MaxOctets())
	}
	return &Grant{
		issuer: i,
		tbs:    tbs,
		intent: Intent{
			Key: Key{BoardID: req.BoardID, Purpose: profile.Purpose(), SPKISHA256: sha256.Sum256(spki),
				ProfileSHA256: profile.SHA256(), IssuerSHA256: i.spki},
			Run: req.Run, Serial: serial, TBSSHA256: sha256.Sum256(tbs), Profile: profile.Name(), Algorithm: profile.Algorithm(),
			NotBefore: notBefore, NotAfter: notAfter, CSRSHA256: sha256.Sum256(req.CSR), Rework: req.Rework,
		},
	}, nil
}

// NewSerial draws 126 random bits and puts the bits 01 before them. So the number is
// positive and always has 16 octets in DER (RFC 5280 section 4.1.2.2, I2).
func NewSerial(random io.Reader) (serial [16]byte, err error) {
	if _, err := io.ReadFull(random, serial[:]); err != nil {
		return serial, fmt.Errorf("drawing a serial number: %w", err)
	}
	serial[0] = serial[0]&0x3f | 0x40
	return serial, nil
}

// tbs writes everything that is signed for a board.
func (p *Profile) tbs(issuer *x509.Certificate, serial [16]byte, v validity, key *ecdsa.PublicKey, b board) ([]byte, error) {
	subject, err := p.subject(b)
	if err != nil {
		return nil, fmt.Errorf("writing the subject: %w", err)
	}
	spki, err := keyDER(key)
	if err != nil {
		return nil, fmt.Errorf("writing the public key: %w", err)
	}
	extensions, err := p.extensions(issuer, key, b)
	if err != nil {
		return nil, fmt.Errorf("writing the extensions: %w", err)
	}
	return marshalTBS(tbsCertificate{
		Version:    2, // v3
		Serial:     new(big.Int).SetBytes(serial[:]),
		Signature:  algorithm{oidECDSAWithSHA256},
		Issuer:     raw(issuer.RawSubject),
		Validity:   v,
		Subject:    raw(subject),
		Key:        raw(spki),
		Extensions: extensions,
	})
}

func (p *Profile) extensions(issuer *x509.Certificate, key *ecdsa.PublicKey, b board) ([]extension, error) {
	names, err := p.alternativeName(b)
	if err != nil {
		return nil, err
	}
	id, err := keyIdentifier(key)
	if err != nil {
		return nil, err
	}
	authority, err := authorityKeyID(issuer.SubjectKeyId)
	if err != nil {
		return nil, err
	}
	return slices.Concat(p.fixed, names, []extension{{ID: oidSKI, Value: mustDER(id)}, {ID: oidAKI, Value: authority}}), nil
}

// sealedSize gives the most octets that a certificate with this TBSCertificate can have.
func sealedSize(tbs []byte) int { return len(tbs) + maxSignature }

// Sign redeems the grant. It returns the stored certificate if there is one for this
// request (I9), else it signs exactly what was granted. When the error wraps
// ErrUnresolved, the HSM may have signed; see there. The end of the caller's context
// stops Sign until the HSM is called, and not after that.
func (i *Issuer) Sign(ctx context.Context, grant *Grant) (*Certificate, error) {
	if grant == nil || grant.issuer != i {
		return nil, ErrGrantForeign
	}
	if grant.used.Swap(true) {
		return nil, ErrGrantUsed
	}
	// 1. The intent is durable before the HSM is asked (I1, I2, I8). If a stored
	// certificate answers the request, the HSM is not asked at all (I9). The serial number
	// of the grant is then never used, so no error names it.
	stored, err := i.config.Store.Intend(ctx, grant.intent)
	switch {
	case err != nil:
		return nil, fmt.Errorf("writing the intent: %w", err)
	case stored != nil:
		return i.stored(stored)
	}
	certificate, err := i.sign(ctx, grant)
	if err != nil {
		return nil, fmt.Errorf("signing certificate %x: %w", grant.intent.Serial, err)
	}
	return certificate, nil
}

// sign signs after the intent is durable.
func (i *Issuer) sign(ctx context.Context, grant *Grant) (*Certificate, error) {
	// 2. The HSM signs. From here on the outcome is written even if the caller gives up.
	signature, err := i.ask(ctx, grant)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), i.config.StoreTimeout)
	defer cancel()
	if err != nil {
		return nil, i.abandon(ctx, grant, err)
	}
	// 3. The certificate must be exactly what was granted.
	certificate, err := i.finished(grant, signature)
	if err != nil {
		return nil, i.abandon(ctx, grant, fmt.Errorf("%w: %w", ErrUnresolved, err))
	}
	// 4. The certificate is durable before anybody gets it.
	if err := i.config.Store.Issued(ctx, grant.intent.Serial, certificate.DER); err != nil {
		return nil, i.abandon(ctx, grant, fmt.Errorf("%w: storing the certificate: %w", ErrUnresolved, err))
	}
	return certificate, nil
}

// ask has the HSM sign the digest that the intent names.
func (i *Issuer) ask(ctx context.Context, grant *Grant) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotSigned, err)
	}
	signature, err := i.config.Signer.Sign(i.config.Random, grant.intent.TBSSHA256[:], crypto.SHA256)
	switch {
	case err == nil:
		return signature, nil
	case certainlyNotSigned(err):
		return nil, fmt.Errorf("%w: %w", ErrNotSigned, err)
	default:
		return nil, fmt.Errorf("%w: %w", ErrUnresolved, err)
	}
}

// abandon closes the intent. If that is not possible either, the intent stays open,
// and the registry closes it as unresolved at its next start (I10).
func (i *Issuer) abandon(ctx context.Context, grant *Grant, cause error) error {
	if err := i.config.Store.Failed(ctx, grant.intent.Serial, cause); err != nil {
		return errors.Join(cause, fmt.Errorf("closing the intent: %w", err))
	}
	return cause
}

// finished assembles the certificate, parses it and checks it.
func (i *Issuer) finished(grant *Grant, signature []byte) (*Certificate, error) {
	der, err := seal(grant.tbs, signature)
	if err != nil {
		return nil, fmt.Errorf("assembling: %w", err)
	}
	parsed, err := i.parse(der)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(parsed.RawTBSCertificate, grant.tbs) {
		return nil, errors.New("comparing: the certificate is not what was granted")
	}
	return describe(parsed), nil
}

// parse reads a certificate and checks that the issuer signed it. New has checked that
// the issuer chains to the root.
func (i *Issuer) parse(der []byte) (*x509.Certificate, error) {
	if len(der) > MaxCertificate {
		return nil, fmt.Errorf("%w: it has %d", ErrDoesNotFit, len(der))
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("reading it again: %w", err)
	}
	if err := parsed.CheckSignatureFrom(i.config.Issuer); err != nil {
		return nil, fmt.Errorf("checking the signature: %w", err)
	}
	return parsed, nil
}

// stored reads a certificate that was issued earlier.
func (i *Issuer) stored(der []byte) (*Certificate, error) {
	parsed, err := i.parse(der)
	if err != nil {
		return nil, fmt.Errorf("stored certificate with SHA-256 %x: %w", sha256.Sum256(der), err)
	}
	certificate := describe(parsed)
	certificate.Stored = true
	return certificate, nil
}

func describe(parsed *x509.Certificate) *Certificate {
	c := &Certificate{
		DER:        parsed.Raw,
		SHA256:     sha256.Sum256(parsed.Raw),
		SPKISHA256: sha256.Sum256(parsed.RawSubjectPublicKeyInfo),
	}
	parsed.SerialNumber.FillBytes(c.Serial[:])
	return c
}
