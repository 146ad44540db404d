package audit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// edge is the right edge of an RFC 6962 tree. For each bit that is set in the size
// it holds the hash of the complete subtree with that many leaves. It is a plain
// value, so a copy is a snapshot, and a transaction is undone by dropping the copy.
type edge struct {
	size int64
	at   [62]tlog.Hash // at[l] is valid when bit l of size is set
}

// add appends leaf. It returns the hashes of the subtrees that leaf completes, level
// 0 first, 32 octets each.
func (e *edge) add(leaf []byte) []byte { return e.addHash(tlog.RecordHash(leaf)) }

// addHash appends a leaf of which only the hash is there.
func (e *edge) addHash(hash tlog.Hash) []byte {
	hashes := append(make([]byte, 0, 2*tlog.HashSize), hash[:]...)
	level := 0
	for ; e.size>>level&1 == 1; level++ {
		hash = tlog.NodeHash(e.at[level], hash)
		hashes = append(hashes, hash[:]...)
	}
	e.at[level] = hash
	e.size++
	return hashes
}

// root returns the Merkle tree hash (RFC 6962 section 2.1).
func (e *edge) root() tlog.Hash {
	var root tlog.Hash
	begun := false
	for level := range e.at {
		switch {
		case e.size>>level&1 == 0:
		case !begun:
			root, begun = e.at[level], true
		default:
			root = tlog.NodeHash(e.at[level], root)
		}
	}
	if !begun {
		root, _ = tlog.TreeHash(0, nil)
	}
	return root
}

// Querier reads the log: a database, a connection or a transaction.
type Querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

var errNoSuchNode = errors.New("node is not stored")

// edgeAt reads the right edge of the first size entries.
func edgeAt(ctx context.Context, q Querier, size int64) (edge, error) {
	return edgeFrom(size, func(seq int64, level int) (tlog.Hash, error) { return node(ctx, q, seq, level) })
}

// edgeFrom makes the right edge of the first size entries. node gives the hash of the subtree of 2^level leaves that ends with leaf seq.
func edgeFrom(size int64, node func(seq int64, level int) (tlog.Hash, error)) (edge, error) {
	e := edge{size: size}
	for level := range e.at {
		if size>>level&1 == 0 {
			continue
		}
		last := size>>level<<level - 1 // the leaf that completes this subtree
		hash, err := node(last, level)
		if err != nil {
			return edge{}, fmt.Errorf("reading level %d of the tree at entry %d: %w", level, last, err)
		}
		e.at[level] = hash
	}
	return e, nil
}

// node reads the hash of the subtree of 2^level leaves that ends with leaf seq.
func node(ctx context.Context, q Querier, seq int64, level int) (hash tlog.Hash, err error) {
	var hashes []byte
	err = q.QueryRowContext(ctx, `SELECT hashes FROM audit_entry WHERE seq = ?`, seq).Scan(&hashes)
	if err != nil {
		return hash, err
	}
	if len(hashes) < (level+1)*tlog.HashSize {
		return hash, errNoSuchNode
	}
	copy(hash[:], hashes[level*tlog.HashSize:])
	return hash, nil
}

// HashReader gives the stored hashes of a log to functions that make proofs.
func HashReader(ctx context.Context, q Querier) tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		hashes := make([]tlog.Hash, 0, len(indexes))
		for _, index := range indexes {
			level, n := tlog.SplitStoredHashIndex(index)
			hash, err := node(ctx, q, (n+1)<<level-1, level)
			if err != nil {
				return nil, fmt.Errorf("reading level %d of the tree at hash %d: %w", level, n, err)
			}
			hashes = append(hashes, hash)
		}
		return hashes, nil
	})
}

// A Tree is the right edge of an RFC 6962 tree, for a program that keeps the entries of a log elsewhere. It is a plain value: a copy is a snapshot.
type Tree struct{ edge edge }

// TreeAt makes the Tree of the first size leaves. stored gives what Add returned for a leaf.
func TreeAt(size int64, stored func(seq int64) ([]byte, error)) (Tree, error) {
	e, err := edgeFrom(size, func(seq int64, level int) (hash tlog.Hash, err error) {
		hashes, err := stored(seq)
		if err == nil && len(hashes) < (level+1)*tlog.HashSize {
			err = errNoSuchNode
		}
		if err != nil {
			return hash, err
		}
		copy(hash[:], hashes[level*tlog.HashSize:])
		return hash, nil
	})
	return Tree{e}, err
}

// Add appends a leaf. It returns the hashes of the subtrees that the leaf completes, level 0 first, 32 octets each.
func (t *Tree) Add(leaf []byte) []byte { return t.edge.add(leaf) }

// Head returns size and root.
func (t *Tree) Head() Head { return t.edge.head() }
