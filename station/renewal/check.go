package renewal

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"

	"hallmark/devices"
	"hallmark/station/instance"
	"hallmark/station/reason"
	"hallmark/station/registry"
)

// check refuses what the board would refuse, with the name of the file's content, before anything is on record.
func (o Objects) check(ctx context.Context, keys *instance.Keys, id devices.BoardID) error {
	if o.Anchor == nil && o.Chain == nil && o.Certificate == nil && o.COSE == nil {
		return reason.Usage(errors.New("nothing to renew: name a file with --certificate, --cose, --chain or --anchor"))
	}
	if (o.Anchor != nil || o.Chain != nil) && o.Certificate == nil {
		return fmt.Errorf("%w: another chain or trust anchor erases the certificate below it; give --certificate, too", ErrObjects)
	}
	if err := o.fitsBefore(ctx, keys, id); err != nil {
		return err
	}
	anchor, issuer, err := o.authorities(keys)
	if err != nil {
		return err
	}
	if issuer != anchor {
		if err := signs(anchor, issuer, keys.Now()); err != nil || !mayHaveChain(anchor) || !mayIssue(issuer) {
			return errors.Join(fmt.Errorf("%w: the trust anchor %q has not signed the chain %q as a CA", ErrObjects, anchor.Subject, issuer.Subject), err)
		}
	}
	for _, one := range []struct {
		purpose     devices.Purpose
		certificate *x509.Certificate
	}{{devices.PurposeTLS, o.Certificate}, {devices.PurposeCOSE, o.COSE}} {
		if err := below(ctx, keys, id, one.purpose, one.certificate, issuer); err != nil {
			return err
		}
	}
	return nil
}

// fitsBefore refuses what does not go with the updates that the board may have taken, and with its COSE certificate.
func (o Objects) fitsBefore(ctx context.Context, keys *instance.Keys, id devices.BoardID) error {
	before, err := keys.Registry.Updates(ctx, id)
	if err != nil {
		return err
	}
	ends, err := keys.Registry.Ends(ctx, id, devices.PurposeCOSE)
	if err != nil {
		return err
	}
	hasCOSE := !ends.IsZero()
	for _, details := range before {
		slots := details[detailSlots]
		hasCOSE = hasCOSE || strings.Contains(slots, "cose")
		switch counter := details[registry.DetailCounter]; {
		case o.Held == nil && strings.Contains(slots, "anchor"):
			return fmt.Errorf("%w: update %s gave the board another trust anchor, which signs from then on; name the one that the board holds now with --held-anchor", ErrObjects, counter)
		case o.Chain == nil && o.Anchor == nil && strings.Contains(slots, "chain"):
			return fmt.Errorf("%w: update %s gave the board another chain; give --chain, too", ErrObjects, counter)
		}
	}
	if hasCOSE && o.COSE == nil && (o.Anchor != nil || o.Chain != nil) {
		return fmt.Errorf("%w: another chain or trust anchor erases the COSE certificate of the board; give --cose, too", ErrObjects)
	}
	return nil
}

// authorities gives the trust anchor that the board has after the update, and what must have signed its certificates.
func (o Objects) authorities(keys *instance.Keys) (anchor, issuer *x509.Certificate, err error) {
	anchor = keys.Root
	if o.Held != nil {
		anchor = o.Held
	}
	if o.Anchor != nil {
		if anchor = o.Anchor; !mayIssue(anchor) || signs(anchor, anchor, keys.Now()) != nil {
			return nil, nil, fmt.Errorf("%w: --anchor is not a CA certificate that has signed itself with ECDSA and SHA-256 on P-256, and that is valid now", ErrObjects)
		}
	}
	switch {
	case o.Chain != nil:
		return anchor, o.Chain, nil
	case anchor.Equal(keys.Root) && o.Anchor == nil && !keys.Issuing.Equal(keys.Root):
		return anchor, keys.Issuing, nil
	}
	return anchor, anchor, nil
}

// signs refuses a certificate that a board does not take from this issuer, and one that is not valid now, which a board cannot see.
func signs(issuer, certificate *x509.Certificate, now time.Time) error {
	key, is := issuer.PublicKey.(*ecdsa.PublicKey)
	switch {
	case !is || key.Curve != elliptic.P256():
		return fmt.Errorf("%q has no P-256 key", issuer.Subject)
	case !bytes.Equal(certificate.RawIssuer, issuer.RawSubject):
		return fmt.Errorf("the issuer of %q is %q and not %q", certificate.Subject, certificate.Issuer, issuer.Subject)
	case certificate.SignatureAlgorithm != x509.ECDSAWithSHA256:
		return fmt.Errorf("%q is signed with %v, want ECDSA with SHA-256", certificate.Subject, certificate.SignatureAlgorithm)
	case now.Before(certificate.NotBefore) || now.After(certificate.NotAfter):
		return fmt.Errorf("%q is valid from %s to %s, and not now", certificate.Subject, certificate.NotBefore.Format(time.RFC3339), certificate.NotAfter.Format(time.RFC3339))
	}
	return certificate.CheckSignatureFrom(issuer)
}

func mayIssue(ca *x509.Certificate) bool {
	return ca.IsCA && (ca.KeyUsage == 0 || ca.KeyUsage&x509.KeyUsageCertSign != 0)
}

// mayHaveChain: pathLenConstraint 0 allows no CA below (RFC 5280 section 4.2.1.9).
func mayHaveChain(anchor *x509.Certificate) bool {
	return anchor.MaxPathLen != 0 || !anchor.MaxPathLenZero
}

// below checks that a certificate is for the key of the board that is on record, and signed by the issuer.
func below(ctx context.Context, keys *instance.Keys, id devices.BoardID, purpose devices.Purpose, certificate, issuer *x509.Certificate) error {
	if certificate == nil {
		return nil
	}
	if err := signs(issuer, certificate, keys.Now()); err != nil || certificate.IsCA {
		return errors.Join(fmt.Errorf("%w: the certificate for the %s key is not one that %q has signed for a board", ErrObjects, purpose, issuer.Subject), err)
	}
	sum := sha256.Sum256(certificate.RawSubjectPublicKeyInfo)
	owner, err := keys.Registry.KeyOwner(ctx, sum, purpose)
	switch {
	case err != nil:
		return err
	case owner == nil || *owner != id:
		return fmt.Errorf("%w: the certificate is for the key %x, which is not the %s key of board %s on record", ErrObjects, sum, purpose, id)
	}
	return nil
}
