package registry

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"

	"hallmark/station/audit"
	"hallmark/station/reason"
)

// Anchors that the log does not fit (I16). Unlike the mark, an anchor lies outside of the station.
var (
	// ErrAnchorOlder: the log lacks entries that an anchor has seen.
	ErrAnchorOlder = reason.New("anchor-older", "the audit log is older than a checkpoint that was kept elsewhere: the registry was rolled back, or its newest entries are lost")
	// ErrAnchorOther: the log is not the one that the anchor was made of.
	ErrAnchorOther = reason.New("anchor-other", "the audit log is not the one of a checkpoint that was kept elsewhere: it was written anew")
)

// FitsAnchor refuses with ErrAnchorOlder or ErrAnchorOther a log that does not contain the log of
// a checkpoint that was kept elsewhere. A head that an operator accepted on record fits.
func (r *Reader) FitsAnchor(ctx context.Context, seen audit.Head) error {
	size, err := audit.Size(ctx, r.db)
	if err != nil || seen.Size == 0 {
		return err
	}
	err = theAnchor.covers(ctx, r.db, audit.Head{Size: size}, seen)
	if !errors.Is(err, ErrAnchorOlder) && !errors.Is(err, ErrAnchorOther) {
		return err
	}
	accepted, bad := r.accepts(ctx, seen)
	if bad != nil || accepted {
		return bad
	}
	return err
}

// accepts reports whether an operator accepted, on record and under a checkpoint, that the log does not fit this head.
func (r *Reader) accepts(ctx context.Context, seen audit.Head) (bool, error) {
	// These bodies are in no archive alone, so the table itself is read, and not the view of it.
	// Only a checkpoint makes an acceptance one: everybody who can write to the database can append an entry behind it.
	signed, err := r.signedHead(ctx)
	if err != nil {
		return false, err
	}
	rows, err := r.db.QueryContext(ctx, `SELECT seq, body FROM main.audit_entry WHERE seq < ? AND instr(body, CAST('"type":"log.accepted"' AS BLOB)) ORDER BY seq`, signed.Size)
	if err != nil {
		return false, fmt.Errorf("reading the audit entries about accepted registries: %w", named(err))
	}
	entries, err := provenEntries(ctx, r.db, rows)
	for _, e := range entries {
		if e.Type == typeAccepted && e.Details["mark_size"] == strconv.FormatInt(seen.Size, 10) && e.Details["mark_root"] == hex.EncodeToString(seen.Root[:]) {
			return true, nil
		}
	}
	return false, err
}

// signedHead gives the head of the newest stored checkpoint. The checkpoint is signed with the key that the log names, and the log
// continues it.
func (r *Reader) signedHead(ctx context.Context) (audit.Head, error) {
	key, err := r.VerifierKey(ctx)
	if err != nil {
		return audit.Head{}, err
	}
	_, signed, err := audit.Newest(ctx, r.db)
	if none(err) {
		return audit.Head{}, nil
	} else if err != nil {
		return audit.Head{}, fmt.Errorf("reading the newest checkpoint: %w", named(err))
	}
	head, err := audit.OpenCheckpoint(signed, key)
	if err != nil {
		return audit.Head{}, fmt.Errorf("newest checkpoint: %w", err)
	}
	return head, audit.Continues(ctx, r.db, head)
}
