// Package ceremony does the key ceremony of a new station. It makes the keys in the HSM, the
// CA certificates for the keys, and the registry with the first entries of the audit log.
// Later it makes a new certificate for the verifier.
package ceremony

import (
	"bytes"
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
	"hallmark/station/instance"
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
	verifierKey                  string // of the audit log
	checkpoint                   []byte // the first one
}

// A ceremony is the key ceremony of one station.
type ceremony struct {
	config *configs.Config
	chain  *Chain // nil: the ceremony makes root and issuing CA on the token
	// auditPublic is the audit key of an earlier ceremony; nil: the ceremony makes one.
	auditPublic *ecdsa.PublicKey
	begun       *beginning
	warn        func(text string, err error) // writes to the engineers' log
	token       *hsm.Token
	now         time.Time
	random      io.Reader
	signers     map[string]crypto.Signer // the keys on the token, by their labels in the configuration
	Made
}

// hold makes or adopts the keys, and then makes the certificates.
func (c *ceremony) hold(ctx context.Context) error {
	if err := c.checkToken(ctx); err != nil {
		return err
	}
	signer, err := c.authorities(ctx)
	if err != nil {
		return err
	}
	above := c.Root
	if c.chain != nil {
		above = c.Issuing // the root is elsewhere, so the issuing CA signs what the station needs for itself
	}
	if c.Audit, err = issuance.Audit(c.auditConfig(above), c.audit.Public().(*ecdsa.PublicKey), above, signer, c.random); err != nil {
		return err
	}
	return c.endpoint(above, signer)
}

// authorities makes or adopts root, issuing CA and audit key. It returns the key that signs the certificates of
// the station itself.
func (c *ceremony) authorities(ctx context.Context) (signer crypto.Signer, err error) {
	if c.chain != nil {
		c.Root, c.Issuing = c.chain.Root, c.chain.Issuing
		if signer, err = c.chain.adopt(ctx, c.token, c.config.Authority.IssuingRef()); err != nil {
			return nil, err
		}
		if c.audit, err = c.auditKey(ctx); err != nil {
			return nil, err
		}
		c.signers = map[string]crypto.Signer{c.config.Authority.IssuingLabel: signer, c.config.Authority.AuditLabel: c.audit}
		return signer, nil
	}
	return c.direct(ctx)
}

// direct makes a root on the token, next to the issuing CA.
func (c *ceremony) direct(ctx context.Context) (rootKey crypto.Signer, err error) {
	names := c.config.Authority
	if rootKey, err = c.key(ctx, names.RootLabel); err != nil {
		return nil, err
	}
	issuingKey, err := c.key(ctx, names.IssuingLabel)
	if err != nil {
		return nil, err
	}
	if c.audit, err = c.auditKey(ctx); err != nil {
		return nil, err
	}
	c.signers = map[string]crypto.Signer{names.RootLabel: rootKey, names.IssuingLabel: issuingKey, names.AuditLabel: c.audit}
	if c.Root, err = issuance.Root(rootCA(c.config, c.now), rootKey, c.random); err != nil {
		return nil, err
	}
	public := issuingKey.Public().(*ecdsa.PublicKey)
	c.Issuing, err = issuance.Issuing(issuingCA(c.config, c.now), public, c.Root, rootKey, c.random)
	return rootKey, err
}

// auditConfig describes the certificate of the audit key. It is valid as long as its issuer, because
// evidence is read long after it was written.
func (c *ceremony) auditConfig(issuer *x509.Certificate) issuance.AuditConfig {
	return issuance.AuditConfig{CommonName: c.config.Authority.Name + " audit", Organization: c.config.Authority.Organization,
		NotBefore: issuer.NotBefore, NotAfter: issuer.NotAfter}
}

// key makes a key pair in the token, or adopts the key of an init that was stopped.
func (c *ceremony) key(ctx context.Context, label string) (crypto.Signer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err // between two keys, an operator's stop takes effect at once
	}
	ref, public, made, err := c.begun.known(label)
	if err != nil {
		return nil, err
	}
	if made {
		key, err := c.token.Signer(ctx, ref, public)
		if err != nil {
			return nil, fmt.Errorf("the key that %s names is not the one that the stopped `init` made: %w", c.begun.file.Name(), err)
		}
		return key, nil
	}
	key, ref, _, err := makeKey(ctx, c.token, c.begun, label, c.config.HSM.KeyIDOctets, c.random)
	if err != nil {
		return nil, err
	}
	return key, c.begun.made(ref, key.Public())
}

// checkToken refuses labels of keys that are to be made and that the token has already, and an audit key that signs another log. It looks before the first key is made:
// the keys before a taken label would stay on the token for nothing.
func (c *ceremony) checkToken(ctx context.Context) error {
	var labels []string
	names := c.config.Authority
	for _, key := range []struct {
		label string
		made  bool // elsewhere, before
	}{{names.RootLabel, c.chain != nil}, {names.IssuingLabel, c.chain != nil}, {names.AuditLabel, c.auditPublic != nil}} {
		if !key.made && len(c.begun.begun(key.label)) == 0 {
			labels = append(labels, key.label)
		}
	}
	if err := c.token.CheckUnused(ctx, labels...); err != nil || c.auditPublic == nil {
		return err
	}
	return instance.CheckFree(ctx, c.token, c.auditPublic, c.warn)
}

