package issuance

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"time"

	"hallmark/devices"
)

// Config is what New needs. It must not be changed afterwards.
type Config struct {
	Profile *Profile            // for TLS keys
	COSE    *Profile            // for COSE keys; nil: this issuer certifies none
	Issuer  *x509.Certificate   // the CA certificate for Signer's key
	Chain   []*x509.Certificate // the CA certificates between Issuer and Root; usually none
	Root    *x509.Certificate   // may be the Issuer itself
	// Signer signs SHA-256 digests with the issuer's P-256 key. Each call must end
	// within a bounded time; concurrent calls must be safe. An error with a method
	// NotSigned() bool that gives true means that certainly nothing was signed.
	// After any other error a signature may exist (I10).
	Signer crypto.Signer
	Store  Store
	Now    func() time.Time
	Random io.Reader // for serial numbers; safe for concurrent use

	// AllowDummy gives certificates also to identities that everybody can derive (see
	// devices.KnownDummy): demo mode only.
	AllowDummy bool

	// StoreTimeout bounds the writing of a result after the HSM was asked. The result
	// is written even if the caller's context has ended. 0 means 10 s.
	StoreTimeout time.Duration
}

// Issuer checks CSRs and signs certificates. Its methods are safe for concurrent use.
type Issuer struct {
	config Config
	spki   [32]byte // SHA-256 of the issuer's SubjectPublicKeyInfo
}

// New checks that signer, issuer and root belong together: the signer's key is
// the issuer's, and the issuer chains to the root as a CA.
func New(c Config) (*Issuer, error) {
	if err := c.complete(); err != nil {
		return nil, fmt.Errorf("configuring the issuer: %w", err)
	}
	if c.StoreTimeout <= 0 {
		c.StoreTimeout = 10 * time.Second
	}
	if c.Profile.Purpose() != devices.PurposeTLS || c.COSE != nil && c.COSE.Purpose() != devices.PurposeCOSE {
		return nil, fmt.Errorf("configuring the issuer: %w: it is for keys of another purpose", ErrProfile)
	}
	c.Chain = slices.Clone(c.Chain)
	if err := c.verifyIssuer(); err != nil {
		return nil, fmt.Errorf("configuring the issuer: %w", err)
	}
	for _, profile := range []*Profile{c.Profile, c.COSE} {
		if profile == nil {
			continue
		}
		if err := profile.Fits(c.Issuer, c.Now()); err != nil {
			return nil, fmt.Errorf("configuring the issuer: %w", err)
		}
	}
	return &Issuer{config: c, spki: sha256.Sum256(c.Issuer.RawSubjectPublicKeyInfo)}, nil
}

func (c *Config) complete() error {
	for part, missing := range map[string]bool{
		"Profile": c.Profile == nil, "Issuer": c.Issuer == nil, "Root": c.Root == nil, "Signer": c.Signer == nil,
		"Store": c.Store == nil, "Now": c.Now == nil, "Random": c.Random == nil,
	} {
		if missing {
			return fmt.Errorf("%s is not set", part)
		}
	}
	return nil
}

// verifyIssuer compares the signer's key with the issuer's, and verifies the
// issuer up to the root.
func (c *Config) verifyIssuer() error {
	key, ok := c.Issuer.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() || !key.Equal(c.Signer.Public()) {
		return ErrIssuerKey
	}
	if !c.Issuer.IsCA || c.Issuer.KeyUsage&x509.KeyUsageCertSign == 0 || len(c.Issuer.SubjectKeyId) == 0 {
		return fmt.Errorf("%w: want a CA with keyCertSign and a subject key identifier", ErrIssuerChain)
	}
	if _, err := c.Issuer.Verify(c.upTo(c.Now())); err != nil {
		return fmt.Errorf("%w: %w", ErrIssuerChain, err)
	}
	return nil
}

// upTo gives the options for verifying a certificate up to the configured root.
func (c *Config) upTo(now time.Time) x509.VerifyOptions {
	roots, middle := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(c.Root)
	for _, certificate := range c.Chain {
		middle.AddCert(certificate)
	}
	return x509.VerifyOptions{Roots: roots, Intermediates: middle, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}
}

