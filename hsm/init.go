package hsm

import (
	"context"
	"errors"
	"time"

	"github.com/miekg/pkcs11"
)

// maxLabel is the length of CK_TOKEN_INFO.label.
const maxLabel = 32

// InitToken makes a new token with the label cfg.TokenLabel and sets both PINs
// (C_InitToken, C_InitPIN). It uses a slot whose token is not initialised, and never
// changes an initialised token: a label in use is ErrTokenExists. The caller wipes
// both secrets.
func InitToken(ctx context.Context, cfg Config, soPIN, pin Secret) error {
	cfg, err := cfg.checked()
	if err != nil {
		return err
	}
	if cfg.TokenLabel == "" || len(cfg.TokenLabel) > maxLabel {
		return refuse(ErrConfig, "token label %q; expected 1 to %d octets", cfg.TokenLabel, maxLabel)
	}
	if soPIN.empty() || pin.empty() {
		return refuse(ErrPINSource, "a PIN for the new token is empty")
	}
	if err := claim(); err != nil {
		return err
	}
	soPIN, pin = soPIN.copied(), pin.copied() // the caller may wipe its copies while the module hangs
	done := make(chan error, 1)
	go func() { // releases the module, even after the time-out
		err := initToken(cfg, soPIN, pin)
		soPIN.Wipe()
		pin.Wipe()
		release()
		done <- err
	}()
	return await(ctx, done, cfg.Timeout, "initialising "+cfg.Selector())
}

// await waits for a goroutine inside a module, at most limit and until ctx ends.
func await(ctx context.Context, done <-chan error, limit time.Duration, doing string) error {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return refuse(ErrHung, "%s: %w", doing, ctx.Err())
	case <-timer.C:
		return refuse(ErrHung, "%s: no answer within %v", doing, limit)
	}
}

func initToken(cfg Config, soPIN, pin Secret) (err error) {
	if err := setEnvironment(cfg.Environment); err != nil {
		return err
	}
	module, err := load(cfg.Module)
	if err != nil {
		return err
	}
	defer module.Destroy()
	if err := module.Initialize(); err != nil {
		return explain("initialising "+cfg.Module, err)
	}
	defer func() { err = errors.Join(err, explain("finalising "+cfg.Module, module.Finalize())) }()
	slot, err := emptySlot(module, cfg)
	if err != nil {
		return err
	}
	if err := module.InitToken(slot, soPIN.reveal(), cfg.TokenLabel); err != nil {
		return explain("initialising "+cfg.Selector(), err)
	}
	return explain("setting the user PIN", setPIN(module, slot, soPIN, pin))
}

// emptySlot finds a slot for the new token and checks that no token has its label.
func emptySlot(module *pkcs11.Ctx, cfg Config) (uint, error) {
	slots, err := module.GetSlotList(true)
	if err != nil {
		return 0, explain("listing slots", err)
	}
	empty, found := uint(0), false
	for _, slot := range slots {
		token, err := module.GetTokenInfo(slot)
		if err != nil {
			continue // a slot that does not answer cannot be used
		}
		if fits(Config{TokenLabel: cfg.TokenLabel}, slot, token) {
			return 0, refuse(ErrTokenExists, "%q in slot %d", cfg.TokenLabel, slot)
		}
		if token.Flags&pkcs11.CKF_TOKEN_INITIALIZED == 0 {
			if describe(token).Software && !cfg.AllowSoftwareToken {
				return 0, refuse(ErrSoftwareToken, "slot %d is %s", slot, token.Model)
			}
			empty, found = slot, true
		}
	}
	if !found {
		return 0, refuse(ErrTokenMissing, "none of %d slots holds a token that is not initialised", len(slots))
	}
	return empty, nil
}

// setPIN logs in as security officer and sets the user PIN.
func setPIN(module *pkcs11.Ctx, slot uint, soPIN, pin Secret) (err error) {
	session, err := module.OpenSession(slot, pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, module.CloseSession(session)) }()
	if err := module.Login(session, pkcs11.CKU_SO, soPIN.reveal()); err != nil {
		return err
	}
	if err := module.InitPIN(session, pin.reveal()); err != nil {
		return err
	}
	return module.Logout(session)
}
