package hsm

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/pkcs11"
)

// Generate makes a P-256 key pair on the token, for the key ceremony only. ref needs
// label and id. If any object on the token, of any class, has that label or that id,
// Generate returns ErrKeyExists. The new key must meet [Policy] and sign a challenge
// before Generate returns its public key. If one of them fails, the key pair stays on
// the token, so that the ceremony can examine it, and the error names it.
func (t *Token) Generate(ctx context.Context, ref KeyRef) (*ecdsa.PublicKey, error) {
	if len(ref.ID) == 0 || ref.Label == "" {
		return nil, refuse(ErrConfig, "%s: a new key needs label and id", ref)
	}
	doing := "generating " + ref.String()
	asked := false
	public, err := call(ctx, t, doing, func(c *connection) (*ecdsa.PublicKey, error) {
		return withSession(c, func(s session) (*ecdsa.PublicKey, error) {
			if err := s.checkUnused(ref, asked); err != nil {
				return nil, err
			}
			asked = true
			return s.generate(c.cfg, ref)
		})
	})
	if err != nil {
		return nil, err
	}
	_, err = call(ctx, t, doing, func(c *connection) (pair, error) {
		return withSession(c, func(s session) (pair, error) {
			return s.adopt(&key{token: t, ref: ref, public: public, hash: hashes[public.Curve]})
		})
	})
	if err != nil {
		return nil, fmt.Errorf("%s stays on the token: %w", ref, err)
	}
	return public, nil
}

// CheckUnused returns ErrKeyExists, with every object of any class that has one of the labels.
func (t *Token) CheckUnused(ctx context.Context, labels ...string) error {
	_, err := call(ctx, t, "looking for labels in use", func(c *connection) (struct{}, error) {
		return withSession(c, func(s session) (struct{}, error) {
			taken, err := s.using(nil, labels...)
			if err == nil && taken != "" {
				err = refuse(ErrKeyExists, "%s", taken)
			}
			return struct{}{}, err
		})
	})
	return err
}

// checkUnused returns ErrKeyExists if an object on the token has ref's label or ref's id. After
// the token was asked to make the key, such an object is half of the answer that got lost.
func (s session) checkUnused(ref KeyRef, asked bool) error {
	taken, err := s.using(ref.ID, ref.Label)
	switch {
	case err != nil || taken == "":
		return err
	case asked:
		return refuse(ErrSessionLost, "the token made %s, and its answer got lost; the key stays on the token", taken)
	}
	return refuse(ErrKeyExists, "%s, asked for %s", taken, ref)
}

// using names the objects of any class that have the id or one of the labels, with commas between them. A nil id is that of no object.
func (s session) using(id []byte, labels ...string) (string, error) {
	objects, err := s.all()
	if err != nil {
		return "", explain("listing objects", err)
	}
	var taken []string
	for _, o := range objects {
		same := id != nil && bytes.Equal(o.id, id) || slices.ContainsFunc(labels, func(label string) bool { return o.label == unpadded(label) })
		if same && !slices.Contains(taken, o.ref().String()) {
			taken = append(taken, o.ref().String())
		}
	}
	return strings.Join(taken, ", "), nil
}

// A keyTemplate is a set of attributes for a new private key, beside those that each key has.
type keyTemplate []*pkcs11.Attribute

// templates are the attributes that a new private key is asked for, best first. A token gets the
// next one if it refuses one. tpm2-pkcs11 refuses CKA_DECRYPT; SoftHSM sets it if it is left out.
func templates(cfg Config) []keyTemplate {
	if cfg.MinimalTemplate {
		return []keyTemplate{nil}
	}
	set := pkcs11.NewAttribute
	signOnly := keyTemplate{
		set(pkcs11.CKA_PRIVATE, true), set(pkcs11.CKA_DERIVE, false), set(pkcs11.CKA_UNWRAP, false), set(pkcs11.CKA_SIGN_RECOVER, false),
	}
	noDecrypt := append(slices.Clone(signOnly), set(pkcs11.CKA_DECRYPT, false))
	return []keyTemplate{append(slices.Clone(noDecrypt), set(pkcs11.CKA_MODIFIABLE, false)), noDecrypt, signOnly, nil}
}

// templateRefusals are the return values of tokens that do not know some attributes or do not
// let the caller choose them. tpm2-pkcs11 answers GENERAL_ERROR.
var templateRefusals = []uint{
	pkcs11.CKR_TEMPLATE_INCONSISTENT, pkcs11.CKR_TEMPLATE_INCOMPLETE, pkcs11.CKR_ATTRIBUTE_TYPE_INVALID,
	pkcs11.CKR_ATTRIBUTE_VALUE_INVALID, pkcs11.CKR_ATTRIBUTE_READ_ONLY, pkcs11.CKR_GENERAL_ERROR,
}

// generate makes a key pair whose private key may only sign. Before each further try it looks
// whether the token made a key in spite of its answer.
func (s session) generate(cfg Config, ref KeyRef) (*ecdsa.PublicKey, error) {
	var refusal error
	for i, template := range templates(cfg) {
		if i > 0 {
			cfg.Log.Warn("the token refuses the template of a key; asking for fewer attributes", "error", refusal)
			if err := s.checkUnused(ref, true); err != nil {
				return nil, err
			}
		}
		public, err := s.generateWith(ref, template)
		if err == nil || !slices.ContainsFunc(templateRefusals, func(code uint) bool { return errors.Is(err, pkcs11.Error(code)) }) {
			return public, err
		}
		refusal = err
	}
	return nil, refusal
}

func (s session) generateWith(ref KeyRef, template keyTemplate) (*ecdsa.PublicKey, error) {
	params, err := asn1.Marshal(curves[0].oid)
	if err != nil {
		return nil, err
	}
	set := pkcs11.NewAttribute
	both := []*pkcs11.Attribute{set(pkcs11.CKA_TOKEN, true), set(pkcs11.CKA_ID, ref.ID), set(pkcs11.CKA_LABEL, ref.Label)}
	public := append(slices.Clone(both), set(pkcs11.CKA_VERIFY, true), set(pkcs11.CKA_EC_PARAMS, params))
	private := append(slices.Clone(both), set(pkcs11.CKA_SIGN, true), set(pkcs11.CKA_SENSITIVE, true), set(pkcs11.CKA_EXTRACTABLE, false))
	half, _, err := s.module.GenerateKeyPair(s.handle, []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_EC_KEY_PAIR_GEN, nil)},
		public, append(private, template...))
	if err != nil {
		return nil, err
	}
	made, err := s.publicKey(half)
	if err != nil {
		return nil, refuse(ErrKeyUnreadable, "%s stays on the token: its public half: %w", ref, err)
	}
	return made, nil
}
