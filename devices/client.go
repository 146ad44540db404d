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

// A Transport carries octets to a board and back, normally a UART. Read returns at
// least one octet or an error, which is os.ErrDeadlineExceeded after the deadline.
// After Close every call fails, and a blocked Read returns. If a Transport also has
// SetWriteDeadline, the Client uses it.
type Transport interface {
	io.ReadWriteCloser
	SetReadDeadline(time.Time) error
}

// A Client asks one board over one transport. It implements station.Board. Calls are
// made one at a time; the counters may be read at any time. From [NewClient] to
// [Client.Close] only the client reads the transport.
//
// The client sends a request again only when the request or its answer was lost.
// Every request may reach the board twice without harm (PROTOCOL.md section 4). A
// refusal of the board is a [*Refusal]; every other error wraps a [*reason.Sentinel].
type Client struct {
	transport Transport
	options   Options
	turn      chan struct{} // holds one value while a call is under way
	gone      chan struct{} // closed when the reader has ended
	cause     error         // why the reader ended; may be read after gone is closed
	closed    atomic.Bool

	sequence atomic.Uint32
	frame    []byte // the last request; only the call under way uses it

	mu      sync.Mutex
	pending *pendingRequest // nil: no call waits, so an answer is late

	// Last known state of the board; only the call under way uses it.
	board   BoardID
	boot    *BootID
	version uint32 // of the protocol, with this board; 0: not known yet
	limit   int    // largest message to the board in octets; 0: not known yet

	met     bool          // the board has answered this client
	started bool          // the board has started a moment ago: its server may still drop a request
	slowest time.Duration // the longest time from a sending of a request to its answer

	console  console
	heard    heard
	sent     atomic.Int64
	received atomic.Int64
	retries  atomic.Int64
	waited   atomic.Int64
	ignored  atomic.Int64
	damages  atomic.Int64
}

// A pendingRequest is a request that has no answer yet.
type pendingRequest struct {
	header  smp.Header          // of the answer, without its sequence number
	sent    map[uint8]time.Time // when the request was sent, by sequence number; covered by Client.mu
	asked   time.Time           // when the sending that was answered was sent; may be read after answer has given the answer
	answer  chan []byte         // has room for one answer
	damaged chan struct{}       // has room for one value: a frame was dropped since the request was sent
}

func newPending(command smp.Command) *pendingRequest {
	return &pendingRequest{
		header:  smp.Header{Op: command.Op.Response(), Version: smp.Version, Group: command.Group, Command: command.ID},
		sent:    map[uint8]time.Time{},
		answer:  make(chan []byte, 1),
		damaged: make(chan struct{}, 1),
	}
}

// NewClient starts to read the transport. The caller calls Close, which also closes the transport.
func NewClient(transport Transport, options Options) *Client {
	c := &Client{
		transport: transport,
		options:   options.filled(),
		turn:      make(chan struct{}, 1),
		gone:      make(chan struct{}),
	}
	var first [1]byte
	// The first number is random, so that an answer to an earlier station's request
	// is not taken for an answer to ours. When Random fails, the first number is 0.
	_, _ = io.ReadFull(c.options.Random, first[:])
	c.sequence.Store(uint32(first[0]))
	go c.read()
	return c
}

// Close closes the transport and waits until the reader has ended.
func (c *Client) Close() error {
	c.closed.Store(true)
	err := c.transport.Close()
	<-c.gone
	if err != nil && !errors.Is(err, os.ErrClosed) {
		return fmt.Errorf("closing the line: %w", err)
	}
	return nil
}

// Detach ends the client and leaves the transport open for another reader. It waits
// until this client's reader has ended.
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

// Wire returns the traffic so far.
func (c *Client) Wire() WireCount {
	return WireCount{Sent: c.sent.Load(), Received: c.received.Load(), Retries: int(c.retries.Load())}
}

// Console returns the last 64 KiB of the text between frames, newest last. The octets
// come from the board and may have any value.
func (c *Client) Console() []byte { return c.console.all() }

// Waited returns the time that calls spent waiting for the board.
func (c *Client) Waited() time.Duration { return time.Duration(c.waited.Load()) }

// Ignored returns the number of answers that no call waited for: late and duplicate ones.
func (c *Client) Ignored() int { return int(c.ignored.Load()) }

// read is the only reader of the transport. It ends when Read fails.
func (c *Client) read() {
	defer close(c.gone)
	decoder := smp.NewDecoder(smp.MaxMessage, c.receive, c.print, c.countDamage)
	buffer := make([]byte, 4096)
	for {
		n, err := c.transport.Read(buffer)
		c.received.Add(int64(n))
		c.heard.addOctets(buffer[:n])
		decoder.Write(buffer[:n])
		if errors.Is(err, os.ErrDeadlineExceeded) && !c.closed.Load() {
			err = c.transport.SetReadDeadline(time.Time{}) // this deadline was set by another reader, before NewClient
		}
		if err != nil {
			c.cause = fmt.Errorf("%w: %w", ErrLineClosed, err)
			return
		}
	}
}

// receive gives the first answer to the call that waits for it. It only counts late
// and duplicate answers, and messages that are no answer.
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
	if err == nil {
		c.heard.addMessage(h)
	}
}

// print keeps text between frames.
func (c *Client) print(text []byte) {
	c.console.add(text)
	c.heard.addText(text)
}

// answers reports whether a message answers one of the sendings, and keeps when this one was sent. It ignores the version, because
// a board may answer version 1 with version 0.
func (w *pendingRequest) answers(h smp.Header) bool {
	asked, sent := w.sent[h.Sequence]
	w.asked, h.Version, h.Sequence = asked, w.header.Version, 0
	return sent && h == w.header
}

func (c *Client) countDamage(why error) {
	c.damages.Add(1)
	c.heard.addDamage(why)
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

// acquire waits until no other call is under way. The caller calls release.
func (c *Client) acquire(ctx context.Context) (release func(), err error) {
	select {
	case c.turn <- struct{}{}:
		return func() { <-c.turn }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for another call: %w", context.Cause(ctx))
	}
}
