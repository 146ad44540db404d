package registry

import (
	"context"
	"crypto/x509"
	"fmt"
	"math/big"
	"time"
)

// revocationCodes are the reason codes of RFC 5280, 5.3.1, for the reasons that a station records. Another reason has
// code 0, unspecified.
var revocationCodes = map[string]int{ReasonKeyCompromise: 1, "affiliationChanged": 3, "superseded": 4, "cessationOfOperation": 5, "privilegeWithdrawn": 9}

// Revoked lists the certificates that an issuing key signed and that verifiers must refuse, in the order of their
// intents: revoked ones, superseded ones, and those of boards that were scrapped. issuer is the SHA-256 of the key's
// SubjectPublicKeyInfo.
func (r *Reader) Revoked(ctx context.Context, issuer [32]byte) (list []x509.RevocationListEntry, err error) {
	rows, err := r.db.QueryContext(ctx, `SELECT serial, changed, CASE status WHEN 'superseded' THEN 'superseded' WHEN 'scrapped' THEN 'cessationOfOperation' ELSE reason END
		FROM certificates WHERE status IN ('revoked', 'superseded', 'scrapped') AND issuer_sha256 = ? ORDER BY id`, issuer[:])
	if err != nil {
		return nil, fmt.Errorf("listing the revoked certificates: %w", err)
	}
	type revoked struct {
		serial       serialColumn
		since, which string
	}
	all, err := collect(rows, func(v *revoked) []any { return []any{&v.serial, &v.since, &v.which} })
	for _, v := range all {
		since, bad := time.Parse(time.RFC3339, v.since)
		if bad != nil {
			return nil, fmt.Errorf("%w: certificate %x changed at %q", ErrDiffers, v.serial, v.since)
		}
		list = append(list, x509.RevocationListEntry{SerialNumber: new(big.Int).SetBytes(v.serial[:]), RevocationTime: since, ReasonCode: revocationCodes[v.which]})
	}
	return list, err
}
