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

// Generate makes a P-256 key pair on the token, for the key ceremony only. ref
// needs both label and id, and anything on the token with that label or that id,
// of whatever class, is ErrKeyExists. The new key must meet Policy and sign a
// challenge before its public key is returned. If that fails the pair stays on
// the token, for the ceremony to look at.
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

// generateOnce never repeats: after a lost session a second try could make a
// second pair.
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

// checkUnused refuses a label or an id that anything on the token has.
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

// templateRefusals are the codes of tokens that refuse attributes they do not
// know or do not let us choose; they get crypto11's minimal template.
var templateRefusals = []uint{
	pkcs11.CKR_TEMPLATE_INCONSISTENT, pkcs11.CKR_ATTRIBUTE_TYPE_INVALID,
	pkcs11.CKR_ATTRIBUTE_VALUE_INVALID, pkcs11.CKR_ATTRIBUTE_READ_ONLY,
}

// generate makes the pair with a key that may do nothing but sign.
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
	private := public.Copy() // crypto11 adds TOKEN, SIGN, SENSITIVE and not EXTRACTABLE
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
