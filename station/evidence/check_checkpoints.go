package evidence

import (
	"bytes"
	"fmt"
	"sort"
	"strconv"

	"hallmark/station/audit"
	"hallmark/station/reason"
)

// A storedList has the heads of checkpoints.txt, the smallest size first.
type storedList struct {
	heads   []audit.Head
	missing int // of the checkpoints that entries told of so far
}

// checkStoredCheckpoints reads all checkpoints that the station signed. The last one is the
// checkpoint of the bundle; the pass over the entries compares the others.
func (c *checker) checkStoredCheckpoints() error {
	text, err := c.read(CheckpointsFile)
	if err != nil || text == nil {
		return err
	}
	notes, stored := audit.SplitNotes(text), &storedList{}
	for n, note := range notes {
		if err := c.checkStored(stored, n+1, note); err != nil {
			return err
		}
	}
	newest, err := c.files.Read(CheckpointFile)
	switch {
	case err != nil:
		return err
	case len(notes) == 0 || !bytes.Equal(notes[len(notes)-1], newest):
		return c.find(-1, CheckpointsFile, "the last checkpoint here is not the one of the file %s: checkpoints were removed, or are out of order", CheckpointFile)
	case !bytes.Equal(bytes.Join(notes, []byte("\n")), text):
		return c.find(-1, CheckpointsFile, "there is more than checkpoints")
	}
	if bytes.Count(text, []byte("\n\u2014 ")) > len(notes) {
		c.skip(CheckpointsFile, "the signatures of others than the log were not checked")
	}
	if len(stored.heads) == len(notes) { // else there is a finding already
		c.stored = stored
	}
	return nil
}

// checkStored takes checkpoint number n of checkpoints.txt.
func (c *checker) checkStored(stored *storedList, n int, note []byte) error {
	h, err := audit.OpenCheckpoint(note, c.key)
	switch last := len(stored.heads) - 1; {
	case err != nil:
	case h.Size > c.head.Size:
		err = fmt.Errorf("it is over %s, the bundle has %d", reason.Count(h.Size, "entry", "entries"), c.head.Size)
	case last >= 0 && h.Size <= stored.heads[last].Size:
		err = fmt.Errorf("it is over %s, the one before over %d", reason.Count(h.Size, "entry", "entries"), stored.heads[last].Size)
	}
	if err != nil {
		return c.find(-1, CheckpointsFile, "checkpoint %d: %v", n, err)
	}
	stored.heads = append(stored.heads, h)
	c.expectHead(h, fmt.Sprintf("checkpoint %d of %s", n, CheckpointsFile))
	return nil
}

// upTo counts the checkpoints of at most this size.
func (l *storedList) upTo(size int64) int {
	return sort.Search(len(l.heads), func(i int) bool { return l.heads[i].Size > size })
}

// checkAnnounced compares an entry that tells of a checkpoint with checkpoints.txt.
func (c *checker) checkAnnounced(e *audit.Entry) error {
	told, tells := e.Checkpoint()
	if !tells || c.stored == nil {
		return nil
	}
	count := c.stored.upTo(told.Size)
	if count == 0 || c.stored.heads[count-1].Size != told.Size {
		c.stored.missing++
		return c.find(e.Seq, CheckpointsFile, "the checkpoint over %s that the entry tells of is missing", reason.Count(told.Size, "entry", "entries"))
	}
	if root := c.stored.heads[count-1].Root.String(); root != told.Root {
		return c.find(e.Seq, CheckpointsFile, "the checkpoint over %s has the root %s, the entry says %s", reason.Count(told.Size, "entry", "entries"), root, told.Root)
	}
	if want, err := strconv.Atoi(told.Notes); err == nil && want != count+c.stored.missing {
		found := count + c.stored.missing
		c.stored.missing = want - count
		return c.find(e.Seq, CheckpointsFile, "%s there over up to %s, the entry says %d", reason.Count(found, "checkpoint is", "checkpoints are"), reason.Count(told.Size, "entry", "entries"), want)
	}
	return nil
}
