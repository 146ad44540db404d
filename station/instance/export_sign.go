package instance

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"hallmark/hsm"
	"hallmark/station/evidence"
	"hallmark/station/reason"
	"hallmark/station/workdir"
)

var errNoAuditCertificate = errors.New("the station has no certificate of its audit key, because an older version made it; export without --sign: the checkpoint in the bundle is signed in any case")

// openSigner opens the HSM, and gives the bundle the audit key. The station may be running: the
// registry is not opened for writing. done closes the HSM.
func (x *Export) openSigner(ctx context.Context, bundle *evidence.Bundle) (done func() error, err error) {
	certificate, err := workdir.ReadCertificate(x.Dir.AuditCertificate())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, reason.Usage(errNoAuditCertificate)
	} else if err != nil {
		return nil, err
	}
	key, ok := certificate.PublicKey.(*ecdsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("%s: the certificate has a %T, want ECDSA", x.Dir.AuditCertificate(), certificate.PublicKey)
	}
	config, _, err := ReadSettings(x.Dir)
	if err != nil {
		return nil, reason.Usage(err)
	}
	token, err := OpenToken(ctx, x.Dir, config, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	signer, err := token.Signer(ctx, hsm.KeyRef{Label: config.Authority.AuditLabel}, key)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("adopting the audit key: %w", err), CloseToken(token))
	}
	bundle.Signer = &evidence.Signer{Certificate: certificate, Issuing: evidence.Between(bundle.Authorities, certificate), Key: signer, Now: time.Now, Random: rand.Reader}
	return func() error { return CloseToken(token) }, nil
}