// Request is what a Run asks for: a certificate for one key of one board.
type Request struct {
	Run     string          // UUID of the Run
	BoardID devices.BoardID // from identify
	// HardwareID is the serial number of the silicon, from identify. A profile may put it into the certificate.
	HardwareID devices.HardwareID
	Purpose    devices.Purpose         // of the key
	Nonce      [devices.NonceSize]byte // what the CSR must carry (I5)
	CSR        []byte                  // PKCS#10 DER, 1 to 768 octets
	Rework     bool                    // replaces the board's active certificate
}

// A Grant is the permission for one signature by one Issuer on one exact
// TBSCertificate. A Grant exists in memory only: it cannot be stored, so the CSR is
// checked again after a restart.
type Grant struct {
	issuer *Issuer
	intent Intent
	tbs    []byte
	used   atomic.Bool
}

// Check refuses the CSR with one of the refusals in errors.go, or grants exactly one
// signature. It writes nothing, and asks neither the Store nor the HSM: whether a
// stored certificate answers the request is decided by Sign, in the transaction that
// would write the intent.
func (i *Issuer) Check(ctx context.Context, req Request) (*Grant, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("checking the CSR: %w", err)
	}
	grant, err := i.check(req)
	if err != nil {
		return nil, fmt.Errorf("checking the CSR: %w", err)
	}
	return grant, nil
}

func (i *Issuer) check(req Request) (*Grant, error) {
	if req.Run == "" || req.BoardID.IsZero() {
		return nil, ErrBadRequest
	}
	profile, err := i.profile(req.Purpose)
	if err != nil {
		return nil, err
	}
	subject, err := subjectDER(profile.Organization(), req.BoardID.String(), profile.OrganizationalUnit())
	if err != nil {
		return nil, fmt.Errorf("writing the subject: %w", err)
	}
	key, err := checkCSR(req.CSR, wanted{subject: subject, boardID: req.BoardID, nonce: req.Nonce})
	if err != nil {
		return nil, err
	}
	spki, err := keyDER(key)
	if err != nil {
		return nil, fmt.Errorf("writing the public key: %w", err)
	}
	if err := i.notDummy(req.BoardID, spki); err != nil {
		return nil, err
	}
	if profile.needsHardwareID() && !req.HardwareID.IsThere() {
		return nil, fmt.Errorf("%w (profile %s)", ErrNoHardwareID, profile.Name())
	}
	return i.grant(req, profile, key, spki)
}

// profile gives the profile for keys of this purpose.
func (i *Issuer) profile(purpose devices.Purpose) (*Profile, error) {
	for _, p := range []*Profile{i.config.Profile, i.config.COSE} {
		if p != nil && p.Purpose() == purpose {
			return p, nil
		}
	}
	return nil, fmt.Errorf("%w: %q", ErrNoProfile, purpose)
}

// Possession checks a CSR that only proves possession: no certificate follows. It
// gives the SHA-256 of the SubjectPublicKeyInfo of the key that the board holds now.
// The refusals are those of Check.
func Possession(csr []byte, boardID devices.BoardID, nonce [devices.NonceSize]byte, organization, unit string) (spki [32]byte, err error) {
	subject, err := subjectDER(organization, boardID.String(), unit)
	if err != nil {
		return spki, fmt.Errorf("writing the subject: %w", err)
	}
	key, err := checkCSR(csr, wanted{subject: subject, boardID: boardID, nonce: nonce})
	if err != nil {
		return spki, fmt.Errorf("checking the CSR: %w", err)
	}
	der, err := keyDER(key)
	if err != nil {
		return spki, fmt.Errorf("writing the public key: %w", err)
	}
	return sha256.Sum256(der), nil
}

func (i *Issuer) notDummy(boardID devices.BoardID, spki []byte) error {
	if i.config.AllowDummy {
		return nil
	}
	if origin, dummy := devices.KnownDummy(boardID, spki); dummy {
		return fmt.Errorf("%w: %s", ErrDummyIdentity, origin)
	}
	return nil
}

// notSigned is what an error of the Signer may implement: see Config.Signer.
type notSigned interface {
	error
	NotSigned() bool
}

func certainlyNotSigned(err error) bool {
	var certain notSigned
	return errors.As(err, &certain) && certain.NotSigned()
}
