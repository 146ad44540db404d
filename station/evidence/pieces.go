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
// decoded side by side, because strict decoding takes most of the time of an export and of a
// check, and then used in order.
type piece struct {
	first   int64  // number of the first entry
	content []byte // the entry bundle
	entries []entry
	cut     bool // the bundle is cut off behind the entries
}

// An entry is one decoded entry with what the views and the tree need of it.
type entry struct {
	audit.Entry
	body []byte
	leaf tlog.Hash
	bad  error // why the entry cannot be decoded; the views have no line for such an entry
	rows rendered
}

func (p *piece) decode() {
	err := splitEntries(p.content, func(body []byte) error {
		e := entry{body: body, leaf: tlog.RecordHash(body)}
		if e.Entry, e.bad = audit.Decode(body); e.bad == nil {
			e.rows = render(&e.Entry, body, e.leaf)
		}
		p.entries = append(p.entries, e)
		return nil
	})
	p.cut = err != nil
}

// inOrder decodes the pieces that produce gives, several at once, and hands them to use in
// their order. It holds no more pieces than it has workers, and some.
func inOrder(ctx context.Context, produce func(give func(*piece) error) error, use func(*piece) error) error {
	workers := runtime.GOMAXPROCS(0)
	queue := make(chan chan *piece, 2*workers)
	group, ctx := errgroup.WithContext(ctx)
	busy := make(chan struct{}, workers)
	group.Go(func() error {
		defer close(queue)
		return produce(func(p *piece) error {
			done := make(chan *piece, 1)
			select {
			case queue <- done:
			case <-ctx.Done():
				return ctx.Err()
			}
			busy <- struct{}{}
			group.Go(func() error {
				defer func() { <-busy }()
				p.decode()
				done <- p
				return nil
			})
			return nil
		})
	})
	group.Go(func() error {
		for done := range queue {
			select {
			case p := <-done:
				if err := use(p); err != nil {
					return err
				}
			case <-ctx.Done():
				return fmt.Errorf("reading the entries: %w", ctx.Err())
			}
		}
		return nil
	})
	return group.Wait()
}
