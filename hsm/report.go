package hsm

import (
	"bytes"
	"context"
	"crypto/ecdsa"

	"github.com/miekg/pkcs11"
)

// KeyReport is what the token says about one private key.
type KeyReport struct {
	ID         []byte
	Label      string
	Public     *ecdsa.PublicKey // nil unless exactly one public half is readable
	Problem    error            // why Public is nil
	Attributes Attributes
}

// Refused returns ErrKeyExtractable if the key does not meet Policy.
func (r KeyReport) Refused() error {
	return r.Attributes.refused(KeyRef{ID: r.ID, Label: r.Label})
}

// Keys reports on every private key of the token, also on those that Signer
// would refuse. It opens one more session while it looks.
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

// publicHalf finds the public half of a private key: the one with its id and label.
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
