package openocd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"hallmark/devices/probe"
)

// RTT says where a board keeps the control block of SEGGER's Real Time Transfer: octets between board and probe
// through rings in the board's RAM.
type RTT struct {
	Address uint32 `yaml:"address"` // OpenOCD searches from here
	Size    uint32 `yaml:"size"`    // so many octets
	Channel int    `yaml:"channel"`
}

const (
	rttPoll     = 2 * time.Millisecond // OpenOCD reads the rings so often
	rttSearch   = 50                   // times that the script looks for the control block of a board that starts
	rttWrite    = 10 * time.Second     // until OpenOCD has taken what is written
	rttLifetime = 30 * 24 * time.Hour  // of one channel
)

// ErrNoControlBlock means that the firmware has made no RTT channel: there is no firmware, or one without RTT.
var ErrNoControlBlock = fmt.Errorf("%w: its memory has no RTT control block", probe.ErrMissingTarget)

// A Channel is an RTT channel of a board. It is a transport for SMP where a board has no UART. OpenOCD runs, and
// holds the probe, until Close: no other call for the same probe is possible meanwhile.
type Channel struct {
	conn net.Conn
	stop context.CancelCauseFunc
	done chan struct{} // closed when OpenOCD has ended
	once sync.Once

	err error // why OpenOCD ended; valid after done
}

// OpenRTT starts OpenOCD and connects to a channel of the selected board. The board must run.
func (d *Driver) OpenRTT(ctx context.Context, selected probe.Selection, rtt RTT) (*Channel, error) {
	channel, err := (&device{d.cfg, selected}).openRTT(ctx, rtt)
	if err != nil {
		return nil, fmt.Errorf("opening the RTT channel %d: %w", rtt.Channel, err)
	}
	return channel, nil
}

func (d *device) openRTT(ctx context.Context, rtt RTT) (*Channel, error) {
	if rtt.Size == 0 || rtt.Channel < 0 || rtt.Channel > 15 {
		return nil, fmt.Errorf("%w: %d octets from %#x on, channel %d", probe.ErrCannot, rtt.Size, rtt.Address, rtt.Channel)
	}
	address, err := freePort()
	if err != nil {
		return nil, err
	}
	life, stop := context.WithCancelCause(context.Background())
	c := &Channel{stop: stop, done: make(chan struct{})}
	ready := make(chan struct{})
	go c.run(life, d, d.rttWork(rtt, address.Port(), c.follow(sync.OnceFunc(func() { close(ready) }))))
	if err := c.connect(ctx, d.cfg.Limit, ready, address); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// freePort returns an address on which nobody listens at this moment. OpenOCD cannot choose a port itself.
func freePort() (netip.AddrPort, error) {
	listener, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("looking for a port for OpenOCD: %w", err)
	}
	return listener.Addr().(*net.TCPAddr).AddrPort(), listener.Close()
}

// rttWork is the script that serves the channel until OpenOCD is ended.
func (d *device) rttWork(rtt RTT, port uint16, line func(string)) *work {
	return &work{limit: rttLifetime, held: true, line: line, script: []string{
		fmt.Sprintf(`rtt setup %#x %d "SEGGER RTT"`, rtt.Address, rtt.Size),
		fmt.Sprintf("rtt polling_interval %d", rttPoll.Milliseconds()),
		fmt.Sprintf("hallmark_rtt %d", rttSearch),
		fmt.Sprintf("rtt server start %d %d", port, rtt.Channel),
		"hallmark_say ready",
	}}
}

// follow reads what OpenOCD says. OpenOCD runs on without its probe, so a loss ends it here.
func (c *Channel) follow(ready func()) func(string) {
	return func(line string) {
		switch {
		case line == reportPrefix+"ready":
			ready()
		case lostProbe().MatchString(line):
			c.stop(fmt.Errorf("%w: %s", probe.ErrLost, line))
		}
	}
}

// run runs OpenOCD until stop. An end before that is the loss of the probe.
func (c *Channel) run(ctx context.Context, d *device, w *work) {
	defer close(c.done)
	_, err := d.do(ctx, w)
	if err == nil {
		err = fmt.Errorf("%w: OpenOCD ended", probe.ErrLost)
	}
	c.err = err
}

// connect waits until OpenOCD serves the channel.
func (c *Channel) connect(ctx context.Context, limit time.Duration, ready <-chan struct{}, address netip.AddrPort) (err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("%w: no channel after %v", probe.ErrSilent, limit))
	defer cancel()
	select {
	case <-ready:
	case <-c.done:
		return c.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	var dialer net.Dialer
	if c.conn, err = dialer.DialContext(ctx, "tcp4", address.String()); err != nil {
		return fmt.Errorf("connecting to OpenOCD's channel: %w: %w", probe.ErrLost, err)
	}
	return nil
}

// Read reads octets of the board. When OpenOCD has ended, the error says why.
func (c *Channel) Read(octets []byte) (int, error) {
	n, err := c.conn.Read(octets)
	return n, c.explain(err)
}

// Write sends octets to the board.
func (c *Channel) Write(octets []byte) (int, error) {
	if err := c.conn.SetWriteDeadline(time.Now().Add(rttWrite)); err != nil {
		return 0, c.explain(err)
	}
	n, err := c.conn.Write(octets)
	return n, c.explain(err)
}

// explain returns why OpenOCD ended, for an error of a connection that OpenOCD closed. It waits for the end.
func (c *Channel) explain(err error) error {
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed) {
		return err
	}
	c.stop(fmt.Errorf("%w: %w", probe.ErrLost, err))
	<-c.done
	return c.err
}

// SetReadDeadline is net.Conn's.
func (c *Channel) SetReadDeadline(t time.Time) error { return c.conn.SetReadDeadline(t) }

// Close ends OpenOCD and waits for its end. A second Close does nothing.
func (c *Channel) Close() (err error) {
	c.once.Do(func() {
		if c.conn != nil {
			err = c.conn.Close()
		}
		c.stop(nil)
		<-c.done
	})
	return err
}
