// Package renewal makes the files that renew a board in the field: another certificate, chain or trust anchor, signed with the key of the
// trust anchor that the board holds (PROTOCOL.md section 4, "update").
package renewal

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"

	"hallmark/devices"
	"hallmark/devices/update"
	"hallmark/hsm"
	"hallmark/station/instance"
	"hallmark/station/reason"
	"hallmark/station/registry"
	"hallmark/station/workdir"
)

// Objects are the certificates that a board gets; nil: the slot stays.
type Objects struct{ Anchor, Chain, Certificate, COSE *x509.Certificate }

func (o Objects) slots() (s update.Slots) {
	for slot, certificate := range []*x509.Certificate{o.Anchor, o.Chain, o.Certificate, o.COSE} {
		if certificate != nil {
			s[slot] = certificate.Raw
		}
	}
	return s
}

// ErrObjects: the board would refuse these objects.
var ErrObjects = reason.New("update-objects", "board would refuse this update")

// A Made is the result of Make. Unsigned: the key of the anchor is elsewhere, and whoever has it signs the manifest.
type Made struct {
	Octets   []byte // of the file
	Manifest update.Manifest
	Signed   []byte // the octets of the manifest
	Unsigned bool
}

// Make makes an update for a board, and signs it if the key of the trust anchor is on the token. The audit log has the intent before the
// signature. It needs the station for itself.
func Make(ctx context.Context, dir workdir.Dir, id devices.BoardID, objects Objects, operator string) (made Made, err error) {
	files, err := instance.OpenFiles(dir, instance.Options{})
	if err != nil {
		return made, err
	}
	defer func() { err = errors.Join(err, files.Close()) }()
	record, err := files.OpenRecord(ctx)
	if err != nil {
		return made, err
	}
	keys, err := record.OpenKeys(ctx, nil)
	if err != nil {
		return made, err
	}
	if _, err := keys.AuditSigner(ctx); err != nil { // without it nothing is signed that no checkpoint covers
		return made, err
	}
	if err := keys.Begin(ctx); err != nil {
		return made, err
	}
	defer func() { err = errors.Join(err, keys.Cover(ctx)) }()
	return makeWith(ctx, keys, id, objects, operator)
}

func makeWith(ctx context.Context, keys *instance.Keys, id devices.BoardID, objects Objects, operator string) (made Made, err error) {
	if err := objects.check(ctx, keys, id); err != nil {
		return made, err
	}
	signer, err := anchorSigner(ctx, keys)
	if err != nil {
		return made, err
	}
	counter, err := keys.Registry.UpdateCounter(ctx, id, keys.Now())
	if err != nil {
		return made, err
	}
	draft, err := update.New(id, counter, objects.slots())
	if err != nil {
		return made, err
	}
	digest := sha256.Sum256(draft.Signed)
	details := map[string]string{"slots": draft.Manifest.Names(), "objects_sha256": fmt.Sprintf("%x", draft.Manifest.Hash), "manifest_sha256": fmt.Sprintf("%x", digest)}
	if err := keys.Registry.UpdateIntended(ctx, id, counter, operator, details); err != nil {
		return made, err
	}
	made = Made{Manifest: draft.Manifest, Signed: draft.Signed, Unsigned: signer == nil}
	if made.Unsigned {
		made.Octets, err = draft.Unsigned()
		return made, err
	}
	signature, err := signer.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return made, fmt.Errorf("signing the update: %w", err)
	}
	return made, finish(ctx, keys.Record, draft, signature, operator, &made)
}

// anchorSigner gives the key of the trust anchor, nil if it is not on the token.
func anchorSigner(ctx context.Context, keys *instance.Keys) (crypto.Signer, error) {
	if keys.Config.Authority.Chain != "" { // the root is elsewhere, and a key with its label on this token is another station's
		return nil, nil
	}
	signer, err := keys.RootSigner(ctx)
	if errors.Is(err, hsm.ErrKeyMissing) {
		return nil, nil
	}
	return signer, err
}

