package instance

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"strconv"
	"time"

	"hallmark/station/audit"
	"hallmark/station/reason"
	"hallmark/station/verifier"
	"hallmark/station/workdir"
)

// ErrOtherFile: a file that is no status bundle has the name of the new one.
var ErrOtherFile = reason.New("other-file", "the file is no status bundle, and is not replaced")

// A StatusExport is a status bundle that was signed and written.
type StatusExport struct {
	verifier.BundleHead
	Path         string
	Certificates int
	SHA256       [sha256.Size]byte
}

// ExportStatus signs a status bundle with the issuing key and writes it to path in one step. The audit log has the intent
// before the signature.
func (k *Keys) ExportStatus(ctx context.Context, path string, days int, operator string) (made StatusExport, err error) {
	signer, err := k.mayExport(ctx, path, days)
	if err != nil {
		return made, err
	}
	k.issuing.Lock()
	defer k.issuing.Unlock()
	made = StatusExport{BundleHead: k.nextBundle(days), Path: path}
	details := map[string]string{"number": strconv.FormatUint(made.Number, 10), "out": path}
	if err := k.NoteBy(ctx, "status.export.intent", audit.Success, operator, details); err != nil {
		return made, err
	}
	writer := &verifier.BundleWriter{}
	if err := k.Registry.EachStatus(ctx, writer.Add); err != nil {
		return made, err
	}
	octets, err := writer.Finish(made.BundleHead, func(digest [sha256.Size]byte) ([]byte, error) {
		return signer.Sign(rand.Reader, digest[:], crypto.SHA256)
	})
	if err != nil {
		return made, err
	}
	made.Certificates, made.SHA256 = writer.Len(), sha256.Sum256(octets)
	if err := verifier.CheckBundle(octets, k.Issuing); err != nil {
		return made, fmt.Errorf("the status bundle that was signed is wrong, and is not used: %w", err)
	}
	details["certificates"], details["next_update"], details["bundle_sha256"] = strconv.Itoa(made.Certificates), made.NextUpdate.Format(time.RFC3339), fmt.Sprintf("%x", made.SHA256)
	if err := workdir.WriteFile(path, octets); err != nil {
		return made, err
	}
	return made, k.NoteBy(ctx, "status.exported", audit.Success, operator, details) // tells of the file, so it follows the file (I15)
}

// mayExport checks everything that can be checked before something is on record.
func (k *Keys) mayExport(ctx context.Context, path string, days int) (crypto.Signer, error) {
	if days < MinCRLDays || days > MaxCRLDays {
		return nil, reason.Usage(fmt.Errorf("--days %d: want %d to %d", days, MinCRLDays, MaxCRLDays))
	}
	if k.Issuing.KeyUsage&x509.KeyUsageCRLSign == 0 {
		return nil, ErrCRLIssuer
	}
	if err := k.Dir.MayWrite(path); err != nil {
		return nil, fmt.Errorf("--out %w", err)
	}
	if workdir.Exists(path) && !verifier.IsBundle(path) {
		return nil, fmt.Errorf("--out %s: %w", path, ErrOtherFile)
	}
	return k.IssuingSigner(ctx)
}

// nextBundle is the head of the next bundle. Its number is the time in milliseconds, so it also grows after an operator accepted
// an older registry, whose log is shorter than it was.
func (k *Keys) nextBundle(days int) verifier.BundleHead {
	now := k.Now().UTC()
	k.bundled = max(uint64(now.UnixMilli()), k.bundled+1)
	issued := now.Truncate(time.Second)
	return verifier.BundleHead{Number: k.bundled, Issued: issued, NextUpdate: issued.AddDate(0, 0, days), Issuer: sha256.Sum256(k.Issuing.RawSubjectPublicKeyInfo)}
}
