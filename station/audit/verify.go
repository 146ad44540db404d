package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sort"
	"strconv"

	"golang.org/x/mod/sumdb/tlog"

	"hallmark/station/reason"
)

// Errors of [Verify].
var (
	ErrEntry     = errors.New("audit entry was altered")
	ErrGap       = errors.New("audit entries are missing")
	ErrHash      = errors.New("a stored hash of the audit tree was altered")
	ErrRoot      = errors.New("audit log is not the one that the checkpoint was signed over")
	ErrNoGenesis = errors.New("audit log does not begin with a genesis entry")
	ErrOtherKey  = errors.New("genesis names another audit key")
	// ErrCheckpointMissing: a checkpoint was deleted, or the log never had one.
	ErrCheckpointMissing = errors.New("a checkpoint is missing")
)

// A Report describes a log that Verify found good.
type Report struct {
	Head
	Checkpoints int   // the number of stored checkpoints
	Covered     int64 // entries under the newest stored checkpoint; no signature covers the entries after it
	Anchors     int   // the number of checkpoints from elsewhere

	Archived int64  // entries of which only the hash was there
	Lacks    string // where they lie, in words; empty: all entries were there
}

// A Verification says how a log is verified.
type Verification struct {
	Key     string            // verifier key
	Each    func(Entry) error // gets every good entry, in order; an error of Each ends the verification
	Anchors [][]byte          // checkpoints that were kept elsewhere

	// Archived returns nil for an entry whose body may be missing. Then the hash of the entry stands for it, and
	// Each does not get the entry. A nil Archived lets no body be missing.
	Archived func(seq int64) error
}

// Verify recomputes the whole log: each entry is canonical and in its place, each
// stored hash is right, and each stored checkpoint is over this tree and signed with
// the key. It calls Each for every good entry, in order; an error of Each ends it. Anchors
// are checkpoints that were kept elsewhere; they show when the newest entries were cut off. q
// should be one transaction, or nobody should write meanwhile. Errors: ErrEntry, ErrGap,
// ErrHash, ErrRoot, ErrNoGenesis, ErrOtherKey, ErrRolledBack, ErrCheckpointMissing, the
// errors of [OpenCheckpoint], and those of q.
func Verify(ctx context.Context, q Querier, how Verification) (Report, error) {
	report, err := verify(ctx, q, how.Key, how.Each, how.Archived, how.Anchors)
	if err != nil {
		return Report{}, fmt.Errorf("verifying audit log: %w", err)
	}
	return report, nil
}

func verify(ctx context.Context, q Querier, verifierKey string, each func(Entry) error, archived func(int64) error, anchors [][]byte) (Report, error) {
	v := verification{each: each, archived: archived, expected: map[int64]Head{}, notes: map[int64]bool{}}
	var err error
	// 1. Read the key. Every checkpoint and the genesis entry are checked against it.
	if v.key, err = parseVerifierKey(verifierKey); err != nil {
		return Report{}, err
	}
	v.text = verifierKey
	// 2. Read the checkpoints first, so that one pass over the entries compares all roots.
	if err := v.stored(ctx, q); err != nil {
		return Report{}, err
	}
	if err := v.anchors(anchors); err != nil {
		return Report{}, err
	}
	// 3. Check all entries, in order.
	if err := v.entries(ctx, q); err != nil {
		return Report{}, err
	}
	if v.edge.size == 0 {
		return Report{}, fmt.Errorf("%w: it is empty", ErrNoGenesis)
	}
	// 4. A checkpoint that was not reached is over a longer log than this one.
	for size := range v.expected {
		return Report{}, fmt.Errorf("%w: %s, checkpoint over %d", ErrRolledBack, reason.Count(v.edge.size, "entry", "entries"), size)
	}
	if v.report.Checkpoints == 0 && v.report.Anchors == 0 {
		return Report{}, fmt.Errorf("%w: there is none, so nobody has signed this log", ErrCheckpointMissing)
	}
	v.report.Head = v.edge.head()
	return v.report, nil
}

type verification struct {
	key      *noteKey
	text     string
	each     func(Entry) error
	archived func(seq int64) error // nil: no body may be missing
	edge     edge
	expected map[int64]Head // by size; those that the pass has not reached
	notes    map[int64]bool // sizes of the stored checkpoints
	sizes    []int64        // the same, in ascending order
	report   Report
}

func (v *verification) expect(h Head) error {
	if other, known := v.expected[h.Size]; known && other != h {
		return fmt.Errorf("%w: two checkpoints over %s differ", ErrRoot, reason.Count(h.Size, "entry", "entries"))
	}
	v.expected[h.Size] = h
	return nil
}

