package instance

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
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
	MaxOCSPDays = issuance.MaxResponderDays
)

// ocspBackdate lets clients whose clock is a little behind accept a new certificate.
const ocspBackdate = time.Hour

// RenewOCSP has the issuing key sign a certificate for the key that signs OCSP answers, and writes it into the station
// directory in one step. If there is no key, it makes one. The audit log has the intent before the signature.
func (k *Keys) RenewOCSP(ctx context.Context, days int, operator string) (*x509.Certificate, error) {
	return k.renew(ctx, renewal{"OCSP", k.Dir.OCSP(), k.Dir.OCSPKey(), issuance.Responder,
		func(details map[string]string) error {
			return k.NoteBy(ctx, "ocsp.intent", audit.Success, operator, details)
		},
		func(details map[string]string) error {
			return k.NoteBy(ctx, "ocsp.issued", audit.Success, operator, details)
		}}, days)
}

// RenewHub does the same for the key with which the station signs in at the hub of its plant.
func (k *Keys) RenewHub(ctx context.Context, days int, operator string) (*x509.Certificate, error) {
	return k.renew(ctx, renewal{"station " + k.Config.Station, k.Dir.Hub(), k.Dir.HubKey(), issuance.Client,
		func(details map[string]string) error {
			return k.NoteBy(ctx, "hub.intent", audit.Success, operator, details)
		},
		func(details map[string]string) error {
			return k.NoteBy(ctx, "hub.issued", audit.Success, operator, details)
		}}, days)
}

// A renewal is what differs between the keys in files that the issuing CA certifies.
type renewal struct {
	name              string // common name
	certificate, file string // paths of the certificate and its key
	certify           func(issuance.AuditConfig, *ecdsa.PublicKey, *x509.Certificate, crypto.Signer, io.Reader) (*x509.Certificate, error)
	intent, issued    func(details map[string]string) error // write the entries
}

func (k *Keys) renew(ctx context.Context, r renewal, days int) (*x509.Certificate, error) {
	if days < MinOCSPDays || days > MaxOCSPDays {
		return nil, reason.Usage(fmt.Errorf("--days %d: want %d to %d", days, MinOCSPDays, MaxOCSPDays))
	}
	signer, err := k.IssuingSigner(ctx)
	if err != nil {
		return nil, err
	}
	key, err := keyIn(r.file)
	if err != nil {
		return nil, err
	}
	spki, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("encoding the key of %s: %w", r.certificate, err)
	}
	now := k.Now().UTC().Truncate(time.Second)
	config := issuance.AuditConfig{CommonName: r.name, Organization: k.Config.Authority.Organization, NotBefore: now.Add(-ocspBackdate), NotAfter: now.AddDate(0, 0, days)}
	if config.NotAfter.After(k.Issuing.NotAfter) {
		config.NotAfter = k.Issuing.NotAfter
	}
	details := map[string]string{"key_sha256": fmt.Sprintf("%x", sha256.Sum256(spki)), "not_after": config.NotAfter.Format(time.RFC3339)}
	config.Intend = func(twin *x509.Certificate) error {
		details["serial"], details["tbs_sha256"] = fmt.Sprintf("%032x", twin.SerialNumber), fmt.Sprintf("%x", sha256.Sum256(twin.RawTBSCertificate))
		return r.intent(details)
	}
	made, err := r.certify(config, &key.PublicKey, k.Issuing, signer, rand.Reader)
	if err != nil {
		return nil, err
	}
	details["certificate_sha256"] = fmt.Sprintf("%x", sha256.Sum256(made.Raw))
	if err := r.issued(details); err != nil {
		return nil, err
	}
	return made, errors.Join(workdir.WriteFile(r.certificate, workdir.CertificatePEM(made.Raw)), workdir.Sync(r.certificate))
}

// keyIn reads a key, or makes it.
func keyIn(path string) (*ecdsa.PrivateKey, error) {
	if workdir.Exists(path) {
		return workdir.ReadPrivateKey(path)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making the key %s: %w", path, err)
	}
	text, err := workdir.PrivateKeyPEM(key)
	if err != nil {
		return nil, fmt.Errorf("writing the key %s: %w", path, err)
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
