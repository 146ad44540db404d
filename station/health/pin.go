package health

import (
	"context"
	"errors"

	"hallmark/hsm"
	"hallmark/station/instance"
)

var errNotTyped = errors.New("the PIN was not typed yet")

// notTyped is the PIN source until an operator has typed the PIN. It does not prompt, because
// the screen owns the terminal.
func notTyped(context.Context) (hsm.Secret, error) { return hsm.Secret{}, errNotTyped }

// Unlock logs in to the HSM with a typed PIN. It does not keep pin; the caller overwrites
// pin afterwards. A refused PIN is forgotten and not tried again. The error is then
// hsm.ErrPINWrong, or hsm.ErrPINAtRisk or hsm.ErrPINLocked if the flags of the token show it.
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
	record.OnClose(func() error { forget(); return nil }) // called before the token closes, which does not need the PIN
	return nil
}

// refused returns the error of a failed login. After a wrong PIN it reads the flags of the
// token, and returns hsm.ErrPINLocked or hsm.ErrPINAtRisk if no try or one try is left (PKCS#11
// v2.40 section 3.2, CK_TOKEN_INFO).
func (c *Checker) refused(ctx context.Context, record *instance.Record, err error) error {
	if errors.Is(err, hsm.ErrPINWrong) {
		if now := withoutLogin(ctx, record); errors.Is(now, hsm.ErrPINLocked) || errors.Is(now, hsm.ErrPINAtRisk) {
			return now
		}
	}
	return err
}

// withoutLogin opens the token without a PIN, and returns the refusal. Before the login, the
// token's flags are checked.
func withoutLogin(ctx context.Context, record *instance.Record) error {
	token, err := instance.OpenToken(ctx, record.Dir, record.Config, notTyped, record.Log)
	if err == nil { // the token needs no PIN
		return instance.CloseToken(token)
	}
	return err
}
