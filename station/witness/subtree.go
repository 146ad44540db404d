package witness

import (
	"errors"
	"fmt"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"

	"hallmark/station/reason"
)

// A subtree is the entries [start, end) of a tree, where start is a multiple of 256 and end is
// start+256 or the end of the tree. Such a subtree is one node of the tree, so its proof is the
// path of that node to the root (draft-ietf-plants-merkle-tree-certs section 4.4, the case in
// which the subtree is directly contained in the tree).

// errSubtree: the entries are not those of the checkpoint.
var errSubtree = errors.New("the entries do not belong to the checkpoint")

// split is the size of the left part of a tree of n leaves, 2 or more (RFC 6962 section 2.1).
func split(n int64) int64 { return 1 << (bits.Len64(uint64(n-1)) - 1) }

// ProveSubtree gives the proof of a subtree in the tree with this size. hashes are those of the log.
func ProveSubtree(start, end, size int64, hashes tlog.HashReader) ([]tlog.Hash, error) {
	var path []tlog.Hash
	lo, hi := int64(0), size
	for lo != start || hi != end {
		if hi-lo < 2 {
			return nil, fmt.Errorf("entries %d to %d are no node of a tree with %s", start, end, reason.Count(size, "entry", "entries"))
		}
		middle := lo + split(hi-lo)
		from, to := middle, hi
		if start >= middle {
			from, to, lo = lo, middle, middle
		} else {
			hi = middle
		}
		sibling, err := rangeHash(from, to, hashes)
		if err != nil {
			return nil, err
		}
		path = append([]tlog.Hash{sibling}, path...)
	}
	return path, nil
}

// rangeHash gives the hash of a node of the tree, from the stored hashes.
func rangeHash(lo, hi int64, hashes tlog.HashReader) (tlog.Hash, error) {
	width := hi - lo
	if width&(width-1) == 0 {
		level := bits.TrailingZeros64(uint64(width))
		read, err := hashes.ReadHashes([]int64{tlog.StoredHashIndex(level, lo>>level)})
		if err != nil {
			return tlog.Hash{}, err
		}
		return read[0], nil
	}
	left, err := rangeHash(lo, lo+split(width), hashes)
	if err != nil {
		return tlog.Hash{}, err
	}
	right, err := rangeHash(lo+split(width), hi, hashes)
	return tlog.NodeHash(left, right), err
}

// CheckSubtree checks that the subtree with this hash is part of the tree.
func CheckSubtree(path []tlog.Hash, start, end int64, subtree tlog.Hash, size int64, root tlog.Hash) error {
	var right []bool // from the root to the subtree: is the subtree in the right part?
	lo, hi := int64(0), size
	for lo != start || hi != end {
		if hi-lo < 2 {
			return fmt.Errorf("%w: entries %d to %d are no node of a tree with %s", errSubtree, start, end, reason.Count(size, "entry", "entries"))
		}
		middle := lo + split(hi-lo)
		if right = append(right, start >= middle); start >= middle {
			lo = middle
		} else {
			hi = middle
		}
	}
	if len(right) != len(path) {
		return fmt.Errorf("%w: the proof has %d hashes, want %d", errSubtree, len(path), len(right))
	}
	for i, sibling := range path {
		if right[len(right)-1-i] {
			subtree = tlog.NodeHash(sibling, subtree)
		} else {
			subtree = tlog.NodeHash(subtree, sibling)
		}
	}
	if subtree != root {
		return fmt.Errorf("%w: they give another root", errSubtree)
	}
	return nil
}

// RootOf gives the root of the tree over these hashes, 1 or more (RFC 6962 section 2.1).
func RootOf(hashes []tlog.Hash) tlog.Hash {
	if len(hashes) == 1 {
		return hashes[0]
	}
	left := split(int64(len(hashes)))
	return tlog.NodeHash(RootOf(hashes[:left]), RootOf(hashes[left:]))
}
