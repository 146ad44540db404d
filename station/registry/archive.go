package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"hallmark/station/audit"
	"hallmark/station/reason"
)

// An archive is an evidence bundle that holds the bodies of old audit entries. The registry keeps
// their hashes, so that the tree, checkpoints and proofs stay as they are, and removes the bodies.

// Types of the entries about an archive: the first one before anything is removed, the second one in
// the transaction that removes the bodies.
const (
	typeArchiveIntent = "log.archive.intent"
	TypeArchived      = "log.archived"
)

// ErrNothingToArchive: no checkpoint lies between the archive before and what the station still needs.
var ErrNothingToArchive = reason.New("nothing-to-archive", "there is nothing to archive")

// An Archive is a bundle with the entries before Until.
type Archive struct {
	First, Until int64  // Archive removes the bodies of [First, Until), except those that stay
	Root         string // of the first Until entries, base64
	SHA256       [32]byte
	SumsSHA256   [32]byte // of the file SHA256SUMS in the bundle
	Removed      [32]byte // SHA-256 of the numbers of the entries that lose their bodies, with commas
	Entry        int64    // number of the entry log.archived
}

func (a *Archive) details() map[string]string {
	return map[string]string{"first": strconv.FormatInt(a.First, 10), "until": strconv.FormatInt(a.Until, 10), "root": a.Root,
		"sha256": hex.EncodeToString(a.SHA256[:]), "sums_sha256": hex.EncodeToString(a.SumsSHA256[:]), "removed_sha256": hex.EncodeToString(a.Removed[:])}
}

func (a *Archive) String() string {
	return fmt.Sprintf("entries 0 to %d lie in the archive with SHA-256 %x", a.Until-1, a.SHA256)
}

// archivesOf lists the archives, the oldest first.
func archivesOf(ctx context.Context, q audit.Querier) ([]Archive, error) {
	rows, err := q.QueryContext(ctx, `SELECT first, until, root, sha256, sums_sha256, removed_sha256, entry FROM archives ORDER BY until`)
	if err != nil {
		return nil, fmt.Errorf("listing the archives: %w", named(err))
	}
	type row struct {
		Archive
		sha256, sums, removed []byte
	}
	found, err := collect(rows, func(r *row) []any {
		return []any{&r.First, &r.Until, &r.Root, &r.sha256, &r.sums, &r.removed, &r.Entry}
	})
	all := make([]Archive, 0, len(found))
	for _, r := range found {
		copy(r.SHA256[:], r.sha256)
		copy(r.SumsSHA256[:], r.sums)
		copy(r.Removed[:], r.removed)
		all = append(all, r.Archive)
	}
	return all, err
}

// newestArchive gives the newest archive, or an empty one if there is none.
func newestArchive(ctx context.Context, q audit.Querier) (Archive, error) {
	archives, err := archivesOf(ctx, q)
	if err != nil || len(archives) == 0 {
		return Archive{}, err
	}
	return archives[len(archives)-1], nil
}

// Archives lists the archives, the oldest first. The newest one has the entries of all others.
func (r *Reader) Archives(ctx context.Context) ([]Archive, error) { return archivesOf(ctx, r.db) }

// Wanted is how far an archive may reach: to entries that were written before a time, or to the first entries.
type Wanted struct {
	Before  time.Time // zero: any time
	Entries int64     // 0: any number
	Unsent  int64     // first entry that Webhook may still need
	Webhook string    // empty: no webhook needs any
}

func (w Wanted) String() string {
	if w.Entries > 0 {
		return fmt.Sprintf("lies at or below %s", reason.Count(w.Entries, "entry", "entries"))
	}
	return "was signed before " + w.Before.UTC().Format(time.RFC3339)
}

// ArchiveBound gives the largest archive that is wanted and can be made: its
// bounds and its root, which are those of a checkpoint. It leaves out what is open, the entry of the newest start, and
// what a mirror does not have yet.
func (r *Registry) ArchiveBound(ctx context.Context, wanted Wanted, mirrors []note.Verifier) (Archive, error) {
	before, err := newestArchive(ctx, r.db)
	if err != nil {
		return Archive{}, err
	}
	a := Archive{First: before.Until}
	limit, why, err := r.archiveLimit(ctx, mirrors)
	if err != nil {
		return a, err
	}
	if wanted.Webhook != "" && wanted.Unsent < limit {
		limit, why = wanted.Unsent, wanted.Webhook+", which has not taken more"
	}
	a.Until, err = r.newestWanted(ctx, a.First, limit, wanted)
	if err == nil && a.Until == 0 {
		err = fmt.Errorf("%w: no checkpoint of the entries from %d on %s and is at most over the first %d entries, because of %s",
			ErrNothingToArchive, a.First, wanted, limit, why)
	}
	if err != nil {
		return a, err
	}
	root, err := audit.RootAt(ctx, r.db, a.Until)
	a.Root = root.String()
	return a, err
}

