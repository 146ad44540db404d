package audit

import (
	"context"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"hallmark/station/reason"
)

// A start reads some entries only, and the stored hashes of some only. This file proves from the stored hashes that what it
// reads is in the tree, so that nobody without the audit key changes an entry below the newest checkpoint and has a station
// believe it. A proof reads some hashes for each doubling of the log, and no body.
//
// Two things it does not prove. Entries behind the newest checkpoint are in the tree and not signed: whoever can write to the
// database can add some. And a search proves what it finds, not that there is nothing else: only [Verify] finds an entry whose
// body was changed so that the search leaves it out.

// Prove returns ErrHash if the body is not that of this entry of the log.
func Prove(ctx context.Context, q Querier, seq int64, body []byte) error {
	size, err := Size(ctx, q)
	if err != nil {
		return err
	}
	root, err := RootAt(ctx, q, size)
	if err != nil {
		return err
	}
	proof, err := tlog.ProveRecord(size, seq, HashReader(ctx, q))
	if err == nil {
		err = tlog.CheckRecord(proof, size, root, seq, tlog.RecordHash(body))
	}
	if err != nil {
		return fmt.Errorf("entry %d: %w, or the entry was: %w", seq, ErrHash, err)
	}
	return nil
}

// Continues returns ErrRoot if the log does not begin with the entries of an older head, and ErrRolledBack if it is shorter.
// The root at the size of the older head alone proves nothing: it is made of other stored hashes than the root of the log.
func Continues(ctx context.Context, q Querier, older Head) error {
	size, err := Size(ctx, q)
	if err != nil {
		return err
	}
	if older.Size > size {
		return fmt.Errorf("%w: %s, checkpoint over %d", ErrRolledBack, reason.Count(size, "entry", "entries"), older.Size)
	}
	root, err := RootAt(ctx, q, older.Size)
	if err != nil {
		return err
	}
	if root != older.Root {
		return fmt.Errorf("%w: at size %d", ErrRoot, older.Size)
	}
	if older.Size == 0 || older.Size == size {
		return nil
	}
	if root, err = RootAt(ctx, q, size); err != nil {
		return err
	}
	proof, err := tlog.ProveTree(size, older.Size, HashReader(ctx, q))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrHash, err)
	}
	if err := tlog.CheckTree(proof, size, root, older.Size, older.Root); err != nil {
		return fmt.Errorf("%w: the entries after the first %d do not continue it: %w", ErrRoot, older.Size, err)
	}
	return nil
}
