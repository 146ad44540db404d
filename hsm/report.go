package hsm

import (
	"bytes"
	"context"
	"crypto/ecdsa"

	"github.com/miekg/pkcs11"
)

// A KeyReport describes one private key on the token.
type KeyReport struct {
	ID         []byte
	Label      string
	Public     *ecdsa.PublicKey // nil unless exactly one public half can be read
	Problem    error            // why Public is nil
	Attributes Attributes
}

// Refused returns nil, or ErrKeyExtractable if the key does not meet [Policy].
func (r KeyReport) Refused() error {
	return r.Attributes.refused(KeyRef{ID: r.ID, Label: r.Label})
}

// Keys reports every private key on the token, also the keys that Signer would
// refuse. Keys opens one more session for a moment.
func (t *Token) Keys(ctx context.Context) ([]KeyReport, error) {
	return call(ctx, t, "listing keys", func(c *connection) ([]KeyReport, error) {
		return withSession(ctx, t, c, session.reports)
	})
}

func (s session) reports() ([]KeyReport, error) {
	private, err := s.all(pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_PRIVATE_KEY))
	if err != nil {
		return nil, err
	}
	public, err := s.all(pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_PUBLIC_KEY))
	if err != nil {
		return nil, err
	}
	reports := make([]KeyReport, 0, len(private))
	for _, o := range private {
		attributes, err := readAttributes(func(attribute uint) ([]byte, error) { return s.value(o.handle, attribute) })
		if err != nil {
			return nil, err
		}
		r := KeyReport{ID: o.id, Label: o.label, Attributes: attributes}
		r.Public, r.Problem = s.publicHalf(o, public)
		reports = append(reports, r)
	}
	return reports, nil
}

// publicHalf finds the public half of a private key: the public key with its id and label.
func (s session) publicHalf(private object, public []object) (*ecdsa.PublicKey, error) {
	var halves []object
	for _, o := range public {
		if bytes.Equal(o.id, private.id) && o.label == private.label {
			halves = append(halves, o)
		}
	}
	switch len(halves) {
	case 0:
		return nil, refuse(ErrKeyMissing, "%s has no public half", private.ref())
	case 1:
		return s.publicKey(halves[0].handle)
	}
	return nil, refuse(ErrKeyDuplicated, "%s has %d public halves", private.ref(), len(halves))
}
