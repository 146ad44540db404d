// Package ceremony does the key ceremony of a new station. It makes the keys in the HSM, the
// CA certificates for the keys, and the registry with the first entries of the audit log.
// Later it makes a new certificate for the verifier.
package ceremony

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"time"

	"hallmark/configs"
	"hallmark/hsm"
	"hallmark/station/issuance"
	"hallmark/station/workdir"
)

// backdate is how long before now the certificates of a ceremony become valid. By default,
// profiles backdate the certificates of boards by the same time.
const backdate = 24 * time.Hour

// Made is the result of a ceremony: the certificates and the keys that belong to them.
type Made struct {
	Root, Issuing, Server, Audit *x509.Certificate
	serverKey                    *ecdsa.PrivateKey
	audit                        crypto.Signer
}

// A ceremony is the key ceremony of one station.
type ceremony struct {
	config *configs.Config
	token  *hsm.Token
	now    time.Time
	random io.Reader
	Made
}

// hold makes the keys and then the certificates. The token signs each certificate.
func (c *ceremony) hold(ctx context.Context) error {
	names := c.config.Authority
	rootKey, err := c.key(ctx, names.RootLabel)
	if err != nil {
		return err
	}
	issuingKey, err := c.key(ctx, names.IssuingLabel)
	if err != nil {
		return err
	}
	if c.audit, err = c.key(ctx, names.AuditLabel); err != nil {
		return err
	}
	if c.Root, err = issuance.Root(c.authority("root", names.RootYears, 1), rootKey, c.random); err != nil {
		return err
	}
	public := issuingKey.Public().(*ecdsa.PublicKey)
	if c.Issuing, err = issuance.Issuing(c.authority("CA", names.IssuingYears, 0), public, c.Root, rootKey, c.random); err != nil {
		return err
	}
	if c.Audit, err = issuance.Audit(c.auditConfig(), c.audit.Public().(*ecdsa.PublicKey), c.Root, rootKey, c.random); err != nil {
		return err
	}
	return c.endpoint(rootKey)
}

// auditConfig describes the certificate of the audit key. It is valid as long as the root, because
// evidence is read long after it was written.
func (c *ceremony) auditConfig() issuance.AuditConfig {
	return issuance.AuditConfig{CommonName: c.config.Authority.Name + " audit", Organization: c.config.Authority.Organization,
		NotBefore: c.Root.NotBefore, NotAfter: c.Root.NotAfter}
}

// key makes a key pair in the token, and adopts the key in the same way as every later start.
func (c *ceremony) key(ctx context.Context, label string) (crypto.Signer, error) {
	ref := hsm.KeyRef{ID: make([]byte, 8), Label: label}
	if _, err := io.ReadFull(c.random, ref.ID); err != nil {
		return nil, fmt.Errorf("drawing a key id: %w", err)
	}
	public, err := c.token.Generate(ctx, ref)
	if err != nil {
		return nil, fmt.Errorf("making the key %s: %w", label, err)
	}
	signer, err := c.token.Signer(ctx, ref, public)
	if err != nil {
		return nil, fmt.Errorf("adopting the key %s: %w", label, err)
	}
	return signer, nil
}

// evidence returns the token's report on the new keys. The report goes into entry 0 of the
// audit log, so that a later change of the report is noticed.
func (c *ceremony) evidence(ctx context.Context) (map[string]string, error) {
	reports, err := c.token.Keys(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the keys' attributes: %w", err)
	}
	names := c.config.Authority
	keys := map[string]string{}
	for _, report := range reports {
		if report.Label == names.RootLabel || report.Label == names.IssuingLabel || report.Label == names.AuditLabel {
			keys[report.Label] = report.Attributes.String()
		}
	}
	return keys, nil
}

func (c *ceremony) authority(role string, years, below int) issuance.CAConfig {
	made := issuance.CAConfig{
		CommonName:   c.config.Authority.Name + " " + role,
		Organization: c.config.Authority.Organization,
		NotBefore:    c.now.Add(-backdate),
		PathLen:      below,
	}
	if years > 0 {
		made.NotAfter = c.now.AddDate(years, 0, 0)
	}
	return made
}

// endpoint makes the verifier's key and certificate. The key is a file, because the key
// authenticates only the verifier and signs no certificates.
func (c *ceremony) endpoint(root crypto.Signer) (err error) {
	if c.serverKey, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return fmt.Errorf("making the verifier's key: %w", err)
	}
	c.Server, err = issuance.Server(endpointConfig(c.config, c.now), &c.serverKey.PublicKey, c.Root, root, c.random)
	return err
}

// endpointConfig returns the content of the verifier's certificate.
func endpointConfig(config *configs.Config, now time.Time) issuance.ServerConfig {
	name := config.Verifier.ServerName
	return issuance.ServerConfig{
		CommonName: name, DNSNames: []string{name},
		NotBefore: now.Add(-backdate), NotAfter: now.AddDate(0, 0, config.Authority.VerifierDays),
	}
}

// write stores certificates and the verifier's key.
func (c *ceremony) write(dir workdir.Dir) error {
	key, err := x509.MarshalPKCS8PrivateKey(c.serverKey)
	if err != nil {
		return fmt.Errorf("encoding the verifier's key: %w", err)
	}
	defer clear(key)
	audit, err := x509.MarshalPKIXPublicKey(c.audit.Public())
	if err != nil {
		return fmt.Errorf("encoding the audit key: %w", err)
	}
	for path, text := range map[string][]byte{
		dir.Root():             workdir.CertificatePEM(c.Root.Raw),
		dir.Issuing():          workdir.CertificatePEM(c.Issuing.Raw),
		dir.Server():           workdir.CertificatePEM(c.Server.Raw),
		dir.AuditCertificate(): workdir.CertificatePEM(c.Audit.Raw),
		dir.ServerKey():        pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
		dir.AuditPublic():      pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: audit}),
	} {
		if err := workdir.WriteFile(path, text); err != nil {
			return err
		}
	}
	return nil
}
