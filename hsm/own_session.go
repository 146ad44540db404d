package hsm

import (
	"errors"
	"sync"

	"github.com/miekg/pkcs11"
)

// An ownSession is one more session beside those of crypto11, because crypto11 shows complete key
// pairs only. It finds keys and reads their attributes, makes keys, and stores data.
type ownSession struct {
	module *pkcs11.Ctx
	// separate is true for a module that keeps its state for each function list and not for the
	// process, such as p11-kit's client. There openOwnSession initialises the module and logs in again.
	separate bool
	allow    Exceptions

	mu     sync.Mutex // held during each use of the session
	handle pkcs11.SessionHandle
}

// openOwnSession comes after the login of crypto11, so the PIN is the right one.
func openOwnSession(cfg Config, slot uint, pin Secret) (*ownSession, error) {
	module, err := load(cfg.Module)
	if err != nil {
		return nil, err
	}
	s := &ownSession{module: module, allow: cfg.Exceptions}
	err = module.Initialize()
	s.separate = err == nil
	if err != nil && !errors.Is(err, pkcs11.Error(pkcs11.CKR_CRYPTOKI_ALREADY_INITIALIZED)) {
		return nil, errors.Join(err, s.close())
	}
	// Some tokens have only sessions that may write.
	if s.handle, err = module.OpenSession(slot, pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION); err != nil {
		return nil, errors.Join(err, s.close())
	}
	if s.separate {
		err = module.Login(s.handle, pkcs11.CKU_USER, pin.reveal())
	}
	// p11-kit's proxy wants to be initialised again, and then shares the login.
	if err != nil && !errors.Is(err, pkcs11.Error(pkcs11.CKR_USER_ALREADY_LOGGED_IN)) {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// withSession calls use with the own session. Only one call at a time has the session.
func withSession[T any](c *connection, use func(session) (T, error)) (T, error) {
	c.own.mu.Lock()
	defer c.own.mu.Unlock()
	return use(session{c.own.module, c.own.handle, c.own.allow, c.cfg.Log})
}

// close finalises the module if openOwnSession has initialised it. Otherwise crypto11 does that,
// which also ends the session.
func (s *ownSession) close() (err error) {
	if s == nil {
		return nil
	}
	if s.separate {
		err = s.module.Finalize()
	}
	s.module.Destroy()
	return err
}
