package registry

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/mattn/go-sqlite3"
	"golang.org/x/mod/sumdb/tlog"

	"hallmark/station/audit"
	"hallmark/station/reason"
	"hallmark/station/workdir"
)

// The mark is a small file beside the registry. It says how long the audit log is, and its
// root. Each commit brings the mark up to date, so a registry that was put back from a
// copy, or that lost its write-ahead log, is behind its mark (I16).
//
// The mark has two slots, which are written in turn, so that a power cut leaves one of
// them whole. Only a checkpoint syncs the mark: after a power cut the mark may be behind
// the registry, and never ahead of it.

// MarkOf gives the path of the mark of a registry.
func MarkOf(registry string) string { return strings.TrimSuffix(registry, ".db") + ".mark" }

const (
	slotSize  = 512 // octets, one sector
	markWord  = "hallmark-mark-1"
	slotCount = 2
)

// mark is the mark of a registry that is open for writing.
type mark struct {
	file *os.File
	next int // slot
}

// encodeSlot gives one slot: word, size, root and a digest of them, then spaces. Each commit needs one, so nothing is formatted by package fmt.
func encodeSlot(h audit.Head) []byte {
	slot := append(make([]byte, 0, slotSize), markWord+" "...)
	slot = strconv.AppendInt(slot, h.Size, 10)
	slot = hex.AppendEncode(append(slot, ' '), h.Root[:])
	sum := sha256.Sum256(slot)
	slot = hex.AppendEncode(append(slot, ' '), sum[:])
	slot = append(slot, '\n')
	return append(slot, bytes.Repeat([]byte(" "), slotSize-len(slot))...)
}

func decodeSlot(slot []byte) (h audit.Head, ok bool) {
	parts := strings.Fields(string(slot))
	if len(parts) != 4 || parts[0] != markWord {
		return h, false
	}
	size, err := strconv.ParseInt(parts[1], 10, 62)
	root, bad := hex.DecodeString(parts[2])
	if err != nil || bad != nil || len(root) != tlog.HashSize {
		return h, false
	}
	h = audit.Head{Size: size, Root: tlog.Hash(root)}
	return h, bytes.Equal(encodeSlot(h), slot)
}

// readMark gives what the mark says: the newer of its slots.
func readMark(path string) (newest audit.Head, err error) {
	content, err := workdir.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return newest, fmt.Errorf("%w: %s", ErrMarkMissing, path)
	} else if err != nil {
		return newest, fmt.Errorf("%w: %w", ErrMark, err)
	}
	found := false
	for n := range slotCount {
		slot := content[min(n*slotSize, len(content)):min((n+1)*slotSize, len(content))]
		if h, ok := decodeSlot(slot); ok && (!found || h.Size > newest.Size) {
			newest, found = h, true
		}
	}
	if !found {
		return newest, fmt.Errorf("%w: %s has no whole record", ErrMark, path)
	}
	return newest, nil
}

// newMark makes the mark anew. It survives a power cut from the beginning.
func newMark(path string, h audit.Head) (*mark, error) {
	unfinished := path + ".unfinished"
	if err := writeAnew(unfinished, bytes.Repeat(encodeSlot(h), slotCount)); err != nil {
		return nil, fmt.Errorf("making the mark of the registry: %w", err)
	}
	if err := workdir.Rename(unfinished, path); err != nil {
		return nil, fmt.Errorf("making the mark of the registry: %w", err)
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	return &mark{file: file}, err
}

// writeAnew writes a file in the place of what a crash left there. It follows no link, and waits for no reader of a pipe.
func writeAnew(path string, content []byte) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	return errors.Join(err, file.Close())
}

// put writes the newest head. It does not wait for the disk.
func (m *mark) put(h audit.Head) error {
	m.next = (m.next + 1) % slotCount
	if _, err := m.file.WriteAt(encodeSlot(h), int64(m.next*slotSize)); err != nil {
		return fmt.Errorf("writing the mark of the registry: %w", err)
	}
	return nil
}

// sync brings the mark to the disk. If somebody removed the mark, sync makes it anew, because
// the log itself is whole.
func (m *mark) sync(h audit.Head) error {
	if removed, err := m.removed(); err != nil || !removed {
		return errors.Join(err, m.file.Sync())
	}
	again, err := newMark(m.file.Name(), h)
	if err != nil {
		return err
	}
	old := m.file
	m.file, m.next = again.file, 0
	return old.Close()
}

