package devices

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"hallmark/devices/smp"
)

// How often the board is asked for the state of its handshake. The intervals grow,
// because other requests also use the UART.
const (
	firstStatusPoll = 2 * time.Millisecond
	lastStatusPoll  = 50 * time.Millisecond
	closeTime       = 2 * time.Second // for closing the session when the caller's context has ended
)

// NetworkHandshake has the board dial address over its own network and do mutual TLS
// there. The board demands serverName (1 to 64 octets) in the verifier's certificate.
// NetworkHandshake returns when the board has read the verifier's answer or has given
// up, or when the state does not change for Options.ServerTimeout. The board's
// connection is closed in every case. Only a board with [CanNet] can do this.
//
// When the board gives up, the error is a *[HandshakeError], as for [Client.Handshake].
// Other errors: ErrServerSilent, ErrRestarted, a *Refusal (ErrNoNetwork: the board
// cannot dial now), those of the transport, or the context's cause.
func (c *Client) NetworkHandshake(ctx context.Context, address netip.AddrPort, serverName string) (HandshakeReport, error) {
	release, err := c.acquire(ctx)
	if err != nil {
		return HandshakeReport{}, err
	}
	defer release()
	if c.options.Reach != nil {
		address = c.options.Reach(address)
		defer c.options.Reach(netip.AddrPort{})
	}
	d := &dial{client: c}
	err = d.run(ctx, address, serverName)
	if !unanswered(err) && !errors.Is(err, ErrLineClosed) && !errors.Is(err, ErrLineStuck) { // such a board would cost one more wait
		err = errors.Join(err, d.closeSession(ctx))
	}
	if err != nil {
		return d.report, fmt.Errorf("handshake over the board's network: %w", c.explain(ctx, err))
	}
	return d.report, nil
}

// A dial is one handshake over the board's network.
type dial struct {
	client   *Client
	report   HandshakeReport
	open     bool   // the board may have a session
	sequence uint32 // of the last net request
	last     smp.NetResponse
}

func (d *dial) run(ctx context.Context, address netip.AddrPort, serverName string) error {
	if err := d.start(ctx, address, serverName); err != nil {
		return err
	}
	deadline := d.client.options.Now().Add(d.client.options.ServerTimeout)
	wait := firstStatusPoll
	for {
		before := d.last.State
		if done, err := d.verdict(); done {
			return err
		}
		if !d.client.options.Now().Before(deadline) {
			return fmt.Errorf("%w for %v", ErrServerSilent, d.client.options.ServerTimeout)
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
		wait = min(2*wait, lastStatusPoll)
		if err := d.ask(ctx, &smp.Net{}); err != nil {
			return err
		}
		if d.last.State != before {
			deadline = d.client.options.Now().Add(d.client.options.ServerTimeout)
		}
	}
}

// start starts the session again when the request was sent twice, as relay.open does.
func (d *dial) start(ctx context.Context, address netip.AddrPort, serverName string) error {
	request := &smp.Net{Address: address.Addr().String(), Port: address.Port(), ServerName: serverName, SendChain: d.client.options.SendChain}
	for range d.client.options.Retries + 1 {
		d.last = smp.NetResponse{}
		d.open = true // also when the answer is lost
		tries, err := d.client.askBy(ctx, d.client.noiseSchedule, request, &d.last)
		if err != nil {
			return fmt.Errorf("having the board dial %v: %w", address, err)
		}
		if tries == 1 {
			return nil
		}
	}
	return fmt.Errorf("having the board dial %v: %w", address, ErrNoAnswer)
}

func (d *dial) ask(ctx context.Context, request *smp.Net) error {
	d.sequence++
	request.Sequence = d.sequence
	d.last = smp.NetResponse{}
	if err := d.client.ask(ctx, request, &d.last); err != nil {
		return fmt.Errorf("asking how it stands, %d: %w", d.sequence, err)
	}
	return nil
}

// verdict says whether the board's last answer ends the handshake, and how.
func (d *dial) verdict() (done bool, err error) {
	d.report.Received = append(d.report.Received, d.last.Received...)
	switch {
	case len(d.report.Received) > 0:
		return true, nil
	case d.last.State == smp.TLSFailed, d.last.State == smp.TLSClosed:
		return true, &HandshakeError{Code: d.last.Error, Flags: d.last.Flags}
	}
	return false, nil
}

// closeSession ends the board's connection, so that no key stays in the board's RAM
// and the next session starts fresh.
func (d *dial) closeSession(ctx context.Context) error {
	if !d.open {
		return nil
	}
	if ctx.Err() != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), closeTime)
		defer cancel()
	}
	err := d.ask(ctx, &smp.Net{Close: true})
	if errors.Is(err, ErrTLSState) || errors.Is(err, ErrUnsupported) {
		return nil // the board has no session any more
	}
	return err
}
