package instance

import (
	"context"
	"errors"
	"fmt"

	"hallmark/station/reason"
	"hallmark/station/registry"
)

// ErrActsUnsigned: the log ends with acts of persons that no checkpoint covers, and that nobody has accepted.
var ErrActsUnsigned = registry.ErrActsUnsigned

// A command that changes what the line may do, while no station runs, needs no HSM: whoever plans orders may have no PIN. But a start
// believes only acts that a checkpoint covers. So the command has its act signed if the HSM opens without a person, and
// otherwise says that the next start will ask.

var errPrompt = errors.New("the PIN of the HSM is typed by a person (pin_source: prompt)")

// CoverActs signs a checkpoint over the acts that this process has recorded, if the PIN comes from elsewhere than a person. A command calls it
// also after an act that was stopped half-way, and with a context that has ended: what is on record stays there. The text is
// for the person who gave the command; it is empty if there is nothing to say. The only error is that of a token which refuses the PIN,
// because the next try could lock the token.
func (r *Record) CoverActs(ctx context.Context) (text string, err error) {
	if !r.Registry.ActsUncovered() {
		return "", nil
	}
	err = r.signActs(context.WithoutCancel(ctx))
	switch {
	case err == nil:
		return "", nil
	case reason.ExitOf(err) == reason.ExitPIN:
		return "", fmt.Errorf("this is on record, and no checkpoint covers it yet: %w", err)
	}
	r.Log.Warn("no checkpoint covers what was done", "error", err)
	next := "The next checkpoint covers it."
	if r.Registry.RightsUncovered() {
		next = "The next start of the station names it, and goes on after `station accept-registry --operator NAME`."
	}
	return fmt.Sprintf("This is on record, and no checkpoint covers it yet: %s. %s", reason.OneLine(err), next), nil
}

func (r *Record) signActs(ctx context.Context) error {
	if r.options.Token == nil && r.options.PIN == nil && r.Config.PINSource(string(r.Dir)) == "prompt" {
		return errPrompt
	}
	keys, err := r.OpenKeys(ctx, nil)
	if err != nil {
		return err
	}
	if err := keys.Begin(ctx); err != nil {
		return err
	}
	return keys.Cover(ctx)
}

// Cover signs a checkpoint over the whole log. A command that has the HSM open calls it at its end, also after an act that was stopped
// half-way: with a lost HSM, entries behind the newest checkpoint could not be exported as evidence.
func (k *Keys) Cover(ctx context.Context) error {
	signer, err := k.AuditSigner(context.WithoutCancel(ctx))
	if err != nil {
		return fmt.Errorf("signing a checkpoint over what was done: %w", err)
	}
	return k.Checkpoint(signer)
}
