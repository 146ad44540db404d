package evidence

import (
	"strings"

	"hallmark/station/audit"
)

// EventHeader gives the first line of views/events.csv.
func EventHeader() []byte { return []byte(strings.Join(eventColumns, ",") + "\n") } // no name of a column needs quotes

// EventRow gives the line of an entry in views/events.csv. No cell begins a formula.
func EventRow(e *audit.Entry) []byte {
	r := newRendered()
	_ = r.csv.Write(SafeCells(eventCells(e))) // a buffer in memory takes everything
	r.end()
	return r.events.Bytes()
}

// TileWidth is the number of hashes in a full tile, and of entries in a full entry bundle.
const TileWidth = tileWidth

// TilePath gives the path of a tile or an entry bundle (C2SP tlog-tiles, "Parameters"). level is
// "0", "1", ... or "entries"; width is the number of hashes or entries, 1 to 256.
func TilePath(level string, index int64, width int) string { return tilePath(level, index, width) }

// AppendEntry appends an entry to an entry bundle.
func AppendEntry(bundle, entry []byte) []byte { return appendEntry(bundle, entry) }

// SplitEntries calls each for every entry of an entry bundle.
func SplitEntries(bundle []byte, each func(entry []byte) error) error {
	return splitEntries(bundle, each)
}
