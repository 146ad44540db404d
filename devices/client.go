package devices

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"hallmark/devices/smp"
)

// A Transport carries octets to a board and back. Read gives at least one octet or
// an error, os.ErrDeadlineExceeded when its deadline is over; after Close every
// call fails and a blocked Read returns. If a Transport also has SetWriteDeadline, it is used.
type Transport interface {
	io.ReadWriteCloser
	SetReadDeadline(time.Time) error
}

// A Client asks one board over one line. It is what the station calls a Board.
// Calls are made one at a time; the counters may be read at any time. From
// [NewClient] to [Client.Close] the client alone reads the line.
//
// A request is sent again only when the line swallowed it or its answer, and
// each request is one that a board may hear twice (PROTOCOL.md section 4). What
// a board refuses is a [*Refusal]; everything else that goes wrong wraps a [*Reason].
type Client struct {
	transport Transport
	options   Options
	turn      chan struct{} // holds one: a call is under way
	gone      chan struct{} // closed when the reader has left
	cause     error         // why it left; after gone
	closed    atomic.Bool

	sequence atomic.Uint32
	frame    []byte // the last request; belongs to the call under way

	mu      sync.Mutex
	pending *pendingRequest // nil: nobody waits, every answer is late

	// As last heard; these belong to the call under way.
	board  BoardID
	boot   *BootID
	stored Slots
	limit  int // octets of a message to the board; 0: this board was not asked yet

	console  console
	sent     atomic.Int64
	received atomic.Int64
	retries  atomic.Int64
	waited   atomic.Int64
	ignored  atomic.Int64
	damages  atomic.Int64
}

// pendingRequest is one request that has no answer yet.
type pendingRequest struct {
	header  smp.Header
	answer  chan []byte   // holds one
	damaged chan struct{} // holds one: a frame was dropped meanwhile
}

// NewClient starts to read the line. The caller calls Close, which also closes the line.
func NewClient(transport Transport, options Options) *Client {
	c := &Client{
		transport: transport,
		options:   options.filled(),
		turn:      make(chan struct{}, 1),
		gone:      make(chan struct{}),
	}
	var first [1]byte
	// Random so that an answer to an earlier station's request is not taken for
	// ours. Without randomness it begins at 0, which costs only that.
	_, _ = io.ReadFull(c.options.Random, first[:])
	c.sequence.Store(uint32(first[0]))
	go c.read()
	return c
}

// Close closes the line and waits until nobody reads it any more.
func (c *Client) Close() error {
	c.closed.Store(true)
	err := c.transport.Close()
	<-c.gone
	if err != nil && !errors.Is(err, os.ErrClosed) {
		return fmt.Errorf("closing the line: %w", err)
	}
	return nil
}

// Detach ends the client and leaves the line open, for another reader. It waits
// until this one has left.
func (c *Client) Detach() error {
	c.closed.Store(true)
	if err := c.transport.SetReadDeadline(time.Unix(1, 0)); err != nil {
		return fmt.Errorf("detaching from the line: %w", err)
	}
	<-c.gone
	if err := c.transport.SetReadDeadline(time.Time{}); err != nil {
		return fmt.Errorf("detaching from the line: %w", err)
	}
	return nil
}

// Wire gives what went over the line so far.
func (c *Client) Wire() WireCount {
	return WireCount{Sent: c.sent.Load(), Received: c.received.Load(), Retries: int(c.retries.Load())}
}

// Console gives the last 64 KiB that stood between frames, newest last. These
// are the board's octets: they may hold anything.
func (c *Client) Console() []byte { return c.console.all() }

// Waited gives the time spent waiting for the board since the line was opened.
func (c *Client) Waited() time.Duration { return time.Duration(c.waited.Load()) }

// Ignored counts answers that nobody waited for: late and duplicate ones.
func (c *Client) Ignored() int { return int(c.ignored.Load()) }

// Damaged counts frames that were dropped.
func (c *Client) Damaged() int { return int(c.damages.Load()) }

// read is the only reader of the line. It ends when the line does.
func (c *Client) read() {
	defer close(c.gone)
	decoder := smp.NewDecoder(smp.MaxMessage, c.receive, c.console.add, c.countDamage)
	buffer := make([]byte, 4096)
	for {
		n, err := c.transport.Read(buffer)
		c.received.Add(int64(n))
		decoder.Write(buffer[:n])
		if errors.Is(err, os.ErrDeadlineExceeded) && !c.closed.Load() {
			err = c.transport.SetReadDeadline(time.Time{}) // somebody else's deadline
		}
		if err != nil {
			c.cause = fmt.Errorf("%w: %w", ErrLineClosed, err)
			return
		}
	}
}

// receive hands an answer to whoever waits for it. The first counts; what is late,
// double or not an answer at all is only counted.
func (c *Client) receive(message []byte) {
	h, _, err := smp.ParseHeader(message)
	c.mu.Lock()
	defer c.mu.Unlock()
	if w := c.pending; w != nil && err == nil && w.answers(h) {
		w.answer <- bytes.Clone(message)
		c.pending = nil
		return
	}
	c.ignored.Add(1)
}

// answers ignores the version: a board may answer version 1 with version 0.
func (w *pendingRequest) answers(h smp.Header) bool {
	h.Version = w.header.Version
	return h == w.header
}

func (c *Client) countDamage(error) {
	c.damages.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pending != nil {
		signal(c.pending.damaged)
	}
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// acquire waits for its turn; the release is the caller's.
func (c *Client) acquire(ctx context.Context) (release func(), err error) {
	select {
	case c.turn <- struct{}{}:
		return func() { <-c.turn }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for another call: %w", context.Cause(ctx))
	}
}
