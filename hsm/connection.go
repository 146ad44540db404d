package hsm

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"errors"
	"io"
	"sync"

	"github.com/ThalesIgnite/crypto11"
	"github.com/miekg/pkcs11"
)

// A connection is one login: a crypto11 context and the keys found through it. It
// ends when the token is lost or closed.
type connection struct {
	cfg        Config
	tokenInfo  tokenInfo
	generation uint64
	module     *crypto11.Context
	// calls counts the calls in flight. close waits for them.
	calls sync.WaitGroup

	mu      sync.Mutex // guards signers
	signers map[*key]crypto.Signer
}

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
	return login(cfg, found, secret)
}

func login(cfg Config, found tokenInfo, pin Secret) (*connection, error) {
	slot := int(found.slot)
	// crypto11 keeps this struct as long as the context exists, and reads Pin only
	// inside Configure.
	settings := &crypto11.Config{
		Path: cfg.Module, SlotNumber: &slot, Pin: pin.reveal(),
		MaxSessions: found.sessions, PoolWaitTimeout: cfg.Timeout,
	}
	module, err := crypto11.Configure(settings)
	settings.Pin = ""
	if err != nil {
		return nil, explain("logging in to "+cfg.selector(), err)
	}
	return &connection{cfg: cfg, tokenInfo: found, module: module, signers: map[*key]crypto.Signer{}}, nil
}

// close ends the login and finalises the module. It waits for the calls in flight,
// for ever if the module never returns from one.
func (c *connection) close() error {
	c.calls.Wait()
	err := c.module.Close()
	if lost(err) {
		return nil // the token went away first; nothing is left open
	}
	return explain("closing the module", err)
}

// signer returns the key on this connection. The first call for a key adopts it.
func (c *connection) signer(k *key) (crypto.Signer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.signers[k]; s != nil {
		return s, nil
	}
	s, err := c.adopt(k)
	if err != nil {
		return nil, err
	}
	c.signers[k] = s
	return s, nil
}

// adopt finds the one key pair, checks its attributes, and checks with a challenge
// that the key belongs to the public key that the caller of Signer gave.
func (c *connection) adopt(k *key) (crypto.Signer, error) {
	s, err := c.only(k.ref)
	if err != nil {
		return nil, err
	}
	read := func(attribute uint) ([]byte, error) {
		value, err := c.module.GetAttribute(s, attribute)
		if err != nil || value == nil {
			return nil, err
		}
		return value.Value, nil
	}
	attributes, err := readAttributes(read)
	if err != nil {
		return nil, explain("reading attributes of "+k.ref.String(), err)
	}
	if err := attributes.refused(k.ref); err != nil {
		return nil, err
	}
	public, ok := s.Public().(*ecdsa.PublicKey)
	if !ok || !public.Equal(k.public) {
		return nil, refuse(ErrKeyDiffers, "the public half of %s on the token is another one", k.ref)
	}
	return s, k.challenge(s)
}

// only returns the one key pair that ref names.
func (c *connection) only(ref KeyRef) (crypto11.Signer, error) {
	id, label := ref.octets()
	pairs, err := c.module.FindKeyPairs(id, label)
	if err != nil && !errors.As(err, new(pkcs11.Error)) {
		// crypto11 could not parse the token's answer.
		return nil, refuse(ErrKeyUnreadable, "%s: %w", ref, err)
	}
	if err != nil {
		return nil, explain("finding "+ref.String(), err)
	}
	switch len(pairs) {
	case 0:
		return nil, refuse(ErrKeyMissing, "no %s with both halves on the token", ref)
	case 1:
		return pairs[0], nil
	}
	return nil, refuse(ErrKeyDuplicated, "%d pairs fit %s", len(pairs), ref)
}

// challenge has s sign random octets and verifies the signature with the key's public key.
func (k *key) challenge(s crypto.Signer) error {
	digest := make([]byte, k.hash.Size())
	if _, err := io.ReadFull(rand.Reader, digest); err != nil {
		return err
	}
	signature, err := s.Sign(nil, digest, k.hash)
	if err != nil {
		return explain("signing a challenge with "+k.ref.String(), err)
	}
	if !ecdsa.VerifyASN1(k.public, digest, signature) {
		return refuse(ErrKeyDiffers, "%s signed a challenge that does not verify", k.ref)
	}
	return nil
}