// archiveLimit gives the first entry that must keep its body, and why.
func (r *Registry) archiveLimit(ctx context.Context, mirrors []note.Verifier) (limit int64, why string, err error) {
	limit, why = r.log.Head().Size, "the end of the log"
	for _, part := range []struct{ why, query string }{
		{"the newest start", `SELECT CAST(value AS INTEGER) FROM state WHERE key = 'startup'`},
		{"an open Run", `SELECT coalesce(min(first_entry), ?1) FROM runs WHERE ending IS NULL`},
		{"an open intent", `SELECT coalesce(min(r.first_entry), ?1) FROM certificates c JOIN runs r ON r.id = c.run WHERE c.status = 'intended'`},
	} {
		var first int64
		if err := r.db.QueryRowContext(ctx, part.query+` LIMIT ?1`, limit).Scan(&first); err != nil {
			return 0, "", fmt.Errorf("looking for %s: %w", part.why, named(err))
		}
		if first < limit {
			limit, why = first, part.why
		}
	}
	for _, mirror := range mirrors {
		size, err := r.CosignedSize(ctx, mirror)
		if err != nil {
			return 0, "", err
		}
		if size < limit {
			limit, why = size, "the mirror "+mirror.Name()+", which has no more"
		}
	}
	return limit, why, nil
}

// newestWanted gives the size of the newest checkpoint in a range of sizes that is wanted, or 0.
func (r *Reader) newestWanted(ctx context.Context, above, limit int64, wanted Wanted) (int64, error) {
	if wanted.Entries > 0 {
		limit = min(limit, wanted.Entries)
	}
	rows, err := r.db.QueryContext(ctx, `SELECT size FROM audit_checkpoint WHERE size > ? AND size <= ? ORDER BY size DESC`, above, limit)
	if err != nil {
		return 0, fmt.Errorf("reading the checkpoints: %w", named(err))
	}
	sizes, err := collect(rows, func(size *int64) []any { return []any{size} })
	if err != nil {
		return 0, err
	}
	for _, size := range sizes {
		if wanted.Before.IsZero() {
			return size, nil
		}
		if e, err := entryAt(ctx, r.db, size-1); err != nil || e.Time.Before(wanted.Before) {
			return size, err
		}
	}
	return 0, nil
}

// Archive removes the bodies that a bundle has. The caller has checked the bundle under its final name. First an
// entry says what will be removed, and checkpoint signs it. Then one transaction writes the entry log.archived and its
// row, and removes the bodies. A crash before the commit of this transaction leaves all bodies.
func (r *Registry) Archive(ctx context.Context, a Archive, operator string, checkpoint func() error) error {
	if err := r.archive(ctx, a, operator, checkpoint); err != nil {
		return fmt.Errorf("archiving the entries %d to %d: %w", a.First, a.Until-1, err)
	}
	return nil
}

