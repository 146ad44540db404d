package devices

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"hallmark/devices/smp"
)

// A schedule returns how long to wait for the answer to a try, counted from 0. false:
// there is no such try.
type schedule func(try int) (time.Duration, bool)

// noiseSchedule repeats a request that noise on the UART destroyed. A board that has not answered yet is asked at
// even intervals, so that a silent board is named soon. A board that has answered gets more and more time, at least
// twice the time of its slowest answer, so that a slow board is not asked everything twice.
func (c *Client) noiseSchedule(try int) (time.Duration, bool) {
	wait := c.options.Answer
	if c.met {
		wait = max(wait, 2*c.slowest) << min(try, maxDoublings)
	}
	if c.started && try == 0 {
		wait = min(wait, afterStart)
	}
	return min(wait, c.options.Timeout), try <= c.options.Retries+c.extraTries()
}

// afterStart is how long a board that has just started gets for its next answer before it is asked again. MCUmgr has few
// buffers: while the answers to the questions of the start leave the board, it drops the next request without a word.
const afterStart = time.Second

// extraTries returns the tries that do not count as repeated: one after a start of the board.
func (c *Client) extraTries() int {
	if c.started {
		return 1
	}
	return 0
}

// ask sends a request and decodes the answer.
func (c *Client) ask(ctx context.Context, request smp.Request, response smp.Body) error {
	_, err := c.askBy(ctx, c.noiseSchedule, request, response)
	return err
}

// askBy is ask with another schedule. It also returns how often the request was sent.
func (c *Client) askBy(ctx context.Context, plan schedule, request smp.Request, response smp.Body) (tries int, err error) {
	w := newPending(request.Command())
	c.setPending(w)
	defer c.setPending(nil)
	answer, tries, err := c.exchange(ctx, plan, request, w)
	if err != nil {
		return tries, err
	}
	_, err = smp.Parse(answer, response)
	return tries, answered(err)
}

func (c *Client) setPending(w *pendingRequest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending = w
}

// exchange sends a request until an answer comes or the schedule ends.
func (c *Client) exchange(ctx context.Context, plan schedule, request smp.Request, w *pendingRequest) (answer []byte, tries int, err error) {
	begun := c.options.Now()
	defer func() { c.waited.Add(int64(c.options.Now().Sub(begun))) }()
	if c.met {
		c.heard.reset() // what the board said before does not explain its silence
	}
	for ; ; tries++ {
		timeout, again := plan(tries)
		if !again {
			return nil, tries, c.finding(tries)
		}
		if err := c.sendTry(ctx, timeout, tries, request, w); err != nil {
			return nil, tries, err
		}
		answer, err := c.answer(ctx, timeout, w)
		switch {
		case answer != nil:
			c.met, c.started, c.slowest = true, false, max(c.slowest, c.options.Now().Sub(w.asked))
			return answer, tries + 1, nil
		case err != nil:
			return nil, tries + 1, c.silent(ctx, err, c.options.Now().Sub(begun), tries+1)
		}
	}
}

// silent adds the finding to the error of a wait that the caller's deadline ended, unless the board had no time to answer.
func (c *Client) silent(ctx context.Context, err error, waited time.Duration, tries int) error {
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) || waited < c.options.Answer {
		return err
	}
	return fmt.Errorf("%w: %w", c.finding(tries), err)
}

// sendTry sends a request, and counts it if it was sent before. Each sending has a sequence number of its own, so an answer says
// which sending it answers. A board that stays silent is also asked in SMP version 1, because MCUboot before version 2 drops
// messages of version 2. An update keeps its number: the board takes it once, and answers again only what is the same with its header.
func (c *Client) sendTry(ctx context.Context, timeout time.Duration, try int, request smp.Request, w *pendingRequest) error {
	if err := c.Settle(ctx); err != nil {
		return err
	}
	if _, update := request.(*smp.Update); !update || try == 0 {
		c.sequence.Add(1)
	}
	sequence := uint8(c.sequence.Load())
	message, err := smp.AppendRequest(nil, sequence, request)
	if err != nil {
		return err
	}
	c.frame = smp.AppendFrame(c.frame[:0], message)
	c.mu.Lock()
	w.sent[sequence] = c.options.Now()
	c.mu.Unlock()
	if err := c.send(ctx, timeout, c.frame); err != nil {
		return err
	}
	if try > c.extraTries() {
		c.retries.Add(1)
	}
	if c.met || try < oldVersionTry {
		return nil
	}
	return c.send(ctx, timeout, smp.AppendFrame(nil, smp.OldEcho()))
}

// oldVersionTry is the first try after which SMP version 1 is tried, too.
const oldVersionTry = 2

// Settle waits until the transport may be written to, if it was just opened and has a method Settling, such as a serial.Stable. Each
// call does so by itself; a caller with a short time for the answer calls Settle before that time begins.
func (c *Client) Settle(ctx context.Context) error {
	port, ok := c.transport.(interface{ Settling() time.Duration })
	if !ok {
		return nil
	}
	rest := port.Settling()
	if rest == 0 {
		return nil
	}
	return pause(ctx, rest)
}

// send writes a frame to the transport.
func (c *Client) send(ctx context.Context, timeout time.Duration, frame []byte) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("asking the board: %w", context.Cause(ctx))
	}
	if c.closed.Load() {
		return fmt.Errorf("%w: %w", ErrLineClosed, errClientClosed)
	}
	if bounded, ok := c.transport.(interface{ SetWriteDeadline(time.Time) error }); ok {
		if err := bounded.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
			return fmt.Errorf("%w: bounding a write: %w", ErrLineClosed, err)
		}
	}
	n, err := c.transport.Write(frame)
	c.sent.Add(int64(n))
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("%w: writing %d octets: %w", ErrLineStuck, len(frame), err)
	case err != nil:
		return fmt.Errorf("%w: writing %d octets: %w", ErrLineClosed, len(frame), err)
	}
	return nil
}

// answer waits for the answer. nil without an error means that the next try is due:
// the time is over, or a frame was damaged and no answer came within Options.Settle. More damage makes the wait longer, but
// not longer than the time.
func (c *Client) answer(ctx context.Context, timeout time.Duration, w *pendingRequest) ([]byte, error) {
	end := time.Now().Add(timeout)
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	for {
		select {
		case answer := <-w.answer:
			return answer, nil
		case <-w.damaged:
			timer.Reset(min(time.Until(end), c.options.Settle))
		case <-timer.C:
			return nil, nil
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for the board: %w", context.Cause(ctx))
		case <-c.gone:
			return c.lastAnswer(w)
		}
	}
}

// lastAnswer returns an answer that came just before the transport ended.
func (c *Client) lastAnswer(w *pendingRequest) ([]byte, error) {
	select {
	case answer := <-w.answer:
		return answer, nil
	default:
		return nil, c.cause
	}
}
