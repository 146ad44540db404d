package serve

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/mod/sumdb/tlog"

	"hallmark/station/audit"
	"hallmark/station/evidence"
	"hallmark/station/witness"
	"hallmark/station/workdir"
)

// tilesAtOnce is how many tiles one sync of the disk covers.
const tilesAtOnce = 64

// writeTiles writes the tiles that a checkpoint has more than the checkpoint before (C2SP
// tlog-tiles), and checks that they give the root of the checkpoint. The caller holds mu.
func (l *log) writeTiles(head audit.Head) error {
	was, is := l.mirrored.Size, head.Size
	for level := 0; is > 0; level, was, is = level+1, was/evidence.TileWidth, is/evidence.TileWidth {
		if err := l.writeLevel(level, was, is); err != nil {
			return err
		}
	}
	if head.Size == 0 {
		return nil
	}
	if err := l.writeLastBundle(head.Size); err != nil {
		return err
	}
	last := tlog.StoredHashIndex(0, head.Size-1)
	_, err := tlog.TileHashReader(tlog.Tree{N: head.Size, Hash: head.Root}, tiles{l, head.Size}).ReadHashes([]int64{last})
	return err
}

// writeLastBundle makes sure that the last entry bundle is there with exactly the entries of the
// checkpoint. An upload to a newer checkpoint may have stored a wider bundle instead.
func (l *log) writeLastBundle(size int64) error {
	first, width := witness.Floor(size), int(size%evidence.TileWidth)
	path := l.mirrorFile(evidence.TilePath("entries", first/evidence.TileWidth, width))
	if width == 0 || workdir.Exists(path) {
		return nil
	}
	entries, err := l.bundle(first, width)
	if err != nil {
		return err
	}
	return workdir.WriteFile(path, bundleOf(entries))
}

// writeLevel writes the tiles of one level, which had some hashes and has more now.
func (l *log) writeLevel(level int, had, has int64) error {
	var files []workdir.File
	for first := witness.Floor(had); first < has; first += evidence.TileWidth {
		width := int(min(evidence.TileWidth, has-first))
		content, err := l.tile(level, first, width)
		if err != nil {
			return err
		}
		path := l.mirrorFile(evidence.TilePath(strconv.Itoa(level), first/evidence.TileWidth, width))
		if files = append(files, workdir.File{Path: path, Content: content}); len(files) == tilesAtOnce {
			if err := workdir.WriteFiles(files...); err != nil {
				return err
			}
			files = nil
		}
	}
	return workdir.WriteFiles(files...)
}

// tile makes a tile: of level 0 from entries, of a higher level from the tiles below.
func (l *log) tile(level int, first int64, width int) (content []byte, err error) {
	if level == 0 {
		entries, err := l.bundle(first, width)
		for _, entry := range entries {
			hash := tlog.RecordHash(entry)
			content = append(content, hash[:]...)
		}
		return content, err
	}
	for n := range int64(width) {
		below, err := os.ReadFile(l.mirrorFile(evidence.TilePath(strconv.Itoa(level-1), first+n, evidence.TileWidth)))
		if err != nil {
			return nil, err
		}
		hashes, err := splitHashes(below)
		if err != nil {
			return nil, err
		}
		root := witness.RootOf(hashes)
		content = append(content, root[:]...)
	}
	return content, nil
}

var errTile = errors.New("a tile is damaged")

func splitHashes(tile []byte) ([]tlog.Hash, error) {
	if len(tile) == 0 || len(tile)%tlog.HashSize != 0 {
		return nil, fmt.Errorf("%w: it has %d octets", errTile, len(tile))
	}
	var hashes []tlog.Hash
	for ; len(tile) > 0; tile = tile[tlog.HashSize:] {
		hashes = append(hashes, tlog.Hash(tile[:tlog.HashSize]))
	}
	return hashes, nil
}

// tiles reads the tiles of a mirror for tlog.TileHashReader.
type tiles struct {
	log  *log
	size int64
}

// Height implements tlog.TileReader: a tile has 2^8 hashes.
func (t tiles) Height() int { return 8 }

// ReadTiles implements tlog.TileReader. A narrower tile is read from the widest that there is.
func (t tiles) ReadTiles(wanted []tlog.Tile) (data [][]byte, err error) {
	for _, tile := range wanted {
		width := int(min(evidence.TileWidth, t.size>>(8*tile.L)-tile.N*evidence.TileWidth))
		content, err := os.ReadFile(t.log.mirrorFile(evidence.TilePath(strconv.Itoa(tile.L), tile.N, width)))
		if err != nil {
			return nil, err
		}
		if len(content) < tile.W*tlog.HashSize {
			return nil, fmt.Errorf("%w: it has %d octets, want %d hashes", errTile, len(content), tile.W)
		}
		data = append(data, content[:tile.W*tlog.HashSize])
	}
	return data, nil
}

// SaveTiles implements tlog.TileReader: the tiles are files already.
func (t tiles) SaveTiles([]tlog.Tile, [][]byte) {}
