package instance

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"hallmark/configs"
	"hallmark/hsm"
	"hallmark/hsm/softtoken"
	"hallmark/station/audit"
	"hallmark/station/issuance"
	"hallmark/station/reason"
	"hallmark/station/workdir"
)

// Keys are a station whose HSM is open.
type Keys struct {
	*Record
	Token *hsm.Token
}

// OpenKeys opens the HSM. If pin is nil, OpenKeys uses the PIN source of the Options. A
// refusal is recorded in the audit log.
func (r *Record) OpenKeys(ctx context.Context, pin hsm.PINSource) (*Keys, error) {
	if r.options.Token != nil {
		return &Keys{r, r.options.Token}, nil
	}
	if pin == nil {
		pin = r.options.PIN
	}
	token, err := OpenToken(ctx, r.Dir, r.Config, pin, r.Log)
	if err != nil {
		return nil, errors.Join(err, r.Note(hsmOpen, audit.Failure, notOpened(err)))
	}
	r.OnClose(func() error { return CloseToken(token) })
	return &Keys{r, token}, r.Note(hsmOpen, audit.Success, TokenFacts(token.Info()))
}

// hsmOpen is the entry about a login to the HSM.
const hsmOpen = "hsm.open"

// notOpened gives what an entry says of a login that failed.
func notOpened(err error) map[string]string { return map[string]string{"error": err.Error()} }

// TokenFacts gives what an entry says of a token.
func TokenFacts(info hsm.Info) map[string]string {
	facts := map[string]string{
		"label": info.Label, "serial": info.Serial, "manufacturer": info.Manufacturer, "model": info.Model,
		"firmware": info.Firmware, "software": strconv.FormatBool(info.Software),
	}
	if info.Exceptions != "" {
		facts["exceptions"] = info.Exceptions
	}
	return facts
}

// OpenToken opens the HSM of a station. If pin is nil, OpenToken uses the configured PIN source. It refuses a directory
// or a module that everybody may write, because the module runs as code of this process.
func OpenToken(ctx context.Context, dir workdir.Dir, config *configs.Config, pin hsm.PINSource, log *slog.Logger) (*hsm.Token, error) {
	if err := dir.CheckModes(); err != nil {
		return nil, err
	}
	if config.HSM.CreateToken {
		if err := prepareSoftToken(softtoken.Dir(dir.HSM()), log); err != nil {
			return nil, err
		}
	}
	settings, err := config.Token(string(dir), workdir.Exists)
	if err != nil {
		return nil, reason.Usage(err)
	}
	if err := workdir.CheckCode(settings.Module); err != nil {
		return nil, fmt.Errorf("hsm.module: %w", err)
	}
	settings.Log = log
	if pin == nil {
		if pin, err = hsm.ParsePINSource(config.PINSource(string(dir))); err != nil {
			return nil, reason.Usage(fmt.Errorf("hsm.pin_source: %w", err))
		}
	}
	token, err := hsm.Open(ctx, settings, pin)
	if err != nil {
		return nil, fmt.Errorf("opening the HSM: %w", err)
	}
	return token, nil
}

// prepareSoftToken prepares the SoftHSM token of a demonstration, so that it can be opened.
func prepareSoftToken(token softtoken.Dir, log *slog.Logger) error {
	if err := token.Configure(); err != nil {
		return err
	}
	healed, err := token.Heal()
	if healed && log != nil {
		log.Warn("the token's object was cut off, as a kill during a login leaves it; its copy was put back")
	}
	return err
}

// CloseToken closes a token. It has its own time-out of 10 s, because the context of the
// caller has often ended already.
func CloseToken(token *hsm.Token) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := token.Close(ctx); err != nil {
		return fmt.Errorf("closing the HSM: %w", err)
	}
	return nil
}

// AuditSigner adopts the audit key by the public key that `init` wrote to a file.
func (k *Keys) AuditSigner(ctx context.Context) (crypto.Signer, error) {
	public, err := workdir.ReadPublicKey(k.Dir.AuditPublic())
	if err != nil {
		return nil, err
	}
	return k.signer(ctx, k.Config.Authority.AuditRef(), public)
}

// IssuingSigner adopts the issuing key by the public key in its certificate, and does not trust
// the public key that the token reports.
func (k *Keys) IssuingSigner(ctx context.Context) (crypto.Signer, error) {
	return k.signer(ctx, k.Config.Authority.IssuingRef(), k.Issuing.PublicKey)
}

// RootSigner adopts the root key. The root key may be kept outside of this token.
func (k *Keys) RootSigner(ctx context.Context) (crypto.Signer, error) {
	return k.signer(ctx, k.Config.Authority.RootRef(), k.Root.PublicKey)
}

func (k *Keys) signer(ctx context.Context, ref hsm.KeyRef, public crypto.PublicKey) (crypto.Signer, error) {
	key, ok := public.(*ecdsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("adopting %s: its certificate has a %T, want ECDSA", ref, public)
	}
	signer, err := k.Token.Signer(ctx, ref, key)
	if err != nil {
		return nil, fmt.Errorf("adopting the %s: %w", ref, err)
	}
	return signer, nil
}

// OpenIssuer makes the issuer of board certificates.
func (k *Keys) OpenIssuer(ctx context.Context) (*issuance.Issuer, error) {
	if err := k.CheckProfiles(ctx); err != nil {
		return nil, err
	}
	signer, err := k.IssuingSigner(ctx)
	if err != nil {
		return nil, err
	}
	config := issuance.Config{
		Profile: k.Profile, COSE: k.COSE, Issuer: k.Issuing, Root: k.Root, Signer: signer, Store: k.Registry,
		Now: k.options.Now, Random: k.options.Random, AllowDummy: k.Config.Boards.AllowDummy,
	}
	if hook := k.options.TestingOnly.Issuance; hook != nil {
		hook(&config)
	}
	return issuance.New(config)
}
