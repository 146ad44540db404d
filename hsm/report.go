package hsm

import (
	"context"
	"crypto"
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

// Refused returns nil, or ErrKeyExtractable if the key does not meet [Policy] with these exceptions.
func (r KeyReport) Refused(allow Exceptions) error {
	return r.Attributes.refused(KeyRef{ID: r.ID, Label: r.Label}, allow)
}

// Keys reports every private key on the token, also the keys that Signer would refuse.
func (t *Token) Keys(ctx context.Context) ([]KeyReport, error) {
	return call(ctx, t, "listing keys", func(c *connection) ([]KeyReport, error) { return withSession(c, session.reports) })
}

func (s session) reports() ([]KeyReport, error) {
	pairs, err := s.pairs()
	if err != nil {
		return nil, err
	}
	reports := make([]KeyReport, 0, len(pairs))
	for _, p := range pairs {
		r, err := s.report(p)
		if err != nil {
			return nil, err
		}
		switch {
		case len(p.halves) == 1 && p.bad == nil:
			r.Public = p.halves[0]
		case len(p.halves) > 0:
			r.Problem = refuse(ErrKeyDuplicated, "%s has several public halves", p.ref())
		case p.bad == nil:
			r.Problem = refuse(ErrKeyMissing, "%s has no public half", p.ref())
		}
		reports = append(reports, r)
	}
	return reports, nil
}

func (s session) report(p pair) (r KeyReport, err error) {
	r = KeyReport{ID: p.id, Label: p.label, Problem: p.bad}
	r.Attributes, err = s.attributes(p.handle)
	return r, err
}

// Report describes the private key that a signer of this token signs with. The key is proven for it once more, so the report is about
// this key, also if other keys have its label, or its public half is missing.
func (t *Token) Report(ctx context.Context, signer crypto.Signer) (KeyReport, error) {
	k, ok := signer.(*key)
	if !ok || k.token != t {
		return KeyReport{}, refuse(ErrConfig, "the signer is none of this token")
	}
	return call(ctx, t, "describing "+k.ref.String(), func(c *connection) (KeyReport, error) {
		return withSession(c, func(s session) (KeyReport, error) {
			proven, err := s.adopt(k)
			if err != nil {
				return KeyReport{}, err
			}
			report, err := s.report(proven)
			report.Public, report.Problem = k.public, nil
			return report, err
		})
	})
}

func (s session) attributes(private pkcs11.ObjectHandle) (Attributes, error) {
	return readAttributes(func(attribute uint) ([]byte, error) { return s.value(private, attribute) })
}
