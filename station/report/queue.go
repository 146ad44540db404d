package report

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync"
	"syscall"
	"time"

	"hallmark/station/reason"
)

// ErrNotRead: a pipe, a terminal or a file takes no text.
var ErrNotRead = reason.New("output-not-read", "nobody reads it")

// QueueLimit is how many octets may wait in a Queue. 8 MiB are about 8,000 JSON lines.
const QueueLimit = 8 << 20

// pieceSize is the size of one write, the greatest that a pipe takes whole (PIPE_BUF). After
// each piece the Queue knows that the reader still reads.
const pieceSize = 4096

// A Queue passes text to a writer that may be slow, may stop reading, or may go away. Write
// never waits: one goroutine writes, and text that finds the Queue full is lost and counted.
// So no Run and no signal waits for a reader. The methods are safe for concurrent use.
type Queue struct {
	name     string // of the writer, for errors
	w        io.Writer
	limit    int           // octets that may wait
	patience time.Duration // how long Flush waits for a reader that takes nothing

	mu      sync.Mutex // covers the following fields
	waiting [][]byte
	size    int  // octets that wait, and those of the write under way
	works   bool // the goroutine runs
	pieces  int  // pieces that were written
	lost    int  // calls of Write whose text was not written
	err     error
	changed chan struct{} // closed and replaced at each change
}

// NewQueue makes a Queue. The error of a Queue begins with name. The Queue has no goroutine
// while no text waits, so a Queue needs no Close.
func NewQueue(name string, w io.Writer, limit int, patience time.Duration) *Queue {
	return &Queue{name: name, w: w, limit: limit, patience: patience, changed: make(chan struct{})}
}

// Write takes a copy of text, and returns at once. The error says that the text is lost: the
// Queue is full, or the writer returned an error earlier. An empty Queue takes text of any size.
func (q *Queue) Write(text []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err != nil || q.size > 0 && q.size+len(text) > q.limit {
		q.lost++
		return 0, q.trouble()
	}
	q.waiting, q.size = append(q.waiting, slices.Clone(text)), q.size+len(text)
	if !q.works {
		q.works = true
		go q.work()
	}
	return len(text), nil
}

// work writes until no text waits. If the writer never returns, work stays in it: the end of
// the process ends both.
func (q *Queue) work() {
	for text, more := q.next(); more; text, more = q.next() {
		for piece := range slices.Chunk(text, pieceSize) {
			_, err := q.w.Write(piece)
			if !q.wrote(len(piece), err) {
				break
			}
		}
	}
}

// next returns the oldest text that waits.
func (q *Queue) next() ([]byte, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		q.works = false
		q.tellChange()
		return nil, false
	}
	text := q.waiting[0]
	q.waiting = q.waiting[1:]
	return text, true
}

// wrote notes a piece, and reports whether the rest of its text may be written.
func (q *Queue) wrote(octets int, err error) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err != nil {
		return false // Flush gave up
	}
	q.size, q.pieces = q.size-octets, q.pieces+1
	if err != nil {
		q.giveUp(err)
	}
	q.tellChange()
	return err == nil
}

// giveUp writes nothing more, because text after a gap would be read as complete. The text of
// the write under way counts as lost, too. The caller holds mu.
func (q *Queue) giveUp(why error) {
	if named := (*fs.PathError)(nil); errors.As(why, &named) {
		why = named.Err // the error of a Queue begins with its name
	}
	q.err, q.lost = why, q.lost+len(q.waiting)+1
	q.waiting, q.size = nil, 0
}

// tellChange wakes Flush. The caller holds mu.
func (q *Queue) tellChange() {
	close(q.changed)
	q.changed = make(chan struct{})
}

// trouble returns why text is lost, or nil. The caller holds mu.
func (q *Queue) trouble() error {
	switch {
	case q.err != nil:
		return fmt.Errorf("writing to %s: %w", q.name, q.err)
	case q.lost > 0:
		return fmt.Errorf("writing to %s: %w", q.name, ErrNotRead)
	}
	return nil
}

// Trouble returns why text was lost, or nil.
func (q *Queue) Trouble() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.trouble()
}

// Flush returns when all text is written, or nothing more can be written: after an error of
// the writer, or when the reader took nothing for as long as the patience of the Queue. The
// error says why text was lost, now or earlier.
func (q *Queue) Flush() error {
	timer := time.NewTimer(q.patience)
	defer timer.Stop()
	for seen := -1; ; {
		q.mu.Lock()
		pieces, changed, err, works := q.pieces, q.changed, q.trouble(), q.works && q.err == nil
		q.mu.Unlock()
		if !works {
			return err
		}
		if pieces != seen {
			timer.Reset(q.patience)
		}
		seen = pieces
		select {
		case <-changed:
		case <-timer.C:
			q.stop()
		}
	}
}

// stop gives up a reader that reads nothing.
func (q *Queue) stop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.works && q.err == nil {
		q.giveUp(ErrNotRead)
	}
}

// Behind reports whether text waits. A display that is drawn again and again leaves out a
// picture while the picture before it waits.
func (q *Queue) Behind() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.size > 0
}

// Lost counts the calls of Write whose text was not written whole.
func (q *Queue) Lost() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lost
}

// Closed reports whether err says that the reader of a pipe has gone. Such a reader, for
// example `head`, wants no more text.
func Closed(err error) bool { return errors.Is(err, syscall.EPIPE) }
