package health

import (
	"context"
	"errors"

	"hallmark/hsm"
	"hallmark/station/instance"
)

var errNotTyped = errors.New("the PIN was not typed yet")

// notTyped is the PIN source until somebody has typed the PIN: the screen owns the terminal.
func notTyped(context.Context) (hsm.Secret, error) { return hsm.Secret{}, errNotTyped }

// Unlock logs in to the HSM with a PIN that was typed. It keeps no part of pin after it
// returns; the caller overwrites pin. A refused PIN is forgotten, and nothing tries it again:
// hsm.ErrPINWrong, or hsm.ErrPINAtRisk or hsm.ErrPINLocked when the token says that much.
func (c *Checker) Unlock(ctx context.Context, pin []byte) error {
	if !c.enter() {
		return context.Canceled
	}
	defer c.work.Done()
	c.opening.Lock()
	defer c.opening.Unlock()
	record, err := c.record.get()
	if err != nil || c.keys.open {
		return err
	}
	source, forget, err := hsm.EnteredPIN(pin)
	if err != nil {
		return err
	}
	_, err = c.keys.orOpen(func() (*instance.Keys, error) { return record.OpenKeys(ctx, source) })
	if err != nil {
		forget()
		return c.refused(ctx, record, err)
	}
	record.OnClose(func() error { forget(); return nil }) // before the token closes, which needs the PIN no more
	return nil
}

// refused says what the operator has to know of a login that did not come about: after a wrong
// PIN also whether the token has tries left, as far as its flags tell (PKCS#11 v2.40
// section 3.2, CK_TOKEN_INFO).
func (c *Checker) refused(ctx context.Context, record *instance.Record, err error) error {
	if errors.Is(err, hsm.ErrPINWrong) {
		if now := withoutLogin(ctx, record); errors.Is(now, hsm.ErrPINLocked) || errors.Is(now, hsm.ErrPINAtRisk) {
			return now
		}
	}
	return err
}

// withoutLogin opens the token as far as the login, gives no PIN, and returns the refusal.
func withoutLogin(ctx context.Context, record *instance.Record) error {
	token, err := instance.OpenToken(ctx, record.Dir, record.Config, notTyped, record.Log)
	if err == nil { // a token that asks for no PIN
		return instance.CloseToken(token)
	}
	return err
}
