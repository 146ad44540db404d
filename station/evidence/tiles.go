// Package evidence writes and checks evidence bundles: the audit log with its checkpoint,
// its certificates and readable views, in files that a stranger can check without the station.
//
// A bundle is a C2SP tlog-tiles directory (https://c2sp.org/tlog-tiles) with more files beside
// it, or a tar file of such a directory. The package reads no database and no HSM.
package evidence

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// tileWidth is the number of hashes in a full tile, and of entries in a full entry bundle
// (C2SP tlog-tiles, "Merkle Tree").
const tileWidth = 256

// tilePath gives the path of a tile or an entry bundle. level is "0", "1", ... or "entries".
// width is the number of hashes or entries, 1 to 256; a narrower tile is a partial tile.
func tilePath(level string, index int64, width int) string {
	path := "tile/" + level + "/" + tileIndex(index)
	if width < tileWidth {
		path += fmt.Sprintf(".p/%d", width)
	}
	return path
}

// tileIndex gives the index in groups of three digits (C2SP tlog-tiles, "Parameters"): 1234067
// is x001/x234/067.
func tileIndex(index int64) string {
	text := fmt.Sprintf("%03d", index%1000)
	for index >= 1000 {
		index /= 1000
		text = fmt.Sprintf("x%03d/%s", index%1000, text)
	}
	return text
}

// A tree takes the leaves of a log in order and gives its tiles and its root.
type tree struct {
	put    func(path string, content []byte) error
	size   int64
	levels []tileLevel
}

// tileLevel has the hashes of the tile under construction. One hash of level n is the root
// of a full tile of level n-1.
type tileLevel struct {
	full   int64 // complete tiles
	hashes []tlog.Hash
}

// add takes the record hash of the next leaf (RFC 6962 section 2.1).
func (t *tree) add(hash tlog.Hash) error {
	t.size++
	for level := 0; ; level++ {
		if level == len(t.levels) {
			t.levels = append(t.levels, tileLevel{hashes: make([]tlog.Hash, 0, tileWidth)})
		}
		l := &t.levels[level]
		if l.hashes = append(l.hashes, hash); len(l.hashes) < tileWidth {
			return nil
		}
		if err := t.write(level); err != nil {
			return err
		}
		hash = rootOf(l.hashes)
		l.full, l.hashes = l.full+1, l.hashes[:0]
	}
}

func (t *tree) write(level int) error {
	l := &t.levels[level]
	content := make([]byte, 0, len(l.hashes)*tlog.HashSize)
	for _, hash := range l.hashes {
		content = append(content, hash[:]...)
	}
	return t.put(tilePath(fmt.Sprint(level), l.full, len(l.hashes)), content)
}

// end writes the partial tiles and gives the root of the log.
func (t *tree) end() (tlog.Hash, error) {
	for level := range t.levels {
		if len(t.levels[level].hashes) == 0 {
			continue
		}
		if err := t.write(level); err != nil {
			return tlog.Hash{}, err
		}
	}
	return t.root(), nil
}

// root combines the partial tiles, from the smallest subtree at the right edge to the left
// (RFC 6962 section 2.1).
func (t *tree) root() tlog.Hash {
	if t.size == 0 {
		empty, _ := tlog.TreeHash(0, nil) // reads nothing
		return empty
	}
	var root tlog.Hash
	begun := false
	for level := range t.levels {
		hashes := t.levels[level].hashes
		if begun {
			hashes = append(hashes[:len(hashes):len(hashes)], root)
		}
		if len(hashes) > 0 {
			root, begun = rootOf(hashes), true
		}
	}
	return root
}

// rootOf gives the root of the tree over these hashes, 1 or more.
func rootOf(hashes []tlog.Hash) tlog.Hash {
	if len(hashes) == 1 {
		return hashes[0]
	}
	split := 1
	for split*2 < len(hashes) {
		split *= 2
	}
	return tlog.NodeHash(rootOf(hashes[:split]), rootOf(hashes[split:]))
}

// appendEntry appends an entry to an entry bundle: its size in two octets, then the entry
// (C2SP tlog-tiles, "Log Entries").
func appendEntry(bundle, entry []byte) []byte {
	return append(binary.BigEndian.AppendUint16(bundle, uint16(len(entry))), entry...)
}

var errEntryBundle = errors.New("entry bundle is cut off")

// splitEntries calls each for every entry of an entry bundle.
func splitEntries(bundle []byte, each func(entry []byte) error) error {
	for len(bundle) > 0 {
		if len(bundle) < 2 {
			return errEntryBundle
		}
		size := int(binary.BigEndian.Uint16(bundle))
		if bundle = bundle[2:]; len(bundle) < size {
			return errEntryBundle
		}
		if err := each(bundle[:size:size]); err != nil {
			return err
		}
		bundle = bundle[size:]
	}
	return nil
}

// cleanPath refuses a path that leaves the bundle, or that another writer would have chosen.
func cleanPath(path string) error {
	if path == "" || strings.HasPrefix(path, "/") || strings.ContainsAny(path, "\\\x00") {
		return fmt.Errorf("path %q does not stay in the bundle", path)
	}
	for part := range strings.SplitSeq(path, "/") {
		if part == "" || part == "." || part == ".." {
			return fmt.Errorf("path %q does not stay in the bundle", path)
		}
	}
	return nil
}
