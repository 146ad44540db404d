package issuance

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"time"
)

// FitsIssuer refuses an issuing CA whose name or path length the profile's standard does not allow. Each refusal wraps
// ErrIssuerUnfit.
func (p *Profile) FitsIssuer(issuer *x509.Certificate) error {
	if err := p.fitsMatter(issuer); err != nil {
		return fmt.Errorf("profile %s: %w: %w", p.Name(), ErrIssuerUnfit, err)
	}
	return nil
}

// Outlives refuses an issuing CA that ends before a certificate which is made at now.
func (p *Profile) Outlives(issuerEnd, now time.Time) error {
	if _, end := p.Validity(now); end.After(issuerEnd) {
		return fmt.Errorf("profile %s: %w: boards' certificates would be valid until %s, the issuing CA until %s; write a shorter validity into a profile of your own; a station that exists takes it with `station profile adopt FILE`",
			p.Name(), ErrOutlives, end.UTC().Format(time.RFC3339), issuerEnd.UTC().Format(time.RFC3339))
	}
	return nil
}

// Preview makes a CA certificate as it will be, but for its key: a key that is thrown away has signed it, and its issuer is
// itself.
func (c CAConfig) Preview() (*x509.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template, err := c.template(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("describing the issuing CA: %w", err)
	}
	if template.SubjectKeyId, err = keyIdentifier(&key.PublicKey); err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("describing the issuing CA: %w", err)
	}
	return x509.ParseCertificate(der)
}
