package evidence

import (
	"fmt"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

// The root over tiles is that of the reference implementation, for trees with and without
// partial tiles on each level.
func TestTheRootOverTilesIsThatOfTheTree(t *testing.T) {
	hashes := []tlog.Hash{}
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		var some []tlog.Hash
		for _, i := range indexes {
			some = append(some, hashes[i])
		}
		return some, nil
	})
	tiles := map[string]int{}
	tr := tree{put: func(path string, content []byte) error { tiles[path] = len(content); return nil }}
	wanted := map[int64]bool{1: true, 2: true, 255: true, 256: true, 257: true, 300: true, 511: true, 512: true, 65535: true, 65536: true, 65537: true, 66000: true}
	for n := int64(0); n < 66000; n++ {
		leaf := fmt.Appendf(nil, "leaf %d", n)
		stored, err := tlog.StoredHashes(n, leaf, reader)
		if err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, stored...)
		if err := tr.add(tlog.RecordHash(leaf)); err != nil {
			t.Fatal(err)
		}
		if !wanted[n+1] {
			continue
		}
		want, err := tlog.TreeHash(n+1, reader)
		if err != nil {
			t.Fatal(err)
		}
		if got := tr.root(); got != want {
			t.Errorf("size %d: root %v, want %v", n+1, got, want)
		}
	}
	if _, err := tr.end(); err != nil {
		t.Fatal(err)
	}
	for path, octets := range map[string]int{"tile/0/000": 8192, "tile/0/257.p/208": 208 * 32, "tile/1/000": 8192, "tile/1/001.p/1": 32, "tile/2/000.p/1": 32} {
		if tiles[path] != octets {
			t.Errorf("%s has %d octets, want %d", path, tiles[path], octets)
		}
	}
}

func TestAnIndexIsWrittenInGroupsOfThreeDigits(t *testing.T) {
	for index, want := range map[int64]string{0: "000", 67: "067", 999: "999", 1000: "x001/000", 1234067: "x001/x234/067"} {
		if got := tileIndex(index); got != want {
			t.Errorf("%d: %s, want %s", index, got, want)
		}
	}
}
