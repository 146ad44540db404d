package evidence

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sort"
	"strconv"

	"hallmark/station/audit"
	"hallmark/station/reason"
)

// A storedList has the heads of checkpoints.txt, the smallest size first: 48 octets for each, of which a log has at most one
// for each entry. The checkpoints themselves are not kept.
type storedList struct {
	heads   []storedHead
	damaged bool // there is a finding about the list, so entries are not compared with it
	passed  int  // heads up to the entry that was checked last
	missing int  // of the checkpoints that entries told of so far
}

type storedHead struct {
	audit.Head
	number int // in checkpoints.txt, from 1
}

// Limits of how checkpoints.txt is read.
const (
	maxNote      = 64 << 10 // octets of one checkpoint: that of the log and more than a hundred signatures
	notesAtOnce  = 256
	octetsAtOnce = 1 << 20
)

// checkStoredCheckpoints reads all checkpoints that the station signed, some at a time. The last one is the
// checkpoint of the bundle; the pass over the entries compares the others.
func (c *checker) checkStoredCheckpoints() (err error) {
	c.expected[CheckpointsFile] = true
	in, err := c.files.Open(CheckpointsFile)
	if errors.Is(err, fs.ErrNotExist) {
		return c.find(-1, CheckpointsFile, "the file is missing")
	} else if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	c.stored = &storedList{}
	notes := newNoteReader(in)
	var last []byte
	number := 0
	for {
		some, err := notes.next()
		if err != nil {
			return err
		}
		if len(some) == 0 {
			break
		}
		if err := c.checkStored(number, some); err != nil {
			return err
		}
		number, last = number+len(some), some[len(some)-1]
	}
	return c.checkListEnd(notes, number, last)
}

// checkListEnd judges checkpoints.txt as a whole. last is its last checkpoint, or nil.
func (c *checker) checkListEnd(notes *noteReader, count int, last []byte) error {
	newest, err := c.files.Read(CheckpointFile)
	wrong := ""
	switch {
	case err != nil:
		return err
	case notes.long:
		wrong = fmt.Sprintf("checkpoint %d has more than %d octets: the rest was not read", count+1, maxNote)
	case count == 0 || !bytes.Equal(last, newest):
		wrong = "the last checkpoint here is not the one of the file " + CheckpointFile + ": checkpoints were removed, or are out of order"
	case notes.more:
		wrong = "there is more than checkpoints"
	}
	if wrong != "" {
		c.stored.damaged = true
		return c.find(-1, CheckpointsFile, "%s", wrong)
	}
	if notes.signatures > count {
		c.skip(CheckpointsFile, "the signatures of others than the log were not checked")
	}
	return nil
}

// checkStored takes the next checkpoints of checkpoints.txt; before is how many came before. Their signatures are verified
// side by side.
func (c *checker) checkStored(before int, notes [][]byte) error {
	heads, errs := make([]audit.Head, len(notes)), make([]error, len(notes))
	err := inParallel(c.ctx, len(notes), func(n int) error {
		heads[n], errs[n] = c.open(notes[n])
		return nil
	})
	if err != nil {
		return err
	}
	for n, h := range heads {
		if errs[n] == nil {
			errs[n] = c.stored.take(h, before+n+1, c.head.Size)
		}
		if errs[n] == nil {
			continue
		}
		c.stored.damaged = true
		if err := c.find(-1, CheckpointsFile, "checkpoint %d: %v", before+n+1, errs[n]); err != nil {
			return err
		}
	}
	return nil
}

// take adds a head. whole is the number of entries of the bundle.
func (l *storedList) take(h audit.Head, number int, whole int64) error {
	if h.Size > whole {
		return fmt.Errorf("it is over %s, the bundle has %d", reason.Count(h.Size, "entry", "entries"), whole)
	}
	if last := len(l.heads) - 1; last >= 0 && h.Size <= l.heads[last].Size {
		return fmt.Errorf("it is over %s, the one before over %d", reason.Count(h.Size, "entry", "entries"), l.heads[last].Size)
	}
	l.heads = append(l.heads, storedHead{h, number})
	return nil
}

// upTo counts the checkpoints of at most this size.
func (l *storedList) upTo(size int64) int {
	return sort.Search(len(l.heads), func(i int) bool { return l.heads[i].Size > size })
}

// checkStoredRoot compares the root behind an entry with that of the stored checkpoint over as many entries, if there is one.
func (c *checker) checkStoredRoot(seq int64, name string, tiles *tree) error {
	l := c.stored
	for l != nil && l.passed < len(l.heads) && l.heads[l.passed].Size <= seq+1 {
		h := l.heads[l.passed]
		l.passed++
		if h.Size < seq+1 || tiles.root() == h.Root {
			continue
		}
		if err := c.find(seq, name, "the log up to here is not the one of checkpoint %d of %s: it was rewritten", h.number, CheckpointsFile); err != nil {
			return err
		}
	}
	return nil
}

// A noteReader gives the signed notes of a stream, between which stands an empty line.
type noteReader struct {
	in         *bufio.Scanner
	more       bool // the stream has more than notes
	long       bool // a note has more than maxNote octets; nothing behind it was read
	signatures int
	split      bool // an empty line stands behind the note before
	begun      bool
}

func newNoteReader(in io.Reader) *noteReader {
	n := &noteReader{in: bufio.NewScanner(in)}
	n.in.Buffer(nil, maxNote)
	n.in.Split(n.splitNote)
	return n
}

// next gives some of the notes that follow, or none at the end.
func (n *noteReader) next() (some [][]byte, err error) {
	for octets := 0; len(some) < notesAtOnce && octets < octetsAtOnce; octets += len(some[len(some)-1]) {
		if !n.in.Scan() {
			n.more = n.more || n.split
			if n.long = errors.Is(n.in.Err(), bufio.ErrTooLong); n.long {
				return some, nil
			}
			return some, n.in.Err()
		}
		some = append(some, bytes.Clone(n.in.Bytes()))
	}
	return some, nil
}

var signatureLine = []byte("\u2014 ")

// splitNote finds the end of a note: a line behind its signatures that is no signature (bufio.SplitFunc).
func (n *noteReader) splitNote(data []byte, atEnd bool) (advance int, token []byte, err error) {
	at, signatures := 0, 0
	for at < len(data) {
		end := bytes.IndexByte(data[at:], '\n') + 1
		if end == 0 {
			break
		}
		if line := data[at : at+end]; bytes.HasPrefix(line, signatureLine) {
			signatures++
		} else if signatures > 0 {
			empty := 0
			if len(line) == 1 {
				empty = 1
			}
			n.ended(empty == 1, signatures)
			return at + empty, data[:at], nil
		}
		at += end
	}
	if !atEnd || len(data) == 0 {
		return 0, nil, nil
	}
	n.ended(false, signatures)
	return len(data), data, nil
}

// ended notes the end of a note. split: an empty line stands behind it.
func (n *noteReader) ended(split bool, signatures int) {
	n.more = n.more || n.begun && !n.split
	n.begun, n.split, n.signatures = true, split, n.signatures+signatures
}

// checkAnnounced compares an entry that tells of a checkpoint with checkpoints.txt.
func (c *checker) checkAnnounced(e *audit.Entry) error {
	told, tells := e.Checkpoint()
	if !tells || c.stored == nil || c.stored.damaged {
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