func (v *verification) stored(ctx context.Context, q Querier) error {
	rows, err := q.QueryContext(ctx, `SELECT size, note FROM audit_checkpoint ORDER BY size`)
	if err != nil {
		return fmt.Errorf("reading checkpoints: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var size int64
		var signed []byte
		if err := rows.Scan(&size, &signed); err != nil {
			return fmt.Errorf("reading checkpoints: %w", err)
		}
		h, err := v.key.open(signed)
		if err != nil {
			return fmt.Errorf("checkpoint over %s: %w", reason.Count(size, "entry", "entries"), err)
		}
		if h.Size != size {
			return fmt.Errorf("checkpoint over %s: %w: it says %d", reason.Count(size, "entry", "entries"), ErrCheckpointText, h.Size)
		}
		if err := v.expect(h); err != nil {
			return err
		}
		v.notes[size], v.sizes = true, append(v.sizes, size)
		v.report.Checkpoints, v.report.Covered = v.report.Checkpoints+1, h.Size
	}
	return rows.Err()
}

func (v *verification) anchors(anchors [][]byte) error {
	for n, signed := range anchors {
		h, err := v.key.open(signed)
		if err != nil {
			return fmt.Errorf("anchor %d: %w", n+1, err)
		}
		if err := v.expect(h); err != nil {
			return fmt.Errorf("anchor %d: %w", n+1, err)
		}
		v.report.Anchors++
	}
	return nil
}

func (v *verification) entries(ctx context.Context, q Querier) error {
	table := "audit_entry"
	if v.archived != nil {
		table = "main.audit_entry" // and not a view that gives back the bodies
	}
	rows, err := q.QueryContext(ctx, `SELECT seq, body, hashes FROM `+table+` ORDER BY seq`)
	if err != nil {
		return fmt.Errorf("reading entries: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var seq int64
		var body, hashes []byte
		if err := rows.Scan(&seq, &body, &hashes); err != nil {
			return fmt.Errorf("reading entries: %w", err)
		}
		if err := v.entry(seq, body, hashes); err != nil {
			return fmt.Errorf("entry %d: %w", seq, err)
		}
	}
	return rows.Err()
}

func (v *verification) entry(seq int64, body, hashes []byte) error {
	if seq != v.edge.size {
		return fmt.Errorf("%w: entry %d comes after %s", ErrGap, seq, reason.Count(v.edge.size, "entry", "entries"))
	}
	if len(body) == 0 && v.archived != nil {
		return v.leaf(seq, hashes)
	}
	e, err := Decode(body)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrEntry, err)
	}
	if e.Seq != seq {
		return fmt.Errorf("%w: it says it is entry %d", ErrEntry, e.Seq)
	}
	if err := v.genesis(e); err != nil {
		return err
	}
	if err := v.grow(tlog.RecordHash(body), hashes); err != nil {
		return err
	}
	if told, tells := e.Checkpoint(); tells {
		if err := v.told(told); err != nil {
			return err
		}
	}
	return v.each(e)
}

// told compares what an entry tells of a checkpoint with those that are stored.
func (v *verification) told(t Told) error {
	if !v.notes[t.Size] {
		return fmt.Errorf("%w: the entry tells of one over %s", ErrCheckpointMissing, reason.Count(t.Size, "entry", "entries"))
	}
	stored := strconv.Itoa(sort.Search(len(v.sizes), func(n int) bool { return v.sizes[n] > t.Size }))
	if t.Notes != "" && t.Notes != stored {
		return fmt.Errorf("%w: %s of %s are stored up to a size of %d", ErrCheckpointMissing, stored, t.Notes, t.Size)
	}
	return nil
}

// leaf goes on with the hash of an entry whose body is missing.
func (v *verification) leaf(seq int64, hashes []byte) error {
	if err := v.archived(seq); err != nil {
		return err
	}
	if len(hashes) < tlog.HashSize {
		return ErrHash
	}
	v.report.Archived++
	return v.grow(tlog.Hash(hashes[:tlog.HashSize]), hashes)
}

// grow adds a leaf to the tree, and compares the tree with the stored hashes and with the checkpoint of its size.
func (v *verification) grow(leaf tlog.Hash, hashes []byte) error {
	if !bytes.Equal(v.edge.addHash(leaf), hashes) {
		return fmt.Errorf("%w, or the entry was", ErrHash)
	}
	if h, ok := v.expected[v.edge.size]; ok && h.Root != v.edge.root() {
		return fmt.Errorf("%w: at size %d", ErrRoot, h.Size)
	}
	delete(v.expected, v.edge.size)
	return nil
}

func (v *verification) genesis(e Entry) error {
	if (e.Seq == 0) != (e.Type == TypeGenesis) {
		return fmt.Errorf("%w: entry %d is %s", ErrNoGenesis, e.Seq, e.Type)
	}
	if e.Seq == 0 && e.Details["vkey"] != v.text {
		return ErrOtherKey
	}
	return nil
}
