package devices

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"hallmark/devices/smp"
)

// Bounds on a handshake: no honest one comes near.
const (
	maxTaken    = 64 << 10 // octets from the verifier
	maxSequence = 512      // exchanges with the board
	recordHead  = 5        // RFC 8446 section 5.1: type, version, length
)

// Handshake has the board do mutual TLS over conn, demanding serverName (1 to
// 64 octets), and returns when the board has read the verifier's answer or
// given up. The octets of both sides pass unchanged. The caller closes conn;
// the board keeps its session until the next one or a reset.
//
// A board that gave up is a *[HandshakeError], which wraps ErrHandshake and what
// is known of the reason. Other errors: ErrServerGone, ErrServerSilent,
// ErrServerTalks, ErrRestarted, a *Refusal, the line's, or the context's cause.
func (c *Client) Handshake(ctx context.Context, conn net.Conn, serverName string) (HandshakeReport, error) {
	release, err := c.acquire(ctx)
	if err != nil {
		return HandshakeReport{}, err
	}
	defer release()
	// A cancelled context wakes a read or write of conn.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	p := &relay{client: c, conn: conn}
	if err := p.run(ctx, serverName); err != nil {
		if ctx.Err() != nil && !errors.Is(err, context.Cause(ctx)) {
			err = fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
		return p.report, fmt.Errorf("handshake: %w", c.explain(ctx, err))
	}
	return p.report, nil
}

// A HandshakeError is a board that gave up a handshake.
type HandshakeError struct {
	Code  int32  // of the board's TLS library
	Flags uint32 // its verify flags, 0 when there are none
}

func (e *HandshakeError) Error() string {
	text := ErrHandshake.Meaning
	for _, err := range e.Unwrap()[1:] {
		text += ": " + err.Error()
	}
	return fmt.Sprintf("%s (TLS library %s, verify flags %#x)", text, codeText(e.Code), e.Flags)
}

func codeText(code int32) string {
	if code < 0 {
		return fmt.Sprintf("-%#04x", -int64(code))
	}
	return fmt.Sprintf("%#04x", code)
}

// Verify flags and errors of Mbed TLS (mbedtls/x509.h, mbedtls/ssl.h).
var (
	flagReasons = []struct {
		bit uint32
		*Reason
	}{
		{0x04, ErrServerName}, {0x08, ErrServerUntrusted}, {0x01, ErrServerExpired}, {0x0200, ErrServerNotYet},
	}
	codeReasons = map[int32]*Reason{
		-0x7780: ErrServerRefuses,  // FATAL_ALERT_MESSAGE
		-0x7200: ErrServerNoTLS,    // INVALID_RECORD
		-0x7300: ErrServerNoTLS,    // DECODE_ERROR
		-0x7700: ErrServerNoTLS,    // UNEXPECTED_MESSAGE
		-0x6e80: ErrServerNoAgreed, // BAD_PROTOCOL_VERSION
		-0x6e00: ErrServerNoAgreed, // HANDSHAKE_FAILURE
		// Of the connection, when the board has one itself (mbedtls/net_sockets.h).
		-0x0044: ErrServerUnreached, // CONNECT_FAILED
		-0x0050: ErrServerGone,      // CONN_RESET
		-0x7280: ErrServerGone,      // SSL_CONN_EOF
	}
)

// noFlags is what Mbed TLS reports when no certificate was looked at.
const noFlags = 0xffffffff

// Unwrap gives ErrHandshake and the reasons that are known.
func (e *HandshakeError) Unwrap() []error {
	errs := []error{ErrHandshake}
	for _, row := range flagReasons {
		if e.Flags&row.bit != 0 && e.Flags != noFlags {
			errs = append(errs, row.Reason)
		}
	}
	if reason, ok := codeReasons[e.Code]; ok {
		errs = append(errs, reason)
	}
	return errs
}

// relay carries the records of one handshake.
type relay struct {
	client   *Client
	conn     net.Conn
	report   HandshakeReport
	sequence uint32 // of the last tls request
	last     smp.TLSResponse
	flight   []byte // octets from the verifier that the board has not got
}

// run goes on until the board has application data.
//
//  1. The board opens a session and says its ClientHello.
//  2. What the board says goes to the verifier; more of it is fetched first.
//  3. A flight of whole records comes from the verifier.
//  4. The board gets it, in pieces that fit its buffer; back to 2.
func (p *relay) run(ctx context.Context, serverName string) error {
	if err := p.client.askBufferSize(ctx); err != nil {
		return err
	}
	if err := p.open(ctx, serverName); err != nil {
		return err
	}
	for {
		if err := p.forwardOutput(ctx); err != nil {
			return err
		}
		if len(p.report.Received) > 0 {
			return nil
		}
		if err := p.readFlight(ctx); err != nil {
			return err
		}
		if err := p.sendFlight(ctx); err != nil {
			return err
		}
	}
}

// open begins anew as long as the request had to be sent twice: a board may
// take each for a session of its own, and only the last one counts.
func (p *relay) open(ctx context.Context, serverName string) error {
	request := &smp.TLS{ServerName: serverName, SendChain: p.client.options.SendChain}
	for range p.client.options.Retries + 1 {
		p.last = smp.TLSResponse{}
		tries, err := p.client.askBy(ctx, p.client.noiseSchedule, request, &p.last)
		if err != nil {
			return fmt.Errorf("opening a session: %w", err)
		}
		if tries == 1 {
			return nil
		}
	}
	return fmt.Errorf("opening a session: %w", ErrNoAnswer)
}

// forwardOutput passes on what the board said, and fetches the rest of it.
func (p *relay) forwardOutput(ctx context.Context) error {
	for {
		if err := p.toVerifier(); err != nil {
			return err
		}
		if !p.last.More {
			return p.verdict()
		}
		if err := p.ask(ctx, nil); err != nil {
			return err
		}
	}
}

func (p *relay) toVerifier() error {
	p.report.Received = append(p.report.Received, p.last.Received...)
	if len(p.last.Output) == 0 {
		return nil
	}
	n, err := p.conn.Write(p.last.Output)
	p.report.Sent += n
	if err != nil && p.last.State != smp.TLSFailed { // a last alert may find nobody
		return fmt.Errorf("%w: %w", ErrServerGone, err)
	}
	return nil
}

// verdict looks at the board's state after an exchange.
func (p *relay) verdict() error {
	switch {
	case p.last.State == smp.TLSFailed:
		return &HandshakeError{Code: p.last.Error, Flags: p.last.Flags}
	case p.last.State == smp.TLSClosed && len(p.report.Received) == 0:
		return &HandshakeError{Code: p.last.Error, Flags: p.last.Flags}
	}
	return nil
}

// ask sends the next tls request.
func (p *relay) ask(ctx context.Context, input []byte) error {
	p.sequence++
	if p.sequence > maxSequence {
		return errSequenceTooLong
	}
	p.last = smp.TLSResponse{}
	err := p.client.ask(ctx, &smp.TLS{Sequence: p.sequence, Input: input}, &p.last)
	if err != nil {
		return fmt.Errorf("exchange %d: %w", p.sequence, err)
	}
	return nil
}

// readFlight reads from the verifier until it has whole records and nothing more
// is there: each exchange with the board costs more than another read.
func (p *relay) readFlight(ctx context.Context) error {
	buffer := make([]byte, 16<<10)
	for {
		if err := p.setDeadline(ctx); err != nil {
			return err
		}
		n, err := p.conn.Read(buffer)
		p.report.Taken += n
		p.flight = append(p.flight, buffer[:n]...)
		switch {
		case p.report.Taken > maxTaken:
			return fmt.Errorf("%w: %d octets", ErrServerTalks, p.report.Taken)
		case wholeRecords(p.flight):
			return nil
		case err == nil:
		case len(p.flight) > 0:
			return nil // half a record before the end: the board shall judge it
		case errors.Is(err, os.ErrDeadlineExceeded):
			return fmt.Errorf("%w for %v", ErrServerSilent, p.client.options.ServerTimeout)
		case errors.Is(err, io.EOF):
			return ErrServerGone
		default:
			return fmt.Errorf("%w: %w", ErrServerGone, err)
		}
	}
}

// setDeadline sets the deadline for one read, and takes it back if ctx ended before.
func (p *relay) setDeadline(ctx context.Context) error {
	if err := p.conn.SetReadDeadline(time.Now().Add(p.client.options.ServerTimeout)); err != nil {
		return fmt.Errorf("%w: %w", ErrServerGone, err)
	}
	if ctx.Err() != nil {
		return fmt.Errorf("waiting for the verifier: %w", context.Cause(ctx))
	}
	return nil
}

// wholeRecords reports that the octets are TLS records and none is cut. What
// is no TLS at all is whole too: the board shall judge it.
func wholeRecords(octets []byte) bool {
	if len(octets) == 0 {
		return false
	}
	for len(octets) > 0 {
		if octets[0] < 20 || octets[0] > 23 {
			return true
		}
		if len(octets) < recordHead {
			return false
		}
		length := recordHead + int(octets[3])<<8 + int(octets[4])
		if length > len(octets) {
			return false
		}
		octets = octets[length:]
	}
	return true
}

// sendFlight gives the flight to the board, and passes on what it says meanwhile.
func (p *relay) sendFlight(ctx context.Context) error {
	room, err := p.client.room(&smp.TLS{Sequence: maxSequence, Input: []byte{0}})
	if err != nil {
		return err
	}
	for len(p.flight) > 0 {
		n := min(room, len(p.flight))
		if err := p.ask(ctx, p.flight[:n]); err != nil {
			return err
		}
		p.flight = p.flight[n:]
		if len(p.flight) > 0 {
			if err := p.forwardOutput(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}
