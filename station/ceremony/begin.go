package ceremony

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"hallmark/hsm"
	"hallmark/station/reason"
	"hallmark/station/workdir"
)

// A beginning is the journal of an `init` that has not ended. It has label and id of each key before the key is
// made. So the same command adopts the keys of an `init` that was stopped, and no others.
type beginning struct {
	dir    workdir.Dir
	file   *os.File
	inside bool // the token of this `init` lies in the directory
	keys   []begunKey
}

// A begunKey is a line of the journal.
type begunKey struct {
	Label string `json:"label"`
	ID    string `json:"id"`
	Made  bool   `json:"made"` // whether the key is certainly on the token
	// Public is the SubjectPublicKeyInfo of a key that was made. Label and id alone do not tell it from a key that somebody put in its place.
	Public []byte `json:"public,omitempty"`
	// Refused: the token has the label already, so the key was never asked for.
	Refused bool `json:"refused,omitempty"`
	// Inside: the token lies in the directory, where `init` made it. Whatever removes what `init` left removes this key, too.
	Inside bool `json:"inside,omitempty"`
}

// begin opens the journal. It reads the keys of an `init` that was stopped, except those on a token in the directory: Begin has removed
// that token. inside says whether this `init` makes such a token.
func begin(dir workdir.Dir, inside bool) (*beginning, error) {
	file, err := dir.Begin()
	if err != nil {
		return nil, err
	}
	b := &beginning{dir: dir, file: file, inside: inside}
	text, err := io.ReadAll(io.LimitReader(file, workdir.MaxFile))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("reading the journal of init: %w", err), file.Close())
	}
	for row := range bytes.Lines(text) {
		var key begunKey
		if json.Unmarshal(row, &key) == nil && key.Label != "" && !key.Inside { // the last line may be cut off; package workdir has lines of its own
			b.remember(key)
		}
	}
	return b, nil
}

func (b *beginning) remember(key begunKey) {
	if key.Refused {
		b.keys = slices.DeleteFunc(b.keys, func(known begunKey) bool { return known.Label == key.Label })
		return
	}
	for i, known := range b.keys {
		if known.Label == key.Label {
			b.keys[i] = key
			return
		}
	}
	b.keys = append(b.keys, key)
}

// intend returns label and id for a key, with an id of so many octets, and whether an `init` that was stopped may have made the key.
func (b *beginning) intend(label string, octets int, random io.Reader) (key keyIntent, err error) {
	if b == nil {
		key.ref, err = newRef(label, octets, random)
		return key, err
	}
	for _, known := range b.keys {
		if id, err := hex.DecodeString(known.ID); known.Label == label && err == nil {
			return keyIntent{ref: hsm.KeyRef{ID: id, Label: label}, begun: true}, nil
		}
	}
	if key.ref, err = newRef(label, octets, random); err != nil {
		return key, err
	}
	return key, b.write(begunKey{Label: label, ID: hex.EncodeToString(key.ref.ID)})
}

// made records that a key is on the token.
func (b *beginning) made(ref hsm.KeyRef, public crypto.PublicKey) error {
	if b == nil {
		return nil
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return fmt.Errorf("encoding the public key: %w", err)
	}
	return b.write(begunKey{Label: ref.Label, ID: hex.EncodeToString(ref.ID), Made: true, Public: der})
}

// known returns the key that an `init` which was stopped has certainly made with this label, and whether there is one.
func (b *beginning) known(label string) (ref hsm.KeyRef, public *ecdsa.PublicKey, made bool, err error) {
	for _, key := range b.begun(label) {
		if !key.Made {
			continue
		}
		id, err := hex.DecodeString(key.ID)
		parsed, bad := x509.ParsePKIXPublicKey(key.Public)
		public, ec := parsed.(*ecdsa.PublicKey)
		if err != nil || bad != nil || !ec {
			return hsm.KeyRef{}, nil, false, reason.Usage(fmt.Errorf("%s: %w", b.file.Name(), workdir.ErrOtherJournal))
		}
		return hsm.KeyRef{Label: label, ID: id}, public, true, nil
	}
	return hsm.KeyRef{}, nil, false, nil
}

// begun returns the row of the key with this label, or none.
func (b *beginning) begun(label string) []begunKey {
	if b == nil {
		return nil
	}
	at := slices.IndexFunc(b.keys, func(key begunKey) bool { return key.Label == label })
	if at < 0 {
		return nil
	}
	return b.keys[at : at+1]
}

// refused takes the intent back.
func (b *beginning) refused(ref hsm.KeyRef) error {
	if b == nil {
		return nil
	}
	return b.write(begunKey{Label: ref.Label, ID: hex.EncodeToString(ref.ID), Refused: true})
}

// registry records that the registry in the directory is this one's.
func (b *beginning) registry() error {
	if b == nil {
		return nil
	}
	return workdir.BeginRegistry(b.file)
}

func (b *beginning) write(key begunKey) error {
	key.Inside = b.inside
	row, err := json.Marshal(key)
	if err != nil {
		return err
	}
	b.remember(key)
	if _, err := b.file.Write(append([]byte("\n"), append(row, '\n')...)); err != nil {
		return fmt.Errorf("writing the journal of init: %w", err)
	}
	return b.file.Sync()
}

// end removes what a failed `init` made. The journal stays while keys stay on a token outside of the directory.
func (b *beginning) end(ctx context.Context, failure error, madeDir bool) error {
	clean := b.dir.Clear()
	if !slices.ContainsFunc(b.keys, func(key begunKey) bool { return !key.Inside }) {
		clean = errors.Join(clean, b.dir.End(), b.file.Close())
		if madeDir {
			_ = os.Remove(string(b.dir)) // not if somebody else has put something there
		}
		return errors.Join(stopped(ctx, failure, ""), clean)
	}
	return errors.Join(stopped(ctx, failure, b.left()), clean, b.file.Close())
}

// left names the keys on the token.
func (b *beginning) left() string {
	var text []string
	for _, key := range b.keys {
		text = append(text, left(key.Label, key.ID, key.Made))
	}
	return strings.Join(text, "; ") + "; the same command goes on with them"
}

// left says where a key is: certainly on the token, or perhaps.
func left(label, id string, made bool) string {
	where := "may be on the token"
	if made {
		where = "stays on the token"
	}
	return fmt.Sprintf("the key %q with id %s %s", label, id, where)
}

// stopped says in one line that an operator stopped a ceremony, and what stays. Another failure keeps its text.
func stopped(ctx context.Context, failure error, left string) error {
	text := failure.Error()
	if ctx.Err() != nil {
		text, failure = "stopped", context.Canceled
	}
	if left != "" {
		text += "; " + left
	}
	return &stoppedError{text, failure}
}

type stoppedError struct {
	text  string
	cause error
}

func (e *stoppedError) Error() string { return e.text }
func (e *stoppedError) Unwrap() error { return e.cause }
