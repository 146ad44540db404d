package evidence

import (
	"context"
	"fmt"
	"runtime"

	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sync/errgroup"

	"hallmark/station/audit"
)

// A piece is one entry bundle at work: up to 256 entries that follow each other. Pieces are
// decoded side by side, because decoding and the lines of the views take most of the time of an
// export and of a check, and then used in order.
type piece struct {
	first   int64  // number of the first entry
	width   int    // number of entries that belong here
	content []byte // the entry bundle; nil: there is none
	entries []entry
	cut     bool // the bundle is cut off behind the entries
	rows    rendered
}

// An entry is one decoded entry with what the tree needs of it.
type entry struct {
	audit.Entry
	leaf tlog.Hash
	bad  error // why the entry cannot be decoded
}

// decode decodes the entries. The views have a line for each entry that can be decoded and is in
// its place; the use of a piece ends or judges the others.
func (p *piece) decode() {
	err := splitEntries(p.content, func(body []byte) error {
		p.entries = append(p.entries, entry{leaf: tlog.RecordHash(body)})
		e, seq := &p.entries[len(p.entries)-1], p.first+int64(len(p.entries)-1)
		if e.Entry, e.bad = audit.Decode(body); e.bad == nil && e.Seq == seq && len(p.entries) <= p.width {
			p.rows.add(&e.Entry, body, e.leaf)
		}
		return nil
	})
	p.cut = err != nil
	p.rows.end()
}

// reset makes a piece ready for its next use. The memory stays.
func (p *piece) reset() {
	p.content, p.cut = p.content[:0], false
	clear(p.entries)
	p.entries = p.entries[:0]
	p.rows.reset()
}

// pieces decodes the pieces that a producer gives, several at once, and hands them to their use
// in order. It holds no more pieces than it has workers, and some: a piece is about one MiB.
type pieces struct {
	queue chan chan *piece
	free  chan *piece // used before
	busy  chan struct{}
	group *errgroup.Group
	ctx   context.Context
}

// inOrder has produce make the pieces, with empty and give, and use them one after the other. A
// piece and its content are valid until use returns.
func inOrder(ctx context.Context, produce func(p *pieces) error, use func(*piece) error) error {
	workers := min(runtime.GOMAXPROCS(0), runtime.NumCPU()) // a program may have more processors of Go than there are
	p := &pieces{queue: make(chan chan *piece, workers), free: make(chan *piece, 2*workers+2), busy: make(chan struct{}, workers)}
	p.group, p.ctx = errgroup.WithContext(ctx)
	p.group.Go(func() error {
		defer close(p.queue)
		return produce(p)
	})
	p.group.Go(func() error { return p.drain(use) })
	return p.group.Wait()
}

// empty gives a piece for the producer to fill.
func (p *pieces) empty() *piece {
	select {
	case used := <-p.free:
		used.reset()
		return used
	default:
		return &piece{rows: newRendered()}
	}
}

// give hands a filled piece over.
func (p *pieces) give(filled *piece) error {
	done := make(chan *piece, 1)
	select {
	case p.queue <- done:
	case <-p.ctx.Done():
		return p.ctx.Err()
	}
	p.busy <- struct{}{}
	p.group.Go(func() error {
		defer func() { <-p.busy }()
		filled.decode()
		done <- filled
		return nil
	})
	return nil
}

func (p *pieces) drain(use func(*piece) error) error {
	for done := range p.queue {
		select {
		case next := <-done:
			if err := use(next); err != nil {
				return err
			}
			select {
			case p.free <- next:
			default:
			}
		case <-p.ctx.Done():
			return fmt.Errorf("reading the entries: %w", p.ctx.Err())
		}
	}
	return nil
}
