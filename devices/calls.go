package devices

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"hallmark/devices/smp"
)

// Identify asks who the board is (hello). Errors: ErrProtocolVersion,
// ErrMalformedAnswer, a *Refusal, or those of the transport. Identify does not judge
// the identity ABI and the source of the HUK; the caller does.
func (c *Client) Identify(ctx context.Context) (Identity, error) {
	release, err := c.acquire(ctx)
	if err != nil {
		return Identity{}, err
	}
	defer release()
	hello, err := c.hello(ctx)
	if err != nil {
		return Identity{}, fmt.Errorf("asking who the board is: %w", otherServer(err))
	}
	id, err := identityOf(hello)
	if err != nil {
		return Identity{}, fmt.Errorf("asking who the board is: %w", err)
	}
	c.noteBoot(id.ID, id.Boot)
	c.version = hello.Version
	if err := c.setBufferSize(hello.BufferSize); err != nil {
		return Identity{}, fmt.Errorf("asking who the board is: %w", err)
	}
	return id, nil
}

// hello asks with the station's newest version first. Firmware of version 1 does not know that key and refuses it as
// bad-map; then the station asks as version 1 does, and so from then on.
func (c *Client) hello(ctx context.Context) (*smp.HelloResponse, error) {
	response := new(smp.HelloResponse)
	if c.version != OldestProtocol {
		err := c.ask(ctx, &smp.Hello{Version: NewestProtocol}, response)
		if !errors.Is(err, ErrBadMap) {
			return response, err
		}
	}
	*response = smp.HelloResponse{}
	return response, c.ask(ctx, &smp.Hello{}, response)
}

// identityOf checks the fields that the codec cannot check: version, BoardID, printable texts.
func identityOf(h *smp.HelloResponse) (Identity, error) {
	if h.Version < OldestProtocol || h.Version > NewestProtocol {
		return Identity{}, fmt.Errorf("%w: board says %d, station speaks %d to %d", ErrProtocolVersion, h.Version, OldestProtocol, NewestProtocol)
	}
	id, err := boardIDOf(h.ID)
	if err != nil {
		return Identity{}, err
	}
	for _, text := range []string{h.BoardType, h.Firmware, h.Algorithm} {
		if !printable(text) {
			return Identity{}, fmt.Errorf("%w: %s is not printable ASCII", ErrMalformedAnswer, quote(text))
		}
	}
	if !Purposes(h.Purposes).Has(PurposeTLS) {
		return Identity{}, fmt.Errorf("%w: purposes %#b lack the TLS client, which every board has", ErrMalformedAnswer, h.Purposes)
	}
	var caller int32
	if h.Caller != nil {
		caller = *h.Caller
	}
	return Identity{
		ID:           id,
		HardwareID:   HardwareID(h.HardwareID),
		BoardType:    h.BoardType,
		Firmware:     h.Firmware,
		FirmwareHash: [32]byte(h.FirmwareHash),
		HUK:          HUKSource(h.HUK),
		Caller:       caller,
		Sealed:       h.LifeCycle == 1,
		Damaged:      h.LifeCycle == 2,
		Protocol:     uint(h.Version),
		Stored:       Slots(h.Stored),
		ABI:          uint(h.ABI),
		Can:          Capabilities(h.Capabilities),
		Purposes:     Purposes(h.Purposes),
		Algorithm:    cmp.Or(h.Algorithm, AlgorithmP256),
		Boot:         BootID(h.Boot),
	}, nil
}

// boardIDOf accepts only a UUID of PROTOCOL.md section 5: version 4, variant of RFC 9562.
func boardIDOf(octets []byte) (BoardID, error) {
	id := BoardID(octets)
	if id[6]>>4 != 4 || id[8]>>6 != 2 {
		return BoardID{}, fmt.Errorf("%w: %v is not a version 4 UUID", ErrMalformedAnswer, id)
	}
	return id, nil
}

func printable(text string) bool {
	for i := range len(text) {
		if text[i] < 0x20 || text[i] > 0x7e {
			return false
		}
	}
	return true
}

// noteBoot stores which board answers, and which start of its firmware. Another board
// may have another buffer size.
func (c *Client) noteBoot(id BoardID, boot BootID) {
	if c.boot == nil || c.board != id {
		c.limit, c.version = 0, 0
	}
	c.board, c.boot = id, &boot
}

// CSR asks for a PKCS#10 request with the purpose's key and the nonce. The result is 1
// to 768 octets of DER. A board without such a key refuses with ErrBadMap.
func (c *Client) CSR(ctx context.Context, purpose Purpose, nonce [NonceSize]byte, subject Subject) ([]byte, error) {
	if purpose.Number() < 0 {
		return nil, fmt.Errorf("asking for a CSR: %w", &NotPurposeError{Text: string(purpose)})
	}
	release, err := c.acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	var response smp.CSRResponse
	request := &smp.CSR{
		Nonce: nonce[:], Organization: subject.Organization, OrganizationalUnit: subject.OrganizationalUnit, Purpose: uint32(purpose.Number()),
	}
	if err := c.ask(ctx, request, &response); err != nil {
		return nil, fmt.Errorf("asking for a CSR: %w", err)
	}
	return response.DER, nil
}

// Seal locks the board's store: afterwards the board accepts no write.
func (c *Client) Seal(ctx context.Context) error {
	release, err := c.acquire(ctx)
	if err != nil {
		return err
	}
	defer release()
	if err := c.ask(ctx, &smp.Seal{}, &smp.Empty{}); err != nil {
		return fmt.Errorf("sealing: %w", err)
	}
	return nil
}

