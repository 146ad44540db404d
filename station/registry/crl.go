package registry

import (
	"context"
	"crypto/x509"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"
)

// RevocationReasons are the reasons of RFC 5280, 5.3.1, that a station can know.
var RevocationReasons = []string{"unspecified", ReasonKeyCompromise, "affiliationChanged", "superseded", "cessationOfOperation", "privilegeWithdrawn"}

// CheckReason refuses another reason for a revocation.
func CheckReason(reason string) error {
	if !slices.Contains(RevocationReasons, reason) {
		return fmt.Errorf("reason %q: want one of %s", reason, strings.Join(RevocationReasons, ", "))
	}
	return nil
}

// revocationCodes are the codes of these reasons. Another reason has code 0, unspecified.
var revocationCodes = map[string]int{ReasonKeyCompromise: 1, "affiliationChanged": 3, "superseded": 4, "cessationOfOperation": 5, "privilegeWithdrawn": 9}

// A Revocation is what a CRL and an OCSP answer say of a certificate that verifiers must refuse.
type Revocation struct {
	Time   time.Time
	Reason string // a name of RFC 5280, 5.3.1
	Code   int    // its number
}

// revocation gives what CRL and OCSP say of a certificate, or nil if verifiers accept it. why is the reason on record, and
// changed is when the certificate got its status.
func revocation(status, why, changed string) (*Revocation, error) {
	switch status {
	case "revoked":
	case "superseded":
		why = "superseded"
	case "scrapped":
		why = "cessationOfOperation"
	default:
		return nil, nil
	}
	code, known := revocationCodes[why]
	if !known {
		why = "unspecified"
	}
	since, err := time.Parse(time.RFC3339, changed)
	if err != nil {
		return nil, fmt.Errorf("%w: a certificate changed at %q", ErrDiffers, changed)
	}
	return &Revocation{since, why, code}, nil
}

// Revoked lists the certificates that an issuing key signed and that verifiers must refuse, in the order of their
// intents: revoked ones, superseded ones, and those of boards that were scrapped. issuer is the SHA-256 of the key's
// SubjectPublicKeyInfo.
func (r *Reader) Revoked(ctx context.Context, issuer [32]byte) (list []x509.RevocationListEntry, err error) {
	rows, err := r.db.QueryContext(ctx, `SELECT serial, status, reason, changed FROM certificates
		WHERE status IN ('revoked', 'superseded', 'scrapped') AND issuer_sha256 = ? ORDER BY id`, issuer[:])
	if err != nil {
		return nil, fmt.Errorf("listing the revoked certificates: %w", err)
	}
	type revoked struct {
		serial               serialColumn
		status, why, changed string
	}
	all, err := collect(rows, func(v *revoked) []any { return []any{&v.serial, &v.status, &v.why, &v.changed} })
	for _, v := range all {
		one, bad := revocation(v.status, v.why, v.changed)
		if bad != nil {
			return nil, fmt.Errorf("certificate %x: %w", v.serial, bad)
		}
		list = append(list, x509.RevocationListEntry{SerialNumber: new(big.Int).SetBytes(v.serial[:]), RevocationTime: one.Time, ReasonCode: one.Code})
	}
	return list, err
}