func (m *mark) removed() (bool, error) {
	opened, err := m.file.Stat()
	if err != nil {
		return false, fmt.Errorf("looking at the mark of the registry: %w", err)
	}
	now, err := os.Stat(m.file.Name())
	return err != nil || !os.SameFile(opened, now), nil
}

func (m *mark) close(h audit.Head) error { return errors.Join(m.sync(h), m.file.Close()) }

// compareMark refuses a log that does not fit its mark, unless an operator accepts the log.
func (r *Registry) compareMark(ctx context.Context, q audit.Querier) error {
	head := r.log.Head()
	marked, err := readMark(MarkOf(r.config.Path))
	switch {
	case err == nil:
		err = theMark.covers(ctx, q, head, marked)
	case errors.Is(err, ErrMarkMissing):
		neverMarked, bad := hadNoMark(ctx, q, r.version, head.Size)
		if neverMarked || bad != nil {
			return bad
		}
	}
	if err != nil && r.config.AcceptRegistry != "" && acceptable(err) {
		r.accepted = append(r.accepted, acceptance{seen: marked, why: err})
		return nil
	}
	return err
}

// hadNoMark reports whether the log is new, has schema 2, which had no marks, or ends with its
// migration from there. A start that was killed after the migration has not made the mark yet.
func hadNoMark(ctx context.Context, q audit.Querier, version, size int64) (bool, error) {
	if size == 0 || version == oldestSchema {
		return true, nil
	}
	e, err := entryAt(ctx, q, size-1)
	return e.Type == typeMigrated && e.Details["from"] == strconv.Itoa(oldestSchema), err
}

// openMark makes the mark anew. From then on each commit brings the mark up to date.
func (r *Registry) openMark(context.Context) (err error) {
	if r.mark != nil {
		return nil
	}
	if r.mark, err = newMark(MarkOf(r.config.Path), r.log.Head()); err == nil {
		r.writer.mark = r.mark
	}
	return err
}

// acceptance is a registry that an operator accepts although it does not fit what was seen of it, or ends with acts that no checkpoint covers.
type acceptance struct {
	seen audit.Head
	acts map[string]string // details about acts; nil: the log does not fit seen
	why  error
}

// typeAccepted is the entry about a registry that an operator accepted although it does not fit.
const typeAccepted = "log.accepted"

// entry is the entry about the acceptance. It names the entries that are lost.
func (a *acceptance) entry(operator string) audit.Entry {
	details := a.acts
	if details == nil {
		details = map[string]string{"mark_size": strconv.FormatInt(a.seen.Size, 10), "mark_root": hex.EncodeToString(a.seen.Root[:])}
	}
	details["error"] = text(a.why.Error())
	return audit.Entry{Actor: actor(operator), Category: audit.CategoryLog, Type: typeAccepted, Outcome: audit.Success, Reason: wordOf(a.why), Details: details}
}

// acceptable reports whether an operator may accept the registry in spite of the error.
func acceptable(err error) bool {
	return slices.ContainsFunc([]error{ErrMarkMissing, ErrMark, ErrOlder, ErrOther, ErrOlderThanToken, ErrOtherThanToken},
		func(refusal error) bool { return errors.Is(err, refusal) })
}

// WaysOut gives the next actions for a registry that does not fit its mark, that was replaced
// while it was open, that is damaged, or that somebody changed. Other errors have none here.
func WaysOut(err error) (next []string) {
	var e sqlite3.Error
	if errors.As(err, &e) && e.Code == sqlite3.ErrCorrupt || isChanged(err) {
		next = append(next, ErrSchemaChanged.Row().Next)
	}
	for _, refusal := range []*reason.Sentinel{ErrOlder, ErrOlderThanToken, ErrOther, ErrOtherThanToken, ErrMarkMissing, ErrMark, ErrReplaced, ErrAnchorOlder, ErrAnchorOther, ErrActsUnsigned} {
		if errors.Is(err, refusal) {
			next = append(next, refusal.Row().Next)
		}
	}
	return next
}

