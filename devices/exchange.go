package devices

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"hallmark/devices/smp"
	"hallmark/station/reason"
)

// A schedule returns how long to wait for the answer to a try, counted from 0. false:
// there is no such try.
type schedule func(try int) (time.Duration, bool)

// noiseSchedule repeats a request that noise on the UART destroyed.
func (c *Client) noiseSchedule(try int) (time.Duration, bool) {
	return c.options.Timeout, try <= c.options.Retries
}

// ask sends a request and decodes the answer.
func (c *Client) ask(ctx context.Context, request smp.Request, response smp.Body) error {
	_, err := c.askBy(ctx, c.noiseSchedule, request, response)
	return err
}

// askBy is ask with another schedule. It also returns how often the request was sent.
func (c *Client) askBy(ctx context.Context, plan schedule, request smp.Request, response smp.Body) (tries int, err error) {
	sequence := uint8(c.sequence.Add(1))
	message, err := smp.AppendRequest(nil, sequence, request)
	if err != nil {
		return 0, err
	}
	command := request.Command()
	w := &pendingRequest{
		header:  smp.Header{Op: command.Op.Response(), Version: smp.Version, Group: command.Group, Sequence: sequence, Command: command.ID},
		answer:  make(chan []byte, 1),
		damaged: make(chan struct{}, 1),
	}
	c.setPending(w)
	defer c.setPending(nil)
	c.frame = smp.AppendFrame(c.frame[:0], message)
	answer, tries, err := c.exchange(ctx, plan, w)
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

// exchange sends c.frame until an answer comes or the schedule ends.
func (c *Client) exchange(ctx context.Context, plan schedule, w *pendingRequest) (answer []byte, tries int, err error) {
	begun := c.options.Now()
	defer func() { c.waited.Add(int64(c.options.Now().Sub(begun))) }()
	damages := c.damages.Load()
	for ; ; tries++ {
		timeout, again := plan(tries)
		if !again {
			return nil, tries, fmt.Errorf("%w (asked %s, %s damaged)", ErrNoAnswer,
				reason.Count(tries, "time", "times"), reason.Count(c.damages.Load()-damages, "frame", "frames"))
		}
		if err := c.send(ctx, timeout); err != nil {
			return nil, tries, err
		}
		if tries > 0 {
			c.retries.Add(1)
		}
		answer, err := c.answer(ctx, timeout, w)
		if answer != nil || err != nil {
			return answer, tries + 1, err
		}
	}
}

// send writes c.frame to the transport.
func (c *Client) send(ctx context.Context, timeout time.Duration) error {
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
	n, err := c.transport.Write(c.frame)
	c.sent.Add(int64(n))
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("%w: writing %d octets: %w", ErrLineStuck, len(c.frame), err)
	case err != nil:
		return fmt.Errorf("%w: writing %d octets: %w", ErrLineClosed, len(c.frame), err)
	}
	return nil
}

// answer waits for the answer. nil without an error means that the next try is due:
// the time is over, or a frame was damaged and no answer came within Options.Settle.
func (c *Client) answer(ctx context.Context, timeout time.Duration, w *pendingRequest) ([]byte, error) {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	for {
		select {
		case answer := <-w.answer:
			return answer, nil
		case <-w.damaged:
			timer.Reset(min(timeout, c.options.Settle))
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
