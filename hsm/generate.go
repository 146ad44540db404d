package hsm

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"errors"

	"github.com/ThalesIgnite/crypto11"
	"github.com/miekg/pkcs11"
)

// Generate makes a P-256 key pair on the token, for the key ceremony only. ref needs
// label and id. If any object on the token, of any class, has that label or that id,
// Generate returns ErrKeyExists. The new key must meet [Policy] and sign a challenge
// before Generate returns its public key. If one of them fails, the key pair stays on
// the token, so that the ceremony can examine it.
func (t *Token) Generate(ctx context.Context, ref KeyRef) (*ecdsa.PublicKey, error) {
	if len(ref.ID) == 0 || ref.Label == "" {
		return nil, refuse(ErrConfig, "%s: a new key needs label and id", ref)
	}
	doing := "generating " + ref.String()
	_, err := call(ctx, t, doing, func(c *connection) (struct{}, error) {
		return withSession(ctx, t, c, func(s session) (struct{}, error) { return struct{}{}, s.checkUnused(ref) })
	})
	if err != nil {
		return nil, err
	}
	return generateOnce(ctx, t, ref, doing)
}

// generateOnce never repeats the call, because after a lost session a second call
// could make a second key pair.
func generateOnce(ctx context.Context, t *Token, ref KeyRef, doing string) (*ecdsa.PublicKey, error) {
	var began bool
	public, err := call(ctx, t, doing, func(c *connection) (*ecdsa.PublicKey, error) {
		if began {
			return nil, refuse(ErrSessionLost, "%s may or may not exist now; look with `station doctor`", ref)
		}
		began = true
		return c.generate(ref)
	})
	if err != nil {
		return nil, err
	}
	_, err = call(ctx, t, doing, func(c *connection) (struct{}, error) {
		_, err := c.adopt(&key{token: t, ref: ref, public: public, hash: hashes[public.Curve]})
		return struct{}{}, err
	})
	return public, err
}

// checkUnused returns ErrKeyExists if an object on the token has ref's label or ref's id.
func (s session) checkUnused(ref KeyRef) error {
	objects, err := s.all()
	if err != nil {
		return explain("listing objects", err)
	}
	for _, o := range objects {
		if o.label == ref.Label || bytes.Equal(o.id, ref.ID) {
			return refuse(ErrKeyExists, "%s, asked for %s", o.ref(), ref)
		}
	}
	return nil
}

// templateRefusals are the return values of tokens that do not know some attributes
// or do not let the caller choose them. Such tokens get crypto11's minimal template.
var templateRefusals = []uint{
	pkcs11.CKR_TEMPLATE_INCONSISTENT, pkcs11.CKR_ATTRIBUTE_TYPE_INVALID,
	pkcs11.CKR_ATTRIBUTE_VALUE_INVALID, pkcs11.CKR_ATTRIBUTE_READ_ONLY,
}

// generate makes a key pair whose private key may only sign.
func (c *connection) generate(ref KeyRef) (*ecdsa.PublicKey, error) {
	public, err := c.generateWith(ref, true)
	for _, code := range templateRefusals {
		if errors.Is(err, pkcs11.Error(code)) {
			c.cfg.Log.Warn("the token refuses the full template; using the minimal one", "error", err)
			return c.generateWith(ref, false)
		}
	}
	return public, err
}

func (c *connection) generateWith(ref KeyRef, full bool) (*ecdsa.PublicKey, error) {
	public, err := crypto11.NewAttributeSetWithIDAndLabel(ref.ID, []byte(ref.Label))
	if err != nil {
		return nil, err
	}
	private := public.Copy() // crypto11 sets TOKEN, SIGN and SENSITIVE to true, EXTRACTABLE to false
	if full {
		for attribute, value := range map[uint]bool{
			pkcs11.CKA_PRIVATE: true, pkcs11.CKA_DERIVE: false, pkcs11.CKA_DECRYPT: false,
			pkcs11.CKA_UNWRAP: false, pkcs11.CKA_SIGN_RECOVER: false,
		} {
			if err := private.Set(attribute, value); err != nil {
				return nil, err
			}
		}
	}
	pair, err := c.module.GenerateECDSAKeyPairWithAttributes(public, private, elliptic.P256())
	if err != nil {
		return nil, err
	}
	key, ok := pair.Public().(*ecdsa.PublicKey)
	if !ok {
		return nil, refuse(ErrKeyUnreadable, "%s has no ECDSA public key", ref)
	}
	return key, nil
}