// isChanged reports whether the error says that somebody changed what the registry holds: its schema, its rows, or the
// log with its checkpoints. The error of a file that a command was given is a mistake in usage, and says nothing about the registry.
func isChanged(err error) bool {
	if reason.ExitOf(err) == reason.ExitUsage || errors.Is(err, ErrArchivedMeanwhile) {
		return false
	}
	return slices.ContainsFunc([]error{ErrSchemaChanged, ErrReopened, ErrDiffers, audit.ErrCheckpointMissing, audit.ErrEntry, audit.ErrGap, audit.ErrHash, audit.ErrRolledBack, audit.ErrOtherKey},
		func(change error) bool { return errors.Is(err, change) })
}

// An outside is a place outside of registry.db that has seen the log, with its refusals.
type outside struct {
	older, other *reason.Sentinel
	seen         string // what it has seen, in words
}

var (
	theMark   = outside{ErrOlder, ErrOther, "the mark has seen"}
	theAnchor = outside{ErrAnchorOlder, ErrAnchorOther, "the anchor has seen"} // outside of the station
	theToken  = outside{ErrOlderThanToken, ErrOtherThanToken, "the checkpoint on the token covers"}
)

// covers refuses a log that lacks entries which the place has seen.
func (o outside) covers(ctx context.Context, q audit.Querier, head, seen audit.Head) error {
	if seen.Size == 0 {
		return nil
	}
	if seen.Size > head.Size {
		return fmt.Errorf("%w: it has %s, %s %d, so the newest %s missing", o.older, reason.Count(head.Size, "entry", "entries"),
			o.seen, seen.Size, reason.Count(seen.Size-head.Size, "entry is", "entries are"))
	}
	err := audit.Continues(ctx, q, seen)
	if errors.Is(err, audit.ErrRoot) {
		return fmt.Errorf("%w: they differ within the first %s", o.other, reason.Count(seen.Size, "entry", "entries"))
	}
	return err
}

// Covers refuses a log that does not contain the log of the checkpoint on the token, and a
// registry that does not store this checkpoint. An operator may accept the first, not the second.
func (r *Registry) Covers(ctx context.Context, seen audit.Head) error {
	err := theToken.covers(ctx, r.db, r.log.Head(), seen)
	if err == nil {
		err = r.stores(ctx, seen.Size)
	}
	if err == nil || r.config.AcceptRegistry == "" || !acceptable(err) {
		return r.refuse(err)
	}
	return r.accept(ctx, acceptance{seen: seen, why: err})
}

// refuse keeps why the registry must not begin, or that it may begin again.
func (r *Registry) refuse(err error) error {
	r.beginning.Lock()
	defer r.beginning.Unlock()
	if r.refused = nil; !r.begun {
		r.refused = err
	}
	return err
}

// stores refuses a registry without the checkpoint of this size. The station stores a checkpoint
// in the registry first, and then on the token.
func (r *Registry) stores(ctx context.Context, size int64) error {
	var n int
	if err := r.db.QueryRowContext(ctx, `SELECT count(*) FROM audit_checkpoint WHERE size = ?`, size).Scan(&n); err != nil {
		return fmt.Errorf("looking for the checkpoint of the token: %w", err)
	}
	if n == 0 {
		return fmt.Errorf("%w: the token has one over %s", audit.ErrCheckpointMissing, reason.Count(size, "entry", "entries"))
	}
	return nil
}

// Accept records that an operator goes on although the log does not fit an anchor.
func (r *Registry) Accept(ctx context.Context, seen audit.Head, why error) error {
	return r.accept(ctx, acceptance{seen: seen, why: why})
}

// accept records that an operator goes on with the registry: at once, or when the registry begins.
func (r *Registry) accept(ctx context.Context, a acceptance) error {
	r.beginning.Lock()
	r.accepted = append(r.accepted, a)
	begun := r.begun
	r.beginning.Unlock()
	if !begun {
		return nil
	}
	return r.note(ctx, a.entry(r.config.AcceptRegistry))
}

// Accepted gives what an operator accepted since the registry was opened: in what it did not fit, and which acts no checkpoint covers.
func (r *Registry) Accepted() (all []error) {
	r.beginning.Lock()
	defer r.beginning.Unlock()
	for _, a := range r.accepted {
		all = append(all, a.why)
	}
	return all
}
