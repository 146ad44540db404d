package instance

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"time"

	"hallmark/configs"
	"hallmark/hsm"
	"hallmark/station/audit"
	"hallmark/station/evidence"
	"hallmark/station/reason"
	"hallmark/station/workdir"
)

var errNoAuditCertificate = errors.New("the station has no certificate of its audit key, because an older version made it; export without --sign: the checkpoint in the bundle is signed in any case")

// openSigner opens the HSM, and gives the bundle the audit key. The station may be running: the
// registry is not opened for writing, so notices tell of the intent and of the login, before the key signs. done closes the HSM.
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
	token, err := x.openToken(ctx, config)
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

// openToken opens the HSM, on record: an intent before it, and then what became of the login.
func (x *Export) openToken(ctx context.Context, config *configs.Config) (*hsm.Token, error) {
	if err := x.note(exportIntent, audit.Success, map[string]string{"to": filepath.Base(x.Out)}); err != nil {
		return nil, reason.Usage(fmt.Errorf("the use of the audit key would not be on record, because the station directory cannot be written; export without --sign, or from the directory itself: %w", err))
	}
	token, err := OpenToken(ctx, x.Dir, config, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, errors.Join(err, x.note(hsmOpen, audit.Failure, notOpened(err)))
	}
	if err := x.note(hsmOpen, audit.Success, TokenFacts(token.Info())); err != nil {
		return nil, errors.Join(fmt.Errorf("the login would not be on record: %w", err), CloseToken(token))
	}
	return token, nil
}

// note leaves a notice with the time, because its entry comes later.
func (x *Export) note(kind string, outcome audit.Outcome, details map[string]string) error {
	return leaveNoticeAt(x.Dir, Notice{Type: kind, Outcome: outcome, Operator: LocalUser(), Details: details}, time.Now())
}