// Finish puts the signature of a key that is elsewhere under an unsigned update, and notes that. It needs no HSM.
func Finish(ctx context.Context, dir workdir.Dir, unsigned, signature []byte, operator string) (made Made, unsignedActs string, err error) {
	draft, err := update.Resume(unsigned)
	if err != nil {
		return made, "", reason.Usage(err)
	}
	files, err := instance.OpenFiles(dir, instance.Options{})
	if err != nil {
		return made, "", err
	}
	defer func() { err = errors.Join(err, files.Close()) }()
	record, err := files.OpenRecord(ctx)
	if err != nil {
		return made, "", err
	}
	if err := record.Begin(ctx); err != nil {
		return made, "", err
	}
	made = Made{Manifest: draft.Manifest, Signed: draft.Signed}
	if err := finish(ctx, record, draft, signature, operator, &made); err != nil {
		return made, "", err
	}
	unsignedActs, err = record.CoverActs(ctx)
	return made, unsignedActs, err
}

func finish(ctx context.Context, record *instance.Record, draft update.Draft, signature []byte, operator string, made *Made) (err error) {
	anchor, is := record.Root.PublicKey.(*ecdsa.PublicKey)
	if !is {
		return fmt.Errorf("the trust anchor has a %v key, want ECDSA", record.Root.PublicKeyAlgorithm)
	}
	if made.Octets, err = draft.Finish(signature, anchor); err != nil {
		return err
	}
	return record.Registry.UpdateSigned(ctx, devices.BoardID(draft.Manifest.Board), draft.Manifest.Counter, operator,
		map[string]string{"file_sha256": fmt.Sprintf("%x", sha256.Sum256(made.Octets))})
}

// check refuses what the board would refuse, with the name of the file's content, before anything is on record.
func (o Objects) check(ctx context.Context, keys *instance.Keys, id devices.BoardID) error {
	if o.Anchor == nil && o.Chain == nil && o.Certificate == nil && o.COSE == nil {
		return reason.Usage(errors.New("nothing to renew: name a file with --certificate, --cose, --chain or --anchor"))
	}
	if (o.Anchor != nil || o.Chain != nil) && o.Certificate == nil {
		return fmt.Errorf("%w: another chain or trust anchor erases the certificate below it; give --certificate, too", ErrObjects)
	}
	anchor := keys.Root
	if o.Anchor != nil {
		if anchor = o.Anchor; !anchor.IsCA || anchor.CheckSignatureFrom(anchor) != nil {
			return fmt.Errorf("%w: --anchor is not a CA certificate that has signed itself", ErrObjects)
		}
	}
	issuer := anchor
	switch {
	case o.Chain != nil:
		issuer = o.Chain
	case o.Anchor == nil && !keys.Issuing.Equal(keys.Root):
		issuer = keys.Issuing
	}
	if issuer != anchor && (!issuer.IsCA || issuer.CheckSignatureFrom(anchor) != nil) {
		return fmt.Errorf("%w: the trust anchor %q has not signed the chain %q", ErrObjects, anchor.Subject, issuer.Subject)
	}
	return errors.Join(below(ctx, keys.Registry, id, devices.PurposeTLS, o.Certificate, issuer), below(ctx, keys.Registry, id, devices.PurposeCOSE, o.COSE, issuer))
}

// below checks that a certificate is for the key of the board that is on record, and signed by the issuer.
func below(ctx context.Context, r *registry.Registry, id devices.BoardID, purpose devices.Purpose, certificate, issuer *x509.Certificate) error {
	if certificate == nil {
		return nil
	}
	if certificate.IsCA || certificate.CheckSignatureFrom(issuer) != nil {
		return fmt.Errorf("%w: the certificate for the %s key is not one that %q has signed for a board", ErrObjects, purpose, issuer.Subject)
	}
	sum := sha256.Sum256(certificate.RawSubjectPublicKeyInfo)
	owner, err := r.KeyOwner(ctx, sum, purpose)
	switch {
	case err != nil:
		return err
	case owner == nil || *owner != id:
		return fmt.Errorf("%w: the certificate is for the key %x, which is not the %s key of board %s on record", ErrObjects, sum, purpose, id)
	}
	return nil
}
