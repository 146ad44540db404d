package verifier

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"

	"hallmark/station/workdir"
)

// maxCRL is the size of the largest CRL that is read, in octets: about a million entries.
const maxCRL = 64 << 20

// A Revocations refuses certificates that were revoked.
type Revocations interface {
	// Check gets a chain from the leaf to the root, and refuses with ErrRevoked, ErrNoCRL or ErrStatusStale.
	Check(chain []*x509.Certificate) error
}

// A crl is a certificate revocation list (RFC 5280 section 5). It does not change.
type crl struct {
	issuer             *x509.Certificate
	number             *big.Int
	sum                [sha256.Size]byte
	issued, nextUpdate time.Time
	revoked            map[string]bool // by the octets of the serial number
}

func (c *crl) kind() string                           { return "crl" }
func (c *crl) authorityKey() [sha256.Size]byte        { return keyOf(c.issuer) }
func (c *crl) version() (*big.Int, [sha256.Size]byte) { return c.number, c.sum }
func (c *crl) times() (issued, nextUpdate time.Time)  { return c.issued, c.nextUpdate }
func (c *crl) describe() string {
	return fmt.Sprintf("CRL %v of %s, next update %s", c.number, c.issued.UTC().Format(time.RFC3339), c.nextUpdate.UTC().Format(time.RFC3339))
}

// readCRL reads a CRL in DER or PEM, and refuses a CRL that none of the authorities has signed.
func readCRL(path string, authorities []*x509.Certificate) (*crl, error) {
	octets, err := workdir.ReadUpTo(path, maxCRL)
	if err != nil {
		return nil, fmt.Errorf("reading a CRL: %w", err)
	}
	list, err := parseCRL(octets)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	issuer, err := signerOf(list, authorities)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	made := &crl{issuer: issuer, number: list.Number, sum: sha256.Sum256(octets), issued: list.ThisUpdate, nextUpdate: list.NextUpdate,
		revoked: make(map[string]bool, len(list.RevokedCertificateEntries))}
	for _, entry := range list.RevokedCertificateEntries {
		made.revoked[string(entry.SerialNumber.Bytes())] = true
	}
	return made, nil
}

func parseCRL(octets []byte) (*x509.RevocationList, error) {
	if block, rest := pem.Decode(octets); block != nil {
		if block.Type != "X509 CRL" || len(bytes.TrimSpace(rest)) > 0 {
			return nil, fmt.Errorf("%w: want one CRL in DER or PEM, and nothing else", ErrStatusDamaged)
		}
		octets = block.Bytes
	}
	list, err := x509.ParseRevocationList(octets)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrStatusDamaged, err)
	case list.Number == nil || list.NextUpdate.IsZero():
		return nil, fmt.Errorf("%w: want a CRL with a number and a next update", ErrStatusDamaged)
	}
	return list, refuseCritical(list)
}

// refuseCritical refuses a CRL whose critical extensions change what its entries mean, such as a delta CRL (RFC 5280
// section 5.2).
func refuseCritical(list *x509.RevocationList) error {
	for _, extension := range list.Extensions {
		if extension.Critical {
			return fmt.Errorf("%w: the critical extension %v: want a full CRL of one CA", ErrStatusDamaged, extension.Id)
		}
	}
	for _, entry := range list.RevokedCertificateEntries {
		for _, extension := range entry.Extensions {
			if extension.Critical {
				return fmt.Errorf("%w: the critical extension %v in an entry: want a full CRL of one CA", ErrStatusDamaged, extension.Id)
			}
		}
	}
	return nil
}

// signerOf finds the CA that signed the list.
func signerOf(list *x509.RevocationList, authorities []*x509.Certificate) (*x509.Certificate, error) {
	refusal := fmt.Errorf("%w: its issuer is %q", ErrStatusForeign, list.Issuer)
	for _, ca := range authorities {
		if !bytes.Equal(ca.RawSubject, list.RawIssuer) || !mayRevoke(ca) {
			continue
		}
		err := list.CheckSignatureFrom(ca)
		if err == nil {
			return ca, nil
		}
		refusal = fmt.Errorf("%w: %w", ErrStatusForged, err)
	}
	return nil, refusal
}
