package instance

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"os"
	"strconv"
	"time"

	"hallmark/station/audit"
	"hallmark/station/reason"
	"hallmark/station/workdir"
)

// Bounds of the time until a CRL has to be replaced.
const (
	MinCRLDays = 1
	MaxCRLDays = 366
)

// ErrCRLIssuer: the issuing CA may not sign a CRL.
var ErrCRLIssuer = reason.New("crl-issuer", "certificate of the issuing CA does not allow it to sign a CRL: want the key usage cRLSign and a subject key identifier")

// A CRL is a certificate revocation list (RFC 5280, 5) that was signed and written.
type CRL struct {
	Path       string
	Number     int64 // greater than that of each CRL before
	Entries    int
	NextUpdate time.Time
	SHA256     [sha256.Size]byte
}

// IssueCRL signs a list of all certificates of the issuing key that verifiers must refuse, and writes it (DER) into the
// station directory in one step. It is full, never a delta. The audit log has the intent before the signature.
func (k *Keys) IssueCRL(ctx context.Context, days int, operator string) (made CRL, err error) {
	if days < MinCRLDays || days > MaxCRLDays {
		return made, reason.Usage(fmt.Errorf("--days %d: want %d to %d", days, MinCRLDays, MaxCRLDays))
	}
	if k.Issuing.KeyUsage&x509.KeyUsageCRLSign == 0 || len(k.Issuing.SubjectKeyId) == 0 {
		return made, ErrCRLIssuer
	}
	signer, err := k.IssuingSigner(ctx)
	if err != nil {
		return made, err
	}
	k.issuing.Lock()
	defer k.issuing.Unlock()
	made.Number = k.nextCRL()
	number := map[string]string{"number": strconv.FormatInt(made.Number, 10)}
	if err := k.NoteBy(ctx, "crl.intent", audit.Success, operator, number); err != nil {
		return made, err
	}
	list, err := k.Registry.Revoked(ctx, sha256.Sum256(k.Issuing.RawSubjectPublicKeyInfo))
	if err != nil {
		return made, err
	}
	now := k.Now().UTC().Truncate(time.Second)
	made.Entries, made.NextUpdate = len(list), now.AddDate(0, 0, days)
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{RevokedCertificateEntries: list, Number: big.NewInt(made.Number),
		ThisUpdate: now, NextUpdate: made.NextUpdate}, k.Issuing, signer)
	if err != nil {
		return made, fmt.Errorf("signing the CRL: %w", err)
	}
	if err := k.checkCRL(der, list); err != nil {
		return made, fmt.Errorf("the CRL that was signed is wrong, and is not used: %w", err)
	}
	made.Path, made.SHA256 = k.Dir.CRL(), sha256.Sum256(der)
	number["entries"], number["next_update"], number["crl_sha256"] = strconv.Itoa(made.Entries), made.NextUpdate.Format(time.RFC3339), fmt.Sprintf("%x", made.SHA256)
	if err := errors.Join(workdir.WriteFile(made.Path, der), workdir.Sync(made.Path)); err != nil {
		return made, err
	}
	return made, k.NoteBy(ctx, "crl.issued", audit.Success, operator, number) // tells of the file, so it follows the file (I15)
}

// nextCRL is the number of the next CRL: the size of the log, which the intent makes greater. After an operator accepted an older
// registry the log is shorter, and the list in the file has the greatest number.
func (k *Keys) nextCRL() int64 {
	size := k.Registry.AuditSize()
	der, err := os.ReadFile(k.Dir.CRL())
	if err != nil {
		return size
	}
	last, err := x509.ParseRevocationList(der)
	if err != nil || last.Number == nil || last.CheckSignatureFrom(k.Issuing) != nil {
		return size // the file is no list of this issuing CA, and is replaced
	}
	return max(size, last.Number.Int64()+1)
}

// checkCRL reads the CRL back: the issuing CA has signed it, and it has exactly the entries of the list.
func (k *Keys) checkCRL(der []byte, list []x509.RevocationListEntry) error {
	read, err := x509.ParseRevocationList(der)
	if err != nil {
		return err
	}
	if err := read.CheckSignatureFrom(k.Issuing); err != nil {
		return err
	}
	if len(read.RevokedCertificateEntries) != len(list) {
		return fmt.Errorf("it has %d entries, want %d", len(read.RevokedCertificateEntries), len(list))
	}
	for i, entry := range read.RevokedCertificateEntries {
		if !bytes.Equal(entry.SerialNumber.Bytes(), list[i].SerialNumber.Bytes()) {
			return fmt.Errorf("entry %d is of serial number %x, want %x", i, entry.SerialNumber, list[i].SerialNumber)
		}
	}
	return nil
}
