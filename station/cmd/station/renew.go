package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/spf13/cobra"

	"hallmark/configs"
	"hallmark/station/audit"
	"hallmark/station/issuance"
)

func (c *command) renewVerifierCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "renew-verifier",
		Short: "Gives the verifier's endpoint a new certificate",
		Long: `renew-verifier has the root key, which must be in the HSM, sign a new certificate for the key of
the verifier's endpoint. It is valid for authority.verifier_days of station.yaml, from now on. Boards
need nothing new: they trust the root. The audit log says what was made.

It needs the station to itself. Start a verifier that runs alone again afterwards.`,
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), stopSignals...)
			defer stop()
			return c.renewVerifier(ctx)
		},
	}
}

// renewVerifier opens the bench as far as it needs it: the endpoint, whose
// certificate may have ended, stays out.
func (c *command) renewVerifier(ctx context.Context) (err error) {
	s, err := existing(c.dir)
	if err != nil {
		return err
	}
	b := &bench{state: s}
	defer func() { err = errors.Join(err, b.close()) }()
	for _, part := range []func(context.Context) error{b.openFiles, b.openRegistry, b.openToken, b.openAudit} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	made, err := b.endpointCertificate(ctx)
	if err != nil {
		return fmt.Errorf("renewing the verifier's certificate: %w", err)
	}
	if err := b.install(made); err != nil {
		return fmt.Errorf("installing the verifier's certificate: %w", err)
	}
	fmt.Fprintf(c.stdout, "%s is valid until %s, sha256 %x\n", s.server(), made.NotAfter.UTC().Format(time.DateOnly), sha256.Sum256(made.Raw))
	return b.checkpoint()
}

// endpointCertificate has the root sign for the key that the endpoint has.
func (b *bench) endpointCertificate(ctx context.Context) (*x509.Certificate, error) {
	key, err := readServerKey(b.state.serverKey())
	if err != nil {
		return nil, err
	}
	root, err := b.signer(ctx, b.config.Authority.RootLabel, b.root.PublicKey)
	if err != nil {
		return nil, err
	}
	return issuance.Server(endpointConfig(b.config, time.Now().UTC().Truncate(time.Second)), &key.PublicKey, b.root, root, rand.Reader)
}

// endpointConfig is what stands in the endpoint's certificate.
func endpointConfig(config *configs.Config, now time.Time) issuance.ServerConfig {
	name := config.Verifier.ServerName
	return issuance.ServerConfig{
		CommonName: name, DNSNames: []string{name},
		NotBefore: now.Add(-backdate), NotAfter: now.AddDate(0, 0, config.Authority.VerifierDays),
	}
}

// install puts the certificate on record first and then, in one step, in its place.
func (b *bench) install(made *x509.Certificate) error {
	sum := sha256.Sum256(made.Raw)
	err := b.note("verifier.renewed", audit.Success, map[string]string{
		"certificate_server_sha256": hex.EncodeToString(sum[:]),
		"not_after":                 made.NotAfter.UTC().Format(time.RFC3339),
	})
	if err != nil {
		return err
	}
	if err := writeFile(b.state.server(), certificatePEM(made.Raw)); err != nil {
		return err
	}
	return settle(b.state.server())
}

func readServerKey(path string) (*ecdsa.PrivateKey, error) {
	if err := private(path); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the verifier's key: %w", err)
	}
	defer clear(text)
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s: want a private key in PEM", path)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s: a %T, want an ECDSA key", path, parsed)
	}
	return key, nil
}

// renewBefore is how long before its end doctor asks for a new certificate.
const renewBefore = 30 * 24 * time.Hour

var (
	errEnded  = errors.New("the verifier's certificate has ended: no board is accepted until `station renew-verifier` has made a new one")
	errEnding = errors.New("the verifier's certificate ends soon: run `station renew-verifier` before that")
)

// expiry refuses a certificate that has ended or will end soon.
func expiry(certificate *x509.Certificate, now time.Time) error {
	left := certificate.NotAfter.Sub(now)
	switch {
	case left <= 0:
		return fmt.Errorf("%s: %w", certificate.NotAfter.UTC().Format(time.RFC3339), errEnded)
	case left < renewBefore:
		return fmt.Errorf("%s, in %d days: %w", certificate.NotAfter.UTC().Format(time.DateOnly), left/(24*time.Hour), errEnding)
	}
	return nil
}
