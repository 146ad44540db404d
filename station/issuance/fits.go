package issuance

import (
	"crypto/x509"
	"errors"
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

// Outlives refuses an issuing CA that ends before a certificate which is made at now. The zero time stands for a CA
// without an end.
func (p *Profile) Outlives(issuerEnd, now time.Time) error {
	if _, end := p.Validity(now); !issuerEnd.IsZero() && end.After(issuerEnd) {
		return fmt.Errorf("profile %s: %w: boards' certificates would be valid until %s, the issuing CA until %s; write a shorter validity into a profile of your own",
			p.Name(), ErrOutlives, end.UTC().Format(time.DateOnly), issuerEnd.UTC().Format(time.DateOnly))
	}
	return nil
}

// PlannedIssuer describes an issuing CA that is not made yet, for FitsIssuer.
func (c CAConfig) PlannedIssuer() (*x509.Certificate, error) {
	template, err := c.template(zeros{})
	if err != nil {
		return nil, errors.Join(errNames, err)
	}
	return template, nil
}

// zeros stand for the random octets of a serial number that is never used.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
