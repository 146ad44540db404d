package instance

import (
	"context"
	"crypto"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"

	"hallmark/hsm"
	"hallmark/station/audit"
	"hallmark/station/reason"
)

// The newest checkpoint lies on the token, too, if the token takes data objects. So a station
// whose whole directory was put back from an older copy is noticed (I16).

// tokenMark is the label of the data object. Stations that share a token have audit keys of
// their own.
func tokenMark(verifierKey string) string {
	return fmt.Sprintf("hallmark-checkpoint-%x", sha256.Sum256([]byte(verifierKey)))[:36]
}

// CheckFree refuses an audit key that already signs a log, by the checkpoints on the token. Two logs with one key cannot be told
// apart: the checkpoint of one on the token would be none of the other. A token that does not say which data objects it has goes to warn,
// as in CheckToken: some kinds have none.
func CheckFree(ctx context.Context, token *hsm.Token, auditKey crypto.PublicKey, warn func(text string, err error)) error {
	all, err := token.AllData(ctx)
	if err != nil && ctx.Err() == nil {
		warn("the token does not say whether the audit key already signs a log", err)
		return nil
	} else if err != nil {
		return err
	}
	for label, values := range all {
		for _, value := range values {
			origin, _, _ := strings.Cut(string(value), "\n")
			key, err := audit.VerifierKey(origin, auditKey)
			if err != nil {
				continue // no checkpoint
			}
			if _, err := audit.OpenCheckpoint(value, key); err == nil {
				return reason.Usage(fmt.Errorf("%w: the data object %q on the token is a checkpoint of %s", ErrAuditKeyInUse, label, origin))
			}
		}
	}
	return nil
}

// ErrAuditKeyInUse: a second station would sign with the audit key of the first.
var ErrAuditKeyInUse = errors.New("the audit key already signs the log of a station; each bench needs an audit key of its own: leave out authority.audit_key, " +
	"choose another audit_label, and `station init` makes one. If that station is gone for good, delete the data object with the tool of the token")

// MarkToken stores a checkpoint of a new station on the token, so that no other station gets the same audit key.
func MarkToken(ctx context.Context, token *hsm.Token, verifierKey string, checkpoint []byte) error {
	return token.StoreData(ctx, tokenMark(verifierKey), checkpoint)
}

// Begin begins the registry if the log contains the log of the checkpoint on the token, and if a checkpoint covers each act of a
// person that gives rights: whoever calls Begin signs the log sooner or later.
func (k *Keys) Begin(ctx context.Context) error {
	if err := k.CheckToken(ctx); err != nil {
		return err
	}
	if err := k.Registry.CheckActs(ctx); err != nil {
		return fmt.Errorf("comparing with the newest checkpoint: %w", err)
	}
	return k.Record.Begin(ctx)
}

// CheckToken compares the log with the checkpoint on the token. A token that cannot be asked,
// or has an unreadable object, is noted in the engineers' log, and the start goes on: the mark
// in the directory was compared already.
func (k *Keys) CheckToken(ctx context.Context) error {
	if k.options.Token != nil {
		return nil // a token of a test, which several directories with one key share
	}
	key, err := k.Registry.VerifierKey(ctx)
	if err != nil {
		return err
	}
	values, err := k.Token.Data(ctx, tokenMark(key))
	if err != nil {
		k.Log.Warn("the token does not say which checkpoint it has", "error", err)
		return nil
	}
	if notes, err := k.Registry.CountCheckpoints(ctx); len(values) == 0 && notes > 1 || err != nil {
		k.Log.Warn("the token has no checkpoint of this log, so nobody can tell by the token whether the newest entries are there", "error", err)
		return errors.Join(err, k.Note("token.checkpoint.missing", audit.Unknown, map[string]string{"label": tokenMark(key)}))
	}
	for _, value := range values {
		seen, err := audit.OpenCheckpoint(value, key)
		if err != nil {
			k.Log.Warn("the checkpoint on the token cannot be read", "error", err)
			continue
		}
		if err := k.Registry.Covers(ctx, seen); err != nil {
			return fmt.Errorf("comparing with the checkpoint on the token: %w", err)
		}
	}
	return nil
}

// Checkpoint does what Record.Checkpoint does, and stores the checkpoint on the token, too. Whoever has the token open
// signs in this way: the next start takes a token without a checkpoint as a finding.
func (k *Keys) Checkpoint(signer crypto.Signer) error {
	err := k.Record.Checkpoint(signer)
	if err == nil {
		k.markToken()
	}
	return err
}

// markToken stores the newest checkpoint on the token. A token that takes none is noted in
// the engineers' log.
func (k *Keys) markToken() {
	if k.options.Token != nil {
		return
	}
	k.marking.Lock()
	defer k.marking.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	key, err := k.Registry.VerifierKey(ctx)
	_, note, bad := k.Registry.NewestCheckpoint(ctx)
	if err = errors.Join(err, bad); err == nil {
		err = MarkToken(ctx, k.Token, key, note)
	}
	if err != nil {
		k.Log.Warn("the newest checkpoint does not lie on the token", "error", err)
	}
}
