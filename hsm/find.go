package hsm

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strings"

	"github.com/miekg/pkcs11"
)

// A pair is a private key on the token with what is known of its public half.
type pair struct {
	object
	halves []*ecdsa.PublicKey // of the public key objects that belong to it
	names  []string           // the labels of both halves
	bad    error              // why a public half cannot be read
}

// adopt finds the private key that belongs to the public key of the caller, checks its
// attributes, and has the key sign a challenge. Label and id only narrow the search: the
// signature decides, because a token may pair a private key with any public half.
func (s session) adopt(k *key) (pair, error) {
	pairs, err := s.pairs(keyType(pkcs11.CKK_EC))
	if err != nil {
		return pair{}, err
	}
	var fitting, mine []pair
	for _, p := range pairs {
		if !p.fits(k.ref) {
			continue
		}
		fitting = append(fitting, p)
		if len(p.halves) == 0 || slices.ContainsFunc(p.halves, func(half *ecdsa.PublicKey) bool { return half.Equal(k.public) }) {
			mine = append(mine, p)
		}
	}
	mine, err = s.proven(k, mine, pairs)
	switch {
	case err != nil:
		return pair{}, err
	case len(mine) > 1:
		return pair{}, refuse(ErrKeyDuplicated, "%d private keys fit %s; %s", len(mine), k.ref, seen(pairs))
	case len(mine) == 1:
		return mine[0], nil
	case len(fitting) > 0:
		return pair{}, refuse(ErrKeyDiffers, "%s has another public key; expected %s; %s", k.ref, fingerprint(k.public), seen(pairs))
	}
	return pair{}, refuse(ErrKeyMissing, "no %s with the public key %s; %s", k.ref, fingerprint(k.public), seen(pairs))
}

// proven returns the candidates whose private key is that of k. A candidate that the policy refuses, or that does not
// sign, does not end the search. Its refusal counts only if no other candidate is proven.
func (s session) proven(k *key, candidates, all []pair) (mine []pair, err error) {
	var broken, gone, unusable error
	for _, p := range candidates {
		verifies, err := s.proves(k, p)
		switch {
		case errors.Is(err, ErrKeyExtractable):
			broken = errors.Join(broken, err)
		case lost(err):
			gone = explain("proving "+p.ref().String(), err)
		case err != nil:
			unusable = errors.Join(unusable, fmt.Errorf("%s: %w", p.ref(), err))
		case verifies:
			mine = append(mine, p)
		}
	}
	if unusable != nil {
		unusable = refuse(ErrKeyUnusable, "%w; %s", unusable, seen(all))
	}
	switch refusals := errors.Join(broken, gone, unusable); {
	case len(mine) > 0 && refusals != nil:
		s.log.Warn("keys that fit the search were passed over", "search", k.ref.String(), "error", refusals)
	case gone != nil: // a session that was lost says nothing about the keys
		return nil, gone
	case len(mine) == 0:
		return nil, refusals
	}
	return mine, nil
}

// proves reports whether a pair has the private key of k. The attributes come before the challenge, because a key that
// breaks the policy must not sign anything.
func (s session) proves(k *key, p pair) (bool, error) {
	attributes, err := s.attributes(p.handle)
	if err != nil {
		return false, fmt.Errorf("reading attributes: %w", err)
	}
	if err := attributes.refused(p.ref(), s.allow); err != nil {
		return false, err
	}
	verifies, err := k.challenge(func(digest []byte) ([]byte, error) { return s.sign(p.handle, digest) })
	if err != nil {
		return false, fmt.Errorf("signing a challenge: %w", err)
	}
	return verifies, nil
}

// challenge has a private key sign random octets, and reports whether the signature verifies with
// the public key of k.
func (k *key) challenge(sign signer) (bool, error) {
	digest := make([]byte, k.hash.Size())
	if _, err := io.ReadFull(rand.Reader, digest); err != nil {
		return false, err
	}
	signature, err := sign(digest)
	return err == nil && ecdsa.VerifyASN1(k.public, digest, signature), err
}

