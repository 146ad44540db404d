package instance

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"hallmark/station/audit"
	"hallmark/station/issuance"
	"hallmark/station/ocsp"
	"hallmark/station/reason"
	"hallmark/station/workdir"
)

// Bounds of the validity of an OCSP certificate. It cannot be revoked, so it is short.
const (
	MinOCSPDays = 1
	MaxOCSPDays = 366
)

// ocspBackdate lets clients whose clock is a little behind accept a new certificate.
const ocspBackdate = time.Hour

// RenewOCSP has the issuing key sign a certificate for the key that signs OCSP answers, and writes it into the station
// directory in one step. If there is no key, it makes one. The audit log has the intent before the signature.
func (k *Keys) RenewOCSP(ctx context.Context, days int, operator string) (*x509.Certificate, error) {
	if days < MinOCSPDays || days > MaxOCSPDays {
		return nil, reason.Usage(fmt.Errorf("--days %d: want %d to %d", days, MinOCSPDays, MaxOCSPDays))
	}
	signer, err := k.IssuingSigner(ctx)
	if err != nil {
		return nil, err
	}
	key, err := k.ocspKey()
	if err != nil {
		return nil, err
	}
	spki, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("encoding the OCSP key: %w", err)
	}
	now := k.Now().UTC().Truncate(time.Second)
	config := issuance.AuditConfig{CommonName: "OCSP", Organization: k.Config.Authority.Organization, NotBefore: now.Add(-ocspBackdate), NotAfter: now.AddDate(0, 0, days)}
	if config.NotAfter.After(k.Issuing.NotAfter) {
		config.NotAfter = k.Issuing.NotAfter
	}
	details := map[string]string{"key_sha256": fmt.Sprintf("%x", sha256.Sum256(spki)), "not_after": config.NotAfter.Format(time.RFC3339)}
	if err := k.NoteBy(ctx, "ocsp.intent", audit.Success, operator, details); err != nil {
		return nil, err
	}
	made, err := issuance.Responder(config, &key.PublicKey, k.Issuing, signer, rand.Reader)
	if err != nil {
		return nil, err
	}
	details["serial"], details["certificate_sha256"] = fmt.Sprintf("%032x", made.SerialNumber), fmt.Sprintf("%x", sha256.Sum256(made.Raw))
	if err := k.NoteBy(ctx, "ocsp.issued", audit.Success, operator, details); err != nil {
		return nil, err
	}
	path := k.Dir.OCSP()
	return made, errors.Join(workdir.WriteFile(path, workdir.CertificatePEM(made.Raw)), workdir.Sync(path))
}

// ocspKey reads the key that signs OCSP answers, or makes it.
func (k *Keys) ocspKey() (*ecdsa.PrivateKey, error) {
	path := k.Dir.OCSPKey()
	if workdir.Exists(path) {
		return workdir.ReadPrivateKey(path)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making the OCSP key: %w", err)
	}
	text, err := workdir.PrivateKeyPEM(key)
	if err != nil {
		return nil, fmt.Errorf("writing the OCSP key: %w", err)
	}
	defer clear(text)
	return key, errors.Join(workdir.WriteFile(path, text), workdir.Sync(path))
}

// OpenResponder reads the key and the certificate that sign OCSP answers for the issuing CA.
func OpenResponder(dir workdir.Dir) (*ocsp.Signer, error) {
	issuing, err := workdir.ReadCertificate(dir.Issuing())
	if err != nil {
		return nil, err
	}
	return ocsp.Load(dir.OCSP(), dir.OCSPKey(), issuing)
}
