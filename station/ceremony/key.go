package ceremony

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"io"

	"hallmark/hsm"
)

// A keyIntent is a key that is to be made or adopted.
type keyIntent struct {
	ref   hsm.KeyRef
	begun bool   // an act that was stopped may have made it
	spki  string // SHA-256 of its SubjectPublicKeyInfo, in hexadecimal, if that act has certainly made it; empty: nobody knows
}

// A keyJournal has label and id of each key before the key is made.
type keyJournal interface {
	// intend returns the key with this label. A new one gets an id of so many octets.
	intend(label string, octets int, random io.Reader) (keyIntent, error)
	// refused takes an intent of this act back: the token was not asked to make the key.
	refused(ref hsm.KeyRef) error
}

// makeKey makes a key pair, or adopts the one that an act which was stopped has left.
func makeKey(ctx context.Context, token *hsm.Token, journal keyJournal, label string, octets int, random io.Reader) (key crypto.Signer, ref hsm.KeyRef, adopted bool, err error) {
	intent, err := journal.intend(label, octets, random)
	if err != nil {
		return nil, intent.ref, false, err
	}
	key, adopted, err = makeOrAdopt(ctx, token, intent)
	if errors.Is(err, hsm.ErrKeyExists) && !intent.begun { // half of a key that was begun has the label, too
		err = errors.Join(err, journal.refused(intent.ref))
	}
	return key, intent.ref, adopted, err
}

// makeOrAdopt makes a key pair. If the key was begun, it first looks for the pair with this label and id, which a ceremony
// that was stopped has left.
func makeOrAdopt(ctx context.Context, token *hsm.Token, intent keyIntent) (key crypto.Signer, adopted bool, err error) {
	var public *ecdsa.PublicKey
	if intent.begun {
		if public, err = intent.find(ctx, token); err != nil {
			return nil, false, fmt.Errorf("adopting the key %s: %w", intent.ref, err)
		}
	}
	if adopted = public != nil; !adopted {
		if public, err = token.Generate(ctx, intent.ref); err != nil {
			return nil, false, fmt.Errorf("making the key %s: %w", intent.ref.Label, err)
		}
	}
	if key, err = token.Signer(ctx, intent.ref, public); err != nil {
		return nil, adopted, fmt.Errorf("adopting the key %s: %w", intent.ref, err)
	}
	return key, adopted, nil
}

// find returns the public key of the pair with this label and id, or nil if the token has none. Label and id do not tell the key from one
// that somebody put in its place, so a key on record must have the fingerprint on record, and must be there.
func (k keyIntent) find(ctx context.Context, token *hsm.Token) (public *ecdsa.PublicKey, err error) {
	reports, err := token.Keys(ctx)
	if err != nil {
		return nil, err
	}
	found := 0
	for _, report := range reports {
		if report.Label == k.ref.Label && string(report.ID) == string(k.ref.ID) {
			public, found = report.Public, found+1
			err = report.Problem
		}
	}
	switch {
	case found > 1:
		return nil, fmt.Errorf("%w: two keys have this label and id", hsm.ErrKeyDuplicated)
	case k.spki == "":
		return public, nil
	case found == 0:
		return nil, fmt.Errorf("%w: the ceremony made it, its fingerprint is %s, and the token does not show it; connect the token that has it, or begin again with another label and another directory in out", hsm.ErrKeyMissing, spaced(k.spki))
	case err != nil:
		return nil, err
	}
	print, err := fingerprint(public)
	if err == nil && print != k.spki {
		err = fmt.Errorf("%w: the ceremony made a key with the fingerprint %s, and the token has %s under its label and id; find out who exchanged it, and begin again with another label and another directory in out", hsm.ErrKeyDiffers, spaced(k.spki), spaced(print))
	}
	return public, err
}
