package openocd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"hallmark/devices/probe"
)

// A Link is the RTT of one bay. It opens transports for SMP, one at a time, and shares the probe between the
// transport and the calls of a debug port: OpenOCD holds the probe as long as a channel is open.
type Link struct {
	device *device
	rtt    RTT
	turn   chan struct{} // holds one value while somebody uses the probe

	mu        sync.Mutex
	transport *Transport // nil: none is open
}

// Link returns the RTT of the board behind the selected probe. Nothing is started.
func (d *Driver) Link(selected probe.Selection, rtt RTT) *Link {
	return &Link{device: &device{d.cfg, selected}, rtt: rtt, turn: make(chan struct{}, 1)}
}

var errLinkInUse = errors.New("the RTT channel is open already")

// Open returns a transport. No probe is asked before the first Write.
func (l *Link) Open() (*Transport, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.transport != nil {
		return nil, fmt.Errorf("opening RTT of probe %s: %w", l.device.selected.Serial, errLinkInUse)
	}
	life, stop := context.WithCancelCause(context.Background())
	l.transport = &Transport{link: l, life: life, stop: stop, changed: make(chan struct{})}
	return l.transport, nil
}

// take waits until nobody else uses the probe.
func (l *Link) take(ctx context.Context) (release func(), err error) {
	select {
	case l.turn <- struct{}{}:
		return func() { <-l.turn }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for probe %s: %w", l.device.selected.Serial, context.Cause(ctx))
	}
}

// Exclusive closes the channel and does something else with the probe. The next Write opens the channel again.
func (l *Link) Exclusive(ctx context.Context, do func() error) error {
	release, err := l.take(ctx)
	if err != nil {
		return err
	}
	defer release()
	l.mu.Lock()
	transport := l.transport
	l.mu.Unlock()
	if transport != nil {
		if err := transport.set(nil); err != nil {
			return err
		}
	}
	return do()
}

// A Transport carries octets over RTT, as a UART does: what is written while no firmware listens is lost. Its errors
// are those of the probe; a probe that does not answer is one, and a board without control block is none.
type Transport struct {
	link *Link
	life context.Context // until Close
	stop context.CancelCauseFunc

	mu       sync.Mutex // covers the following fields
	channel  *Channel   // nil: OpenOCD does not run
	changed  chan struct{}
	deadline time.Time // of reads
}

// set replaces the channel, and closes the old one. Reads go on with the new one.
func (t *Transport) set(channel *Channel) error {
	t.mu.Lock()
	old := t.channel
	t.channel = channel
	t.signal()
	var err error
	if channel != nil {
		err = channel.SetReadDeadline(t.deadline)
	}
	t.mu.Unlock()
	if old != nil {
		err = errors.Join(err, old.Close())
	}
	return err
}

// signal wakes a Read that waits. The caller holds the lock.
func (t *Transport) signal() {
	close(t.changed)
	t.changed = make(chan struct{})
}

func (t *Transport) now() (channel *Channel, changed <-chan struct{}, deadline time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.channel, t.changed, t.deadline
}

// Write opens the channel if it is not open, and sends octets to the board. The time limit is that of a call of the driver.
func (t *Transport) Write(octets []byte) (int, error) {
	release, err := t.link.take(t.life)
	if err != nil {
		return 0, err
	}
	defer release()
	channel, err := t.open()
	switch {
	case errors.Is(err, ErrNoControlBlock):
		return len(octets), nil // lost: no firmware listens
	case err != nil:
		return 0, err
	}
	return channel.Write(octets)
}

// open returns the open channel. The caller has the probe.
func (t *Transport) open() (*Channel, error) {
	if err := context.Cause(t.life); err != nil {
		return nil, err
	}
	if channel, _, _ := t.now(); channel != nil {
		return channel, nil
	}
	channel, err := t.link.device.openRTT(t.life, t.link.rtt)
	if err != nil {
		return nil, fmt.Errorf("opening the RTT channel %d: %w", t.link.rtt.Channel, err)
	}
	return channel, t.set(channel)
}

// Read returns at least one octet or an error. It waits while the channel is not open.
func (t *Transport) Read(octets []byte) (int, error) {
	for {
		channel, changed, deadline := t.now()
		if channel == nil {
			if err := t.wait(changed, deadline); err != nil {
				return 0, err
			}
			continue
		}
		n, err := channel.Read(octets)
		if current, _, _ := t.now(); n > 0 || current == channel {
			return n, err
		}
	}
}

// wait waits for a change of channel or deadline.
func (t *Transport) wait(changed <-chan struct{}, deadline time.Time) error {
	var over <-chan time.Time
	if !deadline.IsZero() {
		timer := time.NewTimer(time.Until(deadline))
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-changed:
		return nil
	case <-over:
		return os.ErrDeadlineExceeded
	case <-t.life.Done():
		return context.Cause(t.life)
	}
}

// SetReadDeadline is net.Conn's.
func (t *Transport) SetReadDeadline(deadline time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.deadline = deadline
	t.signal()
	if t.channel == nil {
		return nil
	}
	return t.channel.SetReadDeadline(deadline)
}

// Close ends all reads and writes, and frees the probe. A second Close does nothing.
func (t *Transport) Close() error {
	t.stop(os.ErrClosed)
	release, err := t.link.take(context.Background()) // a Write that has the probe ends with life, and a call of the debug port by its own bound
	if err != nil {
		return err
	}
	defer release()
	t.link.mu.Lock()
	if t.link.transport == t {
		t.link.transport = nil
	}
	t.link.mu.Unlock()
	return t.set(nil)
}

// Probe returns a probe whose calls share it with the link's transport.
func (l *Link) Probe(p probe.Probe) probe.Probe { return &shared{l, p} }

type shared struct {
	link  *Link
	probe probe.Probe
}

var _ probe.Probe = (*shared)(nil)

func (s *shared) FlashLimit(image *probe.Image) time.Duration { return s.probe.FlashLimit(image) }

func (s *shared) LockLimit() time.Duration { return s.probe.LockLimit() }

func (s *shared) Info(ctx context.Context) (info probe.Info, err error) {
	err = s.link.Exclusive(ctx, func() (err error) { info, err = s.probe.Info(ctx); return err })
	return info, err
}

func (s *shared) Flash(ctx context.Context, image *probe.Image, progress func(done, total int)) error {
	return s.link.Exclusive(ctx, func() error { return s.probe.Flash(ctx, image, progress) })
}

func (s *shared) Reset(ctx context.Context, after probe.After) error {
	return s.link.Exclusive(ctx, func() error { return s.probe.Reset(ctx, after) })
}

func (s *shared) ReadMemory(ctx context.Context, address uint32, length int) (octets []byte, err error) {
	err = s.link.Exclusive(ctx, func() (err error) { octets, err = s.probe.ReadMemory(ctx, address, length); return err })
	return octets, err
}

func (s *shared) Recover(ctx context.Context) error {
	return s.link.Exclusive(ctx, func() error { return s.probe.Recover(ctx) })
}

func (s *shared) Lock(ctx context.Context) error {
	return s.link.Exclusive(ctx, func() error { return s.probe.Lock(ctx) })
}

func (s *shared) LockState(ctx context.Context) (state probe.LockState, err error) {
	err = s.link.Exclusive(ctx, func() (err error) { state, err = s.probe.LockState(ctx); return err })
	return state, err
}
