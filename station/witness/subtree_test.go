package witness

import (
	"fmt"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

// A tree in memory.
func treeOf(t *testing.T, size int64) (tlog.HashReader, []tlog.Hash) {
	t.Helper()
	var stored, leaves []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) (hashes []tlog.Hash, err error) {
		for _, index := range indexes {
			hashes = append(hashes, stored[index])
		}
		return hashes, nil
	})
	for n := range size {
		leaf := fmt.Appendf(nil, "entry %d", n)
		hashes, err := tlog.StoredHashes(n, leaf, reader)
		if err != nil {
			t.Fatal(err)
		}
		stored, leaves = append(stored, hashes...), append(leaves, tlog.RecordHash(leaf))
	}
	return reader, leaves
}

// The law: each package of each upload is proven by its proof, and by no other.
func TestEachPackageIsPartOfTheTree(t *testing.T) {
	for _, size := range []int64{1, 2, 3, 255, 256, 257, 300, 511, 512, 513, 767, 1000, 1024, 1279} {
		reader, leaves := treeOf(t, size)
		root, err := tlog.TreeHash(size, reader)
		if err != nil {
			t.Fatal(err)
		}
		if RootOf(leaves) != root {
			t.Fatalf("size %d: RootOf is another root", size)
		}
		for start := int64(0); start < size; start += PackageWidth {
			end := min(size, start+PackageWidth)
			path, err := ProveSubtree(start, end, size, reader)
			if err != nil {
				t.Fatalf("size %d, package at %d: %v", size, start, err)
			}
			subtree := RootOf(leaves[start:end])
			if err := CheckSubtree(path, start, end, subtree, size, root); err != nil {
				t.Errorf("size %d, package at %d: %v", size, start, err)
			}
			wrong := subtree
			wrong[7] ^= 1
			if CheckSubtree(path, start, end, wrong, size, root) == nil {
				t.Errorf("size %d, package at %d: other entries are proven, too", size, start)
			}
			if CheckSubtree(append(path, wrong), start, end, subtree, size, root) == nil || len(path) > 0 && CheckSubtree(path[1:], start, end, subtree, size, root) == nil {
				t.Errorf("size %d, package at %d: a proof of another length holds", size, start)
			}
		}
	}
}

func TestASubtreeThatIsNoNodeIsRefused(t *testing.T) {
	reader, _ := treeOf(t, 10)
	for _, bounds := range [][2]int64{{1, 3}, {3, 9}, {0, 11}, {9, 9}} {
		if _, err := ProveSubtree(bounds[0], bounds[1], 10, reader); err == nil {
			t.Errorf("%v is proven", bounds)
		}
		if CheckSubtree(nil, bounds[0], bounds[1], tlog.Hash{}, 10, tlog.Hash{}) == nil {
			t.Errorf("%v holds", bounds)
		}
	}
}
