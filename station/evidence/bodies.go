package evidence

import (
	"fmt"

	"hallmark/station/audit"
)

// Bodies gives single entries of a whole bundle. One goroutine uses it at a time.
type Bodies struct {
	files   *Files
	size    int64 // entries, as the checkpoint says
	first   int64 // of the entry bundle that was read last
	entries [][]byte
}

// OpenBodies opens a whole bundle, and its checkpoint with the key. It checks nothing else: the caller compares each
// entry with the hash in the log. The caller closes it.
func OpenBodies(name, verifierKey string) (_ *Bodies, err error) {
	files, err := OpenFiles(name)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = files.Close()
		}
	}()
	if files.isPart() {
		return nil, fmt.Errorf("%w: %s has only some entries", ErrNoBundle, name)
	}
	note, err := files.Read(CheckpointFile)
	if err != nil {
		return nil, err
	}
	head, err := audit.OpenCheckpoint(note, verifierKey)
	return &Bodies{files: files, size: head.Size, first: -1}, err
}

// Body gives one entry. The caller does not change it.
func (b *Bodies) Body(seq int64) ([]byte, error) {
	first := seq / tileWidth * tileWidth
	if first != b.first {
		if err := b.read(first); err != nil {
			return nil, err
		}
	}
	if at := seq - first; seq < b.size && at < int64(len(b.entries)) {
		return b.entries[at], nil
	}
	return nil, fmt.Errorf("%s has no entry %d", b.files.root, seq)
}

func (b *Bodies) read(first int64) error {
	b.first, b.entries = -1, b.entries[:0]
	content, err := b.files.Read(tilePath("entries", first/tileWidth, int(min(tileWidth, b.size-first))))
	if err != nil {
		return err
	}
	err = splitEntries(content, func(entry []byte) error {
		b.entries = append(b.entries, entry)
		return nil
	})
	if err == nil {
		b.first = first
	}
	return err
}

// Close closes the bundle.
func (b *Bodies) Close() error { return b.files.Close() }
