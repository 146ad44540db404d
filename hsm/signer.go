package hsm

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	_ "crypto/sha256" // crypto.SHA256
	_ "crypto/sha512" // crypto.SHA384
	"errors"
	"io"
	"slices"
	"sync/atomic"
)

// A key is a key pair that was handed out, with the public key that it must match.
type key struct {
	token  *Token
	ref    KeyRef
	public *ecdsa.PublicKey
	hash   crypto.Hash
}

// hashes maps each curve to its digest: the strength of the hash is that of the
// curve (FIPS 186-5 section 6.1.1).
var hashes = map[elliptic.Curve]crypto.Hash{
	elliptic.P256(): crypto.SHA256,
	elliptic.P384(): crypto.SHA384,
}

// Signer returns a signer for an existing key. want is the public key that the key
// must belong to; take it from the certificate, never from the token. ref only narrows
// the search, and may be empty. Errors:
// ErrKeyMissing, ErrKeyDuplicated, ErrKeyExtractable, ErrKeyDiffers,
// ErrKeyUnreadable, or an error about the token's state.
//
// The signer stays valid when the token restarts, until Token.Close. Its Sign takes a
// digest of the curve's hash (SHA-256 for P-256, SHA-384 for P-384), ignores the
// reader, because the token makes its own random numbers, and returns an ASN.1
// signature that was verified.
func (t *Token) Signer(ctx context.Context, ref KeyRef, want *ecdsa.PublicKey) (crypto.Signer, error) {
	if want == nil {
		return nil, refuse(ErrConfig, "no public key given for %s", ref)
	}
	hash, ok := hashes[want.Curve]
	if !ok {
		return nil, refuse(ErrConfig, "the public key given for %s is neither P-256 nor P-384", ref)
	}
	k := t.known(&key{token: t, ref: ref, public: want, hash: hash})
	if _, err := call(ctx, t, "adopting "+ref.String(), func(c *connection) (signer, error) { return c.prove(k) }); err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !slices.Contains(t.keys, k) {
		t.keys = append(t.keys[:len(t.keys):len(t.keys)], k)
	}
	return k, nil
}

// known returns the key that was handed out for the same search and public key, or k. Otherwise a station that asks for a key again and
// again would have a reopen adopt it as often.
func (t *Token) known(k *key) *key {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, old := range t.keys {
		if old.ref.Label == k.ref.Label && bytes.Equal(old.ref.ID, k.ref.ID) && old.public.Equal(k.public) {
			return old
		}
	}
	return k
}

var _ crypto.Signer = (*key)(nil)

// notSigned marks an error that happened before the token was asked to sign.
type notSigned struct{ error }

func (e notSigned) Unwrap() error   { return e.error }
func (e notSigned) NotSigned() bool { return true }

// markNotSigned marks err if it is certain that nothing was signed. A call that hangs
// (ErrHung) may still ask the token later, except when it never got a turn (ErrBusy).
func markNotSigned(err error, unasked bool) error {
	if unasked && (errors.Is(err, ErrBusy) || !errors.Is(err, ErrHung)) {
		return notSigned{err}
	}
	return err
}

// Public returns the *ecdsa.PublicKey that the key must match.
func (k *key) Public() crypto.PublicKey { return k.public }

// Sign implements crypto.Signer. If an error has a method NotSigned() bool that
// returns true, the token was not asked. After any other error the token may have
// signed, and the caller must count the digest as possibly signed.
func (k *key) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if len(digest) != k.hash.Size() || opts != nil && opts.HashFunc() != k.hash {
		return nil, notSigned{refuse(ErrDigest, "%d octets for %s; expected %v", len(digest), k.ref, k.hash)}
	}
	var asked atomic.Bool
	own := append([]byte(nil), digest...) // the caller may reuse digest while a call that hangs still reads it
	signature, err := call(context.Background(), k.token, "signing with "+k.ref.String(), func(c *connection) ([]byte, error) {
		sign, err := c.signer(k)
		if err != nil {
			return nil, err
		}
		asked.Store(true)
		return sign(own)
	})
	if err != nil {
		return nil, markNotSigned(err, !asked.Load())
	}
	if !ecdsa.VerifyASN1(k.public, own, signature) {
		return nil, refuse(ErrBadSignature, "%s", k.ref)
	}
	return signature, nil
}
