package hsm

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"sync"

	"github.com/ThalesIgnite/crypto11"
)

// A connection is one login: a crypto11 context, a session beside it, and the keys found
// through both. It ends when the token is lost or closed.
type connection struct {
	cfg        Config
	tokenInfo  tokenInfo
	generation uint64
	module     *crypto11.Context
	own        *ownSession
	// calls counts the calls in flight. close waits for them.
	calls sync.WaitGroup

	mu      sync.Mutex // guards signers
	signers map[*key]signer
}

// A signer signs a digest with one private key. It returns the signature as a SEQUENCE of r and s.
type signer func(digest []byte) ([]byte, error)

// dial opens the module and logs in. After an error the module is finalised.
func dial(ctx context.Context, cfg Config, pin PINSource) (*connection, error) {
	found, err := preflight(cfg)
	if err != nil {
		return nil, err
	}
	secret, err := pin.ask(ctx)
	if err != nil {
		return nil, err
	}
	defer secret.Wipe()
	module, err := login(cfg, found, secret)
	if err != nil {
		return nil, err
	}
	c := &connection{cfg: cfg, tokenInfo: found, module: module, signers: map[*key]signer{}}
	if c.own, err = openOwnSession(cfg, found.slot, secret); err != nil {
		return nil, errors.Join(explain("opening a session of "+cfg.Selector(), err), c.close())
	}
	return c, nil
}

// login opens a crypto11 context.
func login(cfg Config, found tokenInfo, pin Secret) (*crypto11.Context, error) {
	slot := int(found.slot)
	// crypto11 keeps this struct as long as the context exists, and reads Pin only
	// inside Configure.
	settings := &crypto11.Config{
		Path: cfg.Module, SlotNumber: &slot, Pin: pin.reveal(),
		MaxSessions: found.sessions - 1, PoolWaitTimeout: cfg.Timeout,
	}
	module, err := crypto11.Configure(settings)
	settings.Pin = ""
	return module, explain("logging in to "+cfg.Selector(), err)
}

// close ends the login and finalises the module. It waits for the calls in flight,
// for ever if the module never returns from one.
func (c *connection) close() error {
	c.calls.Wait()
	var errs []error
	for _, end := range []func() error{c.own.close, c.module.Close} {
		if err := end(); !lost(err) { // a token that went away first leaves nothing open
			errs = append(errs, err)
		}
	}
	return explain("closing the module", errors.Join(errs...))
}

// signer returns the key on this connection. The first call for a key adopts it.
func (c *connection) signer(k *key) (signer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.signers[k]; s != nil {
		return s, nil
	}
	return c.adoptAnew(k)
}

// prove adopts the key, also one that was adopted on this connection: the token may have changed since.
func (c *connection) prove(k *key) (signer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.adoptAnew(k)
}

// adoptAnew adopts the key and keeps the result. The caller holds c.mu.
func (c *connection) adoptAnew(k *key) (signer, error) {
	s, err := c.adopt(k)
	if err == nil {
		c.signers[k] = s
	}
	return s, err
}

// adopt finds and proves the key pair in the own session, and has crypto11 sign with it. crypto11
// finds no key without an id or a public half; such a key signs in the own session.
func (c *connection) adopt(k *key) (signer, error) {
	found, err := withSession(c, func(s session) (pair, error) { return s.adopt(k) })
	if err != nil {
		return nil, err
	}
	ofLibrary, err := c.library(k, found)
	if err != nil || ofLibrary != nil {
		return ofLibrary, err
	}
	c.cfg.Log.Warn("crypto11 does not find a key that the token has; asking the token directly", "key", found.ref().String())
	return func(digest []byte) ([]byte, error) {
		return withSession(c, func(s session) ([]byte, error) { return s.sign(found.handle, digest) })
	}, nil
}

// library returns crypto11's signer for a key pair that was found; nil: crypto11 does not find it.
// A signature proves the signer, because crypto11 may pair a private key with the public half of
// another key that has the same id.
func (c *connection) library(k *key, found pair) (signer, error) {
	if len(found.id) == 0 || len(found.halves) == 0 {
		return nil, nil
	}
	pairs, err := c.module.FindKeyPairs(found.id, nil)
	if lost(err) {
		return nil, explain("finding "+found.ref().String(), err)
	}
	if err != nil { // such as a public half without a header, which only this package decodes
		c.cfg.Log.Warn("crypto11 cannot read a key", "key", found.ref().String(), "error", err)
		return nil, nil
	}
	var gone error
	for _, pair := range pairs {
		if public, ok := pair.Public().(*ecdsa.PublicKey); !ok || !k.public.Equal(public) {
			continue
		}
		sign := func(digest []byte) ([]byte, error) { return pair.Sign(nil, digest, k.hash) }
		verifies, err := k.challenge(sign)
		switch {
		case lost(err):
			gone = explain("signing a challenge with "+found.ref().String(), err)
		case err != nil:
			c.cfg.Log.Warn("a key does not sign through crypto11", "key", found.ref().String(), "error", err)
		case verifies:
			return sign, nil
		}
	}
	return nil, gone
}
