package evidence

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"

	"hallmark/station/reason"
)

// checkEntries reads all entries once. It makes tiles and views anew, and compares.
func (c *checker) checkEntries() error {
	tiles := &tree{put: c.compareTile}
	views, compare, err := c.openViews()
	if err != nil {
		return err
	}
	if err := c.openReport(); err != nil {
		return err
	}
	err = inOrder(c.ctx, c.givePieces, func(p *piece) error { return c.checkPiece(p, tiles, views) })
	if errors.Is(err, errNotWhole) {
		return nil // what comes behind a bundle that is not whole cannot be judged
	} else if err != nil {
		return err
	}
	root, err := tiles.end()
	if err != nil {
		return err
	}
	if c.head.Size > 0 && root != c.head.Root {
		if err := c.find(-1, CheckpointFile, "the entries have the root %v, the checkpoint says %v: they are not the entries that it was signed over", root, c.head.Root); err != nil {
			return err
		}
	}
	if err := errors.Join(views.End(), compare()); err != nil {
		return err
	}
	return c.compareReport()
}

// errNotWhole ends the pass over the entries.
var errNotWhole = errors.New("an entry bundle is not whole")

// givePieces reads the entry bundles. It adds no finding, because it runs beside checkPiece: a
// bundle that is not there has no content.
func (c *checker) givePieces(p *pieces) (err error) {
	for first := int64(0); first < c.head.Size; first += tileWidth {
		next, name := p.empty(), c.bundleName(first)
		next.first, next.width = first, int(min(tileWidth, c.head.Size-first))
		next.content, err = c.files.readInto(next.content, name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, ErrUnsafe) {
			return fmt.Errorf("reading %s: %w", name, err)
		}
		if err := p.give(next); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) bundleName(first int64) string {
	return tilePath("entries", first/tileWidth, int(min(tileWidth, c.head.Size-first)))
}

// checkPiece checks the entries of one entry bundle.
func (c *checker) checkPiece(p *piece, tiles *tree, views *Views) error {
	name, width := c.bundleName(p.first), p.width
	c.expected[name] = true
	if p.content == nil {
		_, err := c.read(name) // says why
		return errors.Join(err, errNotWhole)
	}
	if err := views.put(&p.rows); err != nil {
		return err
	}
	for i := range p.entries {
		seq := p.first + int64(i)
		if i >= width {
			return c.find(seq, name, "there are more entries than the checkpoint covers")
		}
		if err := c.checkEntry(seq, name, &p.entries[i], tiles, views); err != nil {
			return err
		}
	}
	seq := p.first + int64(len(p.entries))
	switch {
	case p.cut:
		return errors.Join(c.find(seq, name, "%v", errEntryBundle), errNotWhole)
	case len(p.entries) < width:
		return errors.Join(c.find(seq, name, "the file has %s, want %d", reason.Count(len(p.entries), "entry", "entries"), width), errNotWhole)
	}
	return nil
}

func (c *checker) checkEntry(seq int64, name string, e *entry, tiles *tree, views *Views) error {
	if err := tiles.add(e.leaf); err != nil {
		return err
	}
	if err := c.checkStoredRoot(seq, name, tiles); err != nil {
		return err
	}
	for _, h := range c.heads[seq+1] {
		if root := tiles.root(); root != h.Root {
			if err := c.find(seq, name, "the log up to here is not the one of %s: it was rewritten", h.name); err != nil {
				return err
			}
		}
	}
	if e.bad != nil {
		return c.find(seq, name, "%v", e.bad)
	}
	if e.Seq != seq {
		return c.find(seq, name, "the entry says it is entry %d: entries were reordered, or are missing", e.Seq)
	}
	if c.report != nil {
		c.report.Add(&e.Entry)
	}
	views.boards.add(&e.Entry)
	if err := c.checkGenesis(&e.Entry, name); err != nil {
		return err
	}
	if err := c.checkAnnounced(&e.Entry); err != nil {
		return err
	}
	return errors.Join(c.followCertificate(&e.Entry, name), c.followReceipt(&e.Entry, name))
}

// compareTile compares a tile with the one that the entries make.
func (c *checker) compareTile(name string, want []byte) error {
	content, err := c.read(name)
	if err != nil || content == nil {
		return err
	}
	if !bytes.Equal(content, want) {
		return c.find(-1, name, "the tile does not follow from the entries")
	}
	return nil
}

// openViews makes views whose digests are compared with those of the files.
func (c *checker) openViews() (*Views, func() error, error) {
	digests := map[string]hash.Hash{}
	views, err := NewViews(func(name string) (io.Writer, error) {
		digests[name], c.expected[name] = sha256.New(), true
		return digests[name], nil
	})
	if err == nil {
		views.boards.admittedOnly = c.editionOfBundle() < firstWithRefused
	}
	return views, func() error {
		for _, name := range viewNames {
			sum, there := c.sums[name]
			if there && sum != digest(digests[name].Sum(nil)) {
				if err := c.find(-1, name, "the view does not follow from the entries"); err != nil {
					return err
				}
			} else if !there {
				if err := c.find(-1, name, "the file is missing"); err != nil {
					return err
				}
			}
		}
		return nil
	}, err
}