// sign signs a digest (CKM_ECDSA, PKCS#11 v2.40 section 2.3.6), and returns the signature
// as a SEQUENCE of r and s (RFC 3279 section 2.2.3).
func (s session) sign(private pkcs11.ObjectHandle, digest []byte) ([]byte, error) {
	if err := s.module.SignInit(s.handle, []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_ECDSA, nil)}, private); err != nil {
		return nil, err
	}
	raw, err := s.module.Sign(s.handle, digest)
	if err != nil {
		return nil, err
	}
	if len(raw) == 0 || len(raw)%2 != 0 {
		return nil, refuse(ErrBadSignature, "%d octets from the token", len(raw))
	}
	half := len(raw) / 2
	return asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(raw[:half]), new(big.Int).SetBytes(raw[half:])})
}

// pairs lists the private keys of the token that match the template, with their public halves.
func (s session) pairs(template ...*pkcs11.Attribute) ([]pair, error) {
	private, err := s.all(append([]*pkcs11.Attribute{class(pkcs11.CKO_PRIVATE_KEY)}, template...)...)
	if err != nil {
		return nil, explain("listing private keys", err)
	}
	public, err := s.all(append([]*pkcs11.Attribute{class(pkcs11.CKO_PUBLIC_KEY)}, template...)...)
	if err != nil {
		return nil, explain("listing public keys", err)
	}
	found := make([]pair, 0, len(private))
	for _, o := range private {
		p := pair{object: o, names: []string{o.label}}
		for _, half := range halvesOf(o, public) {
			p.names = append(p.names, half.label)
			if key, err := s.publicKey(half.handle); err == nil {
				p.halves = append(p.halves, key)
			} else if lost(err) {
				return nil, explain("reading the public half of "+o.ref().String(), err)
			} else {
				p.bad = err
			}
		}
		found = append(found, p)
	}
	return found, nil
}

// halvesOf returns the public halves of a private key: the objects with its id, or, if it has no
// id, the objects with its label and no id.
func halvesOf(private object, public []object) (halves []object) {
	for _, o := range public {
		if string(o.id) == string(private.id) && (len(o.id) > 0 || o.label == private.label) {
			halves = append(halves, o)
		}
	}
	return halves
}

// fits is true if the pair has the id and, on one of its halves, the label that ref gives.
func (p pair) fits(ref KeyRef) bool {
	return (len(ref.ID) == 0 || string(ref.ID) == string(p.id)) && (ref.Label == "" || slices.Contains(p.names, unpadded(ref.Label)))
}

func class(value uint) *pkcs11.Attribute   { return pkcs11.NewAttribute(pkcs11.CKA_CLASS, value) }
func keyType(value uint) *pkcs11.Attribute { return pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, value) }

// unpadded cuts off the blanks and NULs with which some tokens fill texts to a fixed length.
func unpadded(text string) string { return strings.TrimRight(text, " \x00") }

// maxSeen is the largest number of keys in the text of an error.
const maxSeen = 8

// seen describes the private keys of the token for an error.
func seen(pairs []pair) string {
	if len(pairs) == 0 {
		return "the token shows no private EC key"
	}
	var all []string
	for _, p := range pairs[:min(len(pairs), maxSeen)] {
		all = append(all, p.String())
	}
	if more := len(pairs) - maxSeen; more > 0 {
		all = append(all, fmt.Sprintf("and %d more", more))
	}
	return "the token has " + strings.Join(all, ", ")
}

func (p pair) String() string {
	text := fmt.Sprintf("%+q id %x", p.label, p.id)
	for _, name := range p.names[1:] {
		if name != p.label {
			text += fmt.Sprintf(" (public half %+q)", name)
		}
	}
	switch {
	case p.bad != nil:
		text += " with a public half that cannot be read"
	case len(p.halves) == 0:
		text += " without a public half"
	}
	for _, half := range p.halves {
		text += " " + fingerprint(half)
	}
	return text
}

// fingerprint returns the first octets of the SHA-256 of a public key (SubjectPublicKeyInfo).
func fingerprint(public *ecdsa.PublicKey) string {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return "unknown"
	}
	sum := sha256.Sum256(der)
	return fmt.Sprintf("spki:%x", sum[:6])
}