func (r *Registry) archive(ctx context.Context, a Archive, operator string, checkpoint func() error) error {
	stay, err := r.staying(ctx, a)
	if err != nil {
		return err
	}
	if a.Removed, err = digestOfList(ctx, r.db, removable, a.First, a.Until, stay); err != nil {
		return err
	}
	intent := audit.Entry{Actor: actor(operator), Category: audit.CategoryLog, Type: typeArchiveIntent, Outcome: audit.Success, Details: a.details()}
	if err := r.note(ctx, intent); err != nil {
		return err
	}
	if err := checkpoint(); err != nil {
		return err
	}
	return r.write(ctx, func(w *work) error {
		written, err := w.append(audit.Entry{Actor: intent.Actor, Category: audit.CategoryLog, Type: TypeArchived, Outcome: audit.Success, Details: a.details()})
		if err != nil {
			return err
		}
		err = w.exec(`INSERT INTO archives (first, until, root, sha256, sums_sha256, removed_sha256, entry) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			a.First, a.Until, a.Root, a.SHA256[:], a.SumsSHA256[:], a.Removed[:], written.Seq)
		if err != nil {
			return err
		}
		return w.exec(`UPDATE audit_entry SET body = x'' WHERE `+removable, a.First, a.Until, stay)
	})
}

// Conditions on the entries of an archive. The parameters are its bounds, and for removable the entries that stay, as JSON.
const (
	removable = `seq >= ?1 AND seq < ?2 AND seq NOT IN (SELECT value FROM json_each(?3))`
	removed   = `seq >= ?1 AND seq < ?2 AND body = x''`
)

// digestOfList gives the digest of the numbers of entries. A start compares the entries without a body with this digest,
// so that nobody removes a body that stays: the newest count of a work order, or an acknowledgement.
func digestOfList(ctx context.Context, q audit.Querier, which string, args ...any) (sum [32]byte, err error) {
	var list []byte
	err = q.QueryRowContext(ctx, `SELECT coalesce(group_concat(seq), '') FROM (SELECT seq FROM main.audit_entry WHERE `+which+` ORDER BY seq)`, args...).Scan(&list)
	if err != nil {
		return sum, fmt.Errorf("listing the entries without a body: %w", named(err))
	}
	return sha256.Sum256(list), nil
}

// staying lists the entries of an archive whose bodies stay, as JSON: a start, an anchor, a bay and a work order look
// them up, however old they are.
func (r *Reader) staying(ctx context.Context, a Archive) (string, error) {
	stay := []int64{}
	orders := map[string]int64{} // the newest entry with the count of each work order
	labels := map[string]int64{} // the entry with the label that a bay waits for
	err := r.eachBody(ctx, `SELECT seq, body FROM audit_entry WHERE seq >= ? AND seq < ? ORDER BY seq`, []any{a.First, a.Until}, func(seq int64, body []byte) error {
		e, err := audit.Decode(body)
		if err != nil {
			return fmt.Errorf("reading entry %d: %w", seq, err)
		}
		if o := e.WorkOrder; o != nil && o.Quota > 0 {
			orders[o.ID] = seq
		}
		switch bay := e.Details["bay"]; {
		case e.Type == typeLabelWanted:
			labels[bay] = seq
		case e.Type != typeLabelRead || e.Outcome != audit.Success:
		case labels[bay] > 0:
			delete(labels, bay)
		default: // an older archive left the label that was wanted
			stay = append(stay, seq)
		}
		if stays(e.Type) {
			stay = append(stay, seq)
		}
		return nil
	})
	stay = slices.AppendSeq(stay, maps.Values(orders))
	stay = slices.AppendSeq(stay, maps.Values(labels))
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(stay)
	return string(text), err
}

// stays reports whether entries of a type keep their bodies in the registry. A recovery is the only act on a board that may come before
// its first Run, so the birth record of a board needs it whatever the archive has. The next update of a board needs the counters of all before it,
// and its next Run the certificates that they brought.
func stays(kind string) bool {
	return slices.Contains([]string{audit.TypeGenesis, typeAccepted, typeMigrated, TypeArchived, typeBayStopped, typeBayAcknowledged, typeProfileAdopted, typeUpdateIntent}, kind) ||
		strings.HasPrefix(kind, "board.recover") || strings.HasPrefix(kind, "key.") || strings.HasPrefix(kind, "order.")
}

// compareArchives refuses an archive that no entry made, and a body that is missing and lies in no archive.
func compareArchives(ctx context.Context, q audit.Querier, version int64) error {
	if version < archiveSchema {
		return nil
	}
	archives, err := archivesOf(ctx, q)
	if err != nil {
		return err
	}
	until := int64(0)
	for _, a := range archives {
		e, err := entryAt(ctx, q, a.Entry)
		if err != nil && !none(err) {
			return err
		}
		if err != nil || e.Type != TypeArchived || !sameDetails(e.Details, a.details()) || a.First != until {
			return fmt.Errorf("the archive up to entry %d: %w: entry %d does not say so; restore registry.db from its backup", a.Until-1, ErrDiffers, a.Entry)
		}
		if now, err := digestOfList(ctx, q, removed, a.First, a.Until); err != nil {
			return err
		} else if now != a.Removed {
			return fmt.Errorf("the archive up to entry %d: %w: other bodies are missing than those that it took; restore registry.db from its backup", a.Until-1, ErrDiffers)
		}
		until = a.Until
	}
	var seq int64
	err = q.QueryRowContext(ctx, `SELECT seq FROM main.audit_entry WHERE body = x'' AND (seq >= ? OR seq = 0) ORDER BY seq LIMIT 1`, until).Scan(&seq)
	switch {
	case err == nil:
		return fmt.Errorf("%w; restore registry.db from its backup", errNowhere(seq))
	case !none(err):
		return fmt.Errorf("looking for bodies that are missing: %w", named(err))
	}
	return nil
}

func sameDetails(got, want map[string]string) bool {
	for name, value := range want {
		if got[name] != value {
			return false
		}
	}
	return true
}

// Shrink writes the file of a closed registry anew, without the space of removed bodies: SQLite keeps that space in the
// pages of the table, where new entries do not use it. A crash leaves the old file or the new one.
func Shrink(ctx context.Context, path string) (err error) {
	held, err := lock(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock(held)) }()
	if err := execute(ctx, path, nil, `PRAGMA synchronous = FULL; VACUUM; PRAGMA wal_checkpoint(TRUNCATE)`); err != nil {
		return fmt.Errorf("making %s smaller: %w", path, named(err))
	}
	return nil
}
