package instance

import (
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"hallmark/station/issuance"
	"hallmark/station/reason"
)

// renewIssuing is how long before the first refused board a health check asks for a new issuing CA: people have to meet at the root.
const renewIssuing = 90 * 24 * time.Hour

// ErrIssuingEnding: soon no board gets a certificate, because the certificate would outlive the issuing CA.
var ErrIssuingEnding = errors.New("have a new issuing CA signed by the root, or adopt a profile with a shorter validity; docs/ceremony.md, \"The issuing CA ends\"")

// CheckIssuingEnd returns issuance.ErrOutlives if a board's certificate of a profile would outlive the issuing CA now, and
// ErrIssuingEnding if it would soon.
func CheckIssuingEnd(profiles []*issuance.Profile, issuing *x509.Certificate, now time.Time) error {
	for _, profile := range profiles {
		if err := profile.Outlives(issuing.NotAfter, now); err != nil {
			return err
		}
	}
	for _, profile := range profiles {
		if profile.Outlives(issuing.NotAfter, now.Add(renewIssuing)) != nil {
			_, end := profile.Validity(now)
			last := now.Add(issuing.NotAfter.Sub(end))
			return fmt.Errorf("the issuing CA ends on %s, so profile %s gives no certificate after %s, in %s: %w", issuing.NotAfter.UTC().Format(time.DateOnly),
				profile.Name(), last.UTC().Format(time.DateOnly), reason.Count(last.Sub(now)/(24*time.Hour), "day", "days"), ErrIssuingEnding)
		}
	}
	return nil
}
