package evidence

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// CheckMirror checks the copy of a log that a mirror keeps: checkpoint, tiles and entries (C2SP
// tlog-tiles). A mirror has no certificates and no views, so a mirror shows less than a bundle does.
func CheckMirror(ctx context.Context, files *Files, o Options) (*Verdict, error) {
	c := newChecker(ctx, files, o)
	c.verdict.Report = ReportAbsent
	var err error
	for _, step := range []func() error{c.checkCheckpoint, c.checkAnchors, c.checkMirrored, c.checkMirrorNames} {
		if err = step(); err != nil || c.unsigned {
			break
		}
	}
	if errors.Is(err, errEnough) {
		c.verdict.More, err = true, nil
	}
	return c.verdict, err
}

// checkMirrored reads all entries once, and makes the tiles anew.
func (c *checker) checkMirrored() error {
	tiles := &tree{put: c.compareTile}
	views, err := NewViews(func(string) (io.Writer, error) { return io.Discard, nil })
	if err != nil {
		return err
	}
	err = inOrder(c.ctx, c.givePieces, func(p *piece) error { return c.checkPiece(p, tiles, views) })
	if errors.Is(err, errNotWhole) {
		return nil // what comes behind a bundle that is not whole cannot be judged
	} else if err != nil {
		return err
	}
	root, err := tiles.end()
	if err == nil && c.head.Size > 0 && root != c.head.Root {
		err = c.find(-1, CheckpointFile, "the entries have the root %v, the checkpoint says %v: they are not the entries that it was signed over", root, c.head.Root)
	}
	return err
}

// checkMirrorNames finds files that no mirror has. Tiles of older checkpoints, and entries that
// wait for the next checkpoint, lie beside those of the checkpoint.
func (c *checker) checkMirrorNames() error {
	for _, name := range c.files.Names() {
		if c.expected[name] || strings.HasPrefix(name, "tile/") {
			continue
		}
		if err := c.find(-1, name, "the file does not belong to a mirror"); err != nil {
			return fmt.Errorf("looking for other files: %w", err)
		}
	}
	return nil
}
