package instance

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"

	"hallmark/station"
	"hallmark/station/audit"
	"hallmark/station/evidence"
	"hallmark/station/reason"
	"hallmark/station/registry"
	"hallmark/station/workdir"
	"hallmark/station/workorder"
)

// ErrOrderNotClosed: the owner gets a closure when nothing can follow any more.
var ErrOrderNotClosed = reason.New("order-not-closed", "work order is still open")

var errNoClosureCertificate = errors.New("the station has no certificate of its audit key, because an older version made it; send the owner a bundle of the log: `station audit export`")

// SignClosure signs what became of a work order that is closed: counts, the certificates, and a checkpoint of the log that covers the
// end of the order. A closure can be made again. The audit log has the intent before the signature.
func (k *Keys) SignClosure(ctx context.Context, id, operator string) (made workorder.SignedClosure, err error) {
	signer, err := k.closureSigner(ctx)
	if err != nil {
		return made, err
	}
	report, err := k.Registry.OrderReport(ctx, id)
	switch {
	case errors.Is(err, station.ErrUnknownOrder):
		return made, reason.Usage(err)
	case err != nil:
		return made, err
	case report.Closed == "":
		return made, reason.WithNext(fmt.Errorf("%q: %w", id, ErrOrderNotClosed))
	}
	if err := k.Checkpoint(signer.Key); err != nil {
		return made, err
	}
	if made.File, err = k.closure(ctx, report); err != nil {
		return made, err
	}
	sum := sha256.Sum256(made.File)
	details := map[string]string{"order": id, "closure_sha256": fmt.Sprintf("%x", sum)}
	if err := k.NoteBy(ctx, "closure.intent", audit.Success, operator, details); err != nil {
		return made, err
	}
	if made.Signature, err = signer.Sign(sum); err != nil {
		return made, err
	}
	return made, k.NoteBy(ctx, "closure.signed", audit.Success, operator, details)
}

// closureSigner is the audit key with its certificate.
func (k *Keys) closureSigner(ctx context.Context) (*evidence.Signer, error) {
	certificate, err := workdir.ReadCertificate(k.Dir.AuditCertificate())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, reason.Usage(errNoClosureCertificate)
	} else if err != nil {
		return nil, err
	}
	key, err := k.AuditSigner(ctx)
	if err != nil {
		return nil, err
	}
	issuing := evidence.Between([]*x509.Certificate{k.Root, k.Issuing, certificate}, certificate)
	return &evidence.Signer{Certificate: certificate, Issuing: issuing, Key: key, Now: k.Now, Random: rand.Reader}, nil
}

// closure gives the file of the closure.
func (k *Keys) closure(ctx context.Context, o registry.OrderReport) ([]byte, error) {
	station, err := k.Registry.VerifierKey(ctx)
	if err != nil {
		return nil, err
	}
	_, checkpoint, err := k.Registry.NewestCheckpoint(ctx)
	if err != nil {
		return nil, err
	}
	certificates, err := k.Registry.CertificatesOf(ctx, o.ID)
	if err != nil {
		return nil, err
	}
	c := workorder.Closure{Closure: 1, Order: o.ID, Product: o.Product, Lot: o.Lot, Station: k.Config.Station, StationKey: station, Revision: o.Revision,
		SHA256: o.SHA256, Owner: o.OwnerSHA256, Opened: o.Opened, Closed: o.Closed, Quota: o.Quota, Certified: o.Boards.Certified, Unresolved: o.Boards.Unresolved,
		Revoked: o.Boards.Revoked, Unused: o.Boards.Unused, Issued: o.Issued, Reworked: o.Reworked, Confirmed: o.Confirmed,
		Certificates: len(certificates), CertificatesSHA256: fmt.Sprintf("%x", workorder.ListSHA256(certificates)), Checkpoint: string(checkpoint)}
	return c.Encode()
}