// auditKey adopts the audit key of an earlier ceremony, or makes one.
func (c *ceremony) auditKey(ctx context.Context) (crypto.Signer, error) {
	if c.auditPublic == nil {
		return c.key(ctx, c.config.Authority.AuditLabel)
	}
	key, err := c.token.Signer(ctx, c.config.Authority.AuditRef(), c.auditPublic)
	if err != nil {
		return nil, fmt.Errorf("adopting the audit key: %w", err)
	}
	return key, nil
}

// newRef draws the id of a new key, of so many octets.
func newRef(label string, octets int, random io.Reader) (hsm.KeyRef, error) {
	ref := hsm.KeyRef{ID: make([]byte, octets), Label: label}
	if _, err := io.ReadFull(random, ref.ID); err != nil {
		return ref, fmt.Errorf("drawing a key id: %w", err)
	}
	return ref, nil
}

// evidence returns the token's report on the keys of the station, by the labels of the configuration. The report goes into entry 0 of the
// audit log, so that a later change of the report is noticed.
func (c *ceremony) evidence(ctx context.Context) (map[string]string, error) {
	keys := map[string]string{}
	for label, signer := range c.signers {
		report, err := c.token.Report(ctx, signer)
		if err != nil {
			return nil, fmt.Errorf("reading the keys' attributes: %w", err)
		}
		keys[label] = report.Attributes.String()
	}
	return keys, nil
}

// rootCA describes the root that init makes.
func rootCA(config *configs.Config, now time.Time) issuance.CAConfig {
	return authority(config, now, "root", config.Authority.RootYears, 1)
}

// issuingCA describes the issuing CA that init makes.
func issuingCA(config *configs.Config, now time.Time) issuance.CAConfig {
	return authority(config, now, "CA", config.Authority.IssuingYears, 0)
}

func authority(config *configs.Config, now time.Time, role string, years, below int) issuance.CAConfig {
	made := issuance.CAConfig{
		CommonName:   config.Authority.Name + " " + role,
		Organization: config.Authority.Organization,
		NotBefore:    now.Add(-backdate),
		PathLen:      below,
	}
	if years > 0 {
		made.NotAfter = now.AddDate(years, 0, 0)
	}
	return made
}

// endpoint makes the verifier's key and certificate. The key is a file, because the key
// authenticates only the verifier and signs no certificates.
func (c *ceremony) endpoint(issuer *x509.Certificate, signer crypto.Signer) (err error) {
	if c.serverKey, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return fmt.Errorf("making the verifier's key: %w", err)
	}
	c.Server, err = issuance.Server(endpointConfig(c.config, issuer, c.now), &c.serverKey.PublicKey, issuer, signer, c.random)
	return err
}

// endpointConfig returns the content of the verifier's certificate. It does not outlive its issuer.
func endpointConfig(config *configs.Config, issuer *x509.Certificate, now time.Time) issuance.ServerConfig {
	name, end := config.Verifier.ServerName, now.AddDate(0, 0, config.Authority.VerifierDays)
	if end.After(issuer.NotAfter) {
		end = issuer.NotAfter
	}
	return issuance.ServerConfig{CommonName: name, DNSNames: []string{name}, NotBefore: now.Add(-backdate), NotAfter: end}
}

// endpointPEM returns the verifier's certificate and, if the issuing CA signed it, the certificate of the issuing
// CA: boards know the root only.
func endpointPEM(server, root, issuing *x509.Certificate) []byte {
	if bytes.Equal(server.RawIssuer, root.RawSubject) {
		return workdir.CertificatePEM(server.Raw)
	}
	return workdir.CertificatePEM(server.Raw, issuing.Raw)
}

// write stores certificates and the verifier's key.
func (c *ceremony) write(dir workdir.Dir) error {
	key, err := workdir.PrivateKeyPEM(c.serverKey)
	if err != nil {
		return fmt.Errorf("writing the verifier's key: %w", err)
	}
	defer clear(key)
	audit, err := x509.MarshalPKIXPublicKey(c.audit.Public())
	if err != nil {
		return fmt.Errorf("encoding the audit key: %w", err)
	}
	for path, text := range map[string][]byte{
		dir.Root():             workdir.CertificatePEM(c.Root.Raw),
		dir.Issuing():          workdir.CertificatePEM(c.Issuing.Raw),
		dir.Server():           endpointPEM(c.Server, c.Root, c.Issuing),
		dir.AuditCertificate(): workdir.CertificatePEM(c.Audit.Raw),
		dir.ServerKey():        key,
		dir.AuditPublic():      pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: audit}),
	} {
		if err := workdir.WriteFile(path, text); err != nil {
			return err
		}
	}
	return nil
}
