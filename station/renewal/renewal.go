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
	"slices"

	"hallmark/devices"
	"hallmark/devices/update"
	"hallmark/hsm"
	"hallmark/station/instance"
	"hallmark/station/reason"
	"hallmark/station/registry"
	"hallmark/station/workdir"
)

// Objects are the certificates that a board gets; nil: the slot stays.
type Objects struct {
	Anchor, Chain, Certificate, COSE *x509.Certificate
	Held                             *x509.Certificate // the trust anchor that the board holds, whose key signs; nil: that of the station
}

func (o Objects) slots() (s update.Slots) {
	for slot, certificate := range []*x509.Certificate{o.Anchor, o.Chain, o.Certificate, o.COSE} {
		if certificate != nil {
			s[slot] = certificate.Raw
		}
	}
	return s
}

// Details of an intent.
const (
	detailManifest = "manifest_sha256"
	detailSlots    = "slots"
)

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
	signer, err := anchorSigner(ctx, keys, objects.Held)
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
	unsigned, err := draft.Unsigned()
	if err != nil {
		return made, err
	}
	if most := len(unsigned) + update.MaxSignature + 1; most > update.MaxFile {
		return made, fmt.Errorf("%w: the file has up to %d octets, and a board takes %d: renew fewer slots at once", ErrObjects, most, update.MaxFile)
	}
	digest := sha256.Sum256(draft.Signed)
	details := map[string]string{detailSlots: draft.Manifest.Names(), "objects_sha256": fmt.Sprintf("%x", draft.Manifest.Hash), detailManifest: fmt.Sprintf("%x", digest)}
	for name, certificate := range map[string]*x509.Certificate{registry.DetailTLSCertificate: objects.Certificate, registry.DetailCOSECertificate: objects.COSE} {
		if certificate != nil {
			details[name] = fmt.Sprintf("%x", sha256.Sum256(certificate.Raw))
		}
	}
	if err := keys.Registry.UpdateIntended(ctx, id, counter, operator, details); err != nil {
		return made, err
	}
	made = Made{Manifest: draft.Manifest, Signed: draft.Signed, Unsigned: signer == nil}
	if made.Unsigned {
		made.Octets = unsigned
		return made, nil
	}
	signature, err := signer.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return made, fmt.Errorf("signing the update: %w", err)
	}
	return made, finish(ctx, keys.Record, draft, signature, keys.Root, operator, &made)
}

// anchorSigner gives the key of the trust anchor, nil if it is not on the token.
func anchorSigner(ctx context.Context, keys *instance.Keys, held *x509.Certificate) (crypto.Signer, error) {
	if keys.Config.Authority.Chain != "" || held != nil && !held.Equal(keys.Root) { // the root is elsewhere, and a key with its label on this token is another station's
		return nil, nil
	}
	signer, err := keys.RootSigner(ctx)
	if errors.Is(err, hsm.ErrKeyMissing) {
		return nil, nil
	}
	return signer, err
}

// Finish puts the signature of a key that is elsewhere under an unsigned update, and notes that. held is the trust anchor that the board
// holds, nil: that of the station. It needs no HSM. It refuses a draft that this station has not made.
func Finish(ctx context.Context, dir workdir.Dir, unsigned, signature []byte, held *x509.Certificate, operator string) (made Made, unsignedActs string, err error) {
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
	if err := onRecord(ctx, record.Registry, draft); err != nil {
		return made, "", err
	}
	if err := record.Begin(ctx); err != nil {
		return made, "", err
	}
	made = Made{Manifest: draft.Manifest, Signed: draft.Signed}
	if held == nil {
		held = record.Root
	}
	if err := finish(ctx, record, draft, signature, held, operator, &made); err != nil {
		return made, "", err
	}
	unsignedActs, err = record.CoverActs(ctx)
	return made, unsignedActs, err
}

// onRecord refuses a draft without an intent in this log: then its counter is another station's.
func onRecord(ctx context.Context, r *registry.Registry, draft update.Draft) error {
	before, err := r.Updates(ctx, devices.BoardID(draft.Manifest.Board))
	sum := fmt.Sprintf("%x", sha256.Sum256(draft.Signed))
	if err == nil && !slices.ContainsFunc(before, func(details map[string]string) bool { return details[detailManifest] == sum }) {
		err = fmt.Errorf("%w: this station has no intent for the manifest with SHA-256 %s; finish it in the station directory that made it", ErrObjects, sum)
	}
	return err
}

func finish(ctx context.Context, record *instance.Record, draft update.Draft, signature []byte, anchor *x509.Certificate, operator string, made *Made) (err error) {
	key, is := anchor.PublicKey.(*ecdsa.PublicKey)
	if !is {
		return fmt.Errorf("the trust anchor has a %v key, want ECDSA", anchor.PublicKeyAlgorithm)
	}
	if made.Octets, err = draft.Finish(signature, key); err != nil {
		return err
	}
	return record.Registry.UpdateSigned(ctx, devices.BoardID(draft.Manifest.Board), draft.Manifest.Counter, operator,
		map[string]string{"file_sha256": fmt.Sprintf("%x", sha256.Sum256(made.Octets))})
}