// Echo has the board repeat a text of at most 200 octets. This tests the UART in both directions.
func (c *Client) Echo(ctx context.Context, text string) error {
	release, err := c.acquire(ctx)
	if err != nil {
		return err
	}
	defer release()
	var response smp.EchoResponse
	if err := c.ask(ctx, &smp.Echo{Text: text}, &response); err != nil {
		return fmt.Errorf("asking for an echo: %w", err)
	}
	if response.Text != text {
		return fmt.Errorf("asking for an echo: %w: %s is not %s", ErrMalformedAnswer, quote(response.Text), quote(text))
	}
	return nil
}

// Reset restarts the board and returns when the board answers with a new boot id.
// Errors: ErrNotRestarted, ErrNoAnswer after Options.ResetTimeout, or those of the transport.
func (c *Client) Reset(ctx context.Context) (BoardID, BootID, error) {
	release, err := c.acquire(ctx)
	if err != nil {
		return BoardID{}, BootID{}, err
	}
	defer release()
	ctx, cancel := context.WithTimeoutCause(ctx, c.options.ResetTimeout, fmt.Errorf("%w within %v", ErrNotRestarted, c.options.ResetTimeout))
	defer cancel()
	c.ExpectRestart(portReturns)
	defer c.ExpectRestart(0)
	id, boot, err := c.reset(ctx)
	if err != nil {
		return BoardID{}, BootID{}, fmt.Errorf("resetting: %w", err)
	}
	return id, boot, nil
}

// Times of a reset. A board that is starting may lose a request, so the station asks
// again at growing intervals. The first interval is long enough that a slow start
// costs few octets on the UART.
const (
	firstPoll     = 400 * time.Millisecond
	lastPoll      = 2 * time.Second
	sameBootPause = 20 * time.Millisecond // pause before the next question when the old firmware answered
	pollsPerReset = 25                    // answers of the old firmware before the station asks again for a reset
	maxDoublings  = 3
	portReturns   = 10 * time.Second // how long the port of a restarting board may be gone
)

// ExpectRestart says that the board is told to restart. A transport whose port disappears with the board, and has a
// method ExpectRestart, waits this long for the port. Zero says that the restart is over.
func (c *Client) ExpectRestart(within time.Duration) {
	if restarts, ok := c.transport.(interface{ ExpectRestart(time.Duration) }); ok {
		restarts.ExpectRestart(within)
	}
}

// pollSchedule is the schedule after a reset. It has no last try; the context ends it.
func pollSchedule(try int) (time.Duration, bool) {
	return min(firstPoll<<min(try, maxDoublings), lastPoll), true
}

func (c *Client) reset(ctx context.Context) (BoardID, BootID, error) {
	if c.boot == nil {
		if _, err := c.briefHello(ctx, c.noiseSchedule); err != nil {
			return BoardID{}, BootID{}, err
		}
	}
	before := *c.boot
	retries, slowest := c.retries.Load(), c.slowest
	defer func() { c.retries.Store(retries); c.slowest = slowest }() // what happens while the board starts is no sign of noise or of a slow board
	for asked := 0; ; asked++ {
		if asked%pollsPerReset == 0 {
			if err := c.restart(ctx); err != nil {
				return BoardID{}, BootID{}, err
			}
		}
		id, err := c.briefHello(ctx, pollSchedule)
		if err != nil {
			return BoardID{}, BootID{}, err
		}
		if *c.boot != before {
			c.started = true
			return id, *c.boot, nil
		}
		if err := pause(ctx, sameBootPause); err != nil {
			return BoardID{}, BootID{}, err
		}
	}
}

// restart sends the OS reset once, because a second request could reset the new
// firmware. A missing answer is no error, whatever is heard instead: the board may have reset before it answered, and then
// prints its banner, sends octets of the reset, or cuts the answer off.
func (c *Client) restart(ctx context.Context) error {
	short := func(try int) (time.Duration, bool) { return min(c.options.Timeout, lastPoll), try == 0 }
	_, err := c.askBy(ctx, short, &smp.OSReset{}, &smp.Empty{})
	if unanswered(err) || errors.Is(err, ErrMalformedAnswer) {
		return nil
	}
	return err
}

// briefHello asks for BoardID, boot id and the slots that are not empty.
func (c *Client) briefHello(ctx context.Context, plan schedule) (BoardID, error) {
	var response smp.BriefResponse
	if _, err := c.askBy(ctx, plan, &smp.Hello{Brief: true}, &response); err != nil {
		return BoardID{}, err
	}
	id, err := boardIDOf(response.ID)
	if err != nil {
		return BoardID{}, err
	}
	c.noteBoot(id, BootID(response.Boot))
	return id, nil
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for the board: %w", context.Cause(ctx))
	}
}

// explain adds ErrRestarted to a refusal that a board also gives after a restart, if the
// board's boot id shows that it restarted.
func (c *Client) explain(ctx context.Context, err error) error {
	if !errors.Is(err, ErrTLSState) && !errors.Is(err, ErrOutOfOrder) || c.boot == nil {
		return err
	}
	before := *c.boot
	if _, silent := c.briefHello(ctx, c.noiseSchedule); silent != nil || *c.boot == before {
		return err
	}
	return fmt.Errorf("%w: %w", ErrRestarted, err)
}
