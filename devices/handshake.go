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
	"hallmark/station/reason"
)

// Limits of a handshake. Every normal handshake stays far below them.
const (
	maxTaken    = 64 << 10 // octets from the verifier
	maxSequence = 512      // requests to the board
	recordHead  = 5        // RFC 8446 section 5.1: type, version, length
)

// Handshake has the board do mutual TLS over conn. The board demands serverName (1 to
// 64 octets) in the verifier's certificate. Handshake carries the octets of both sides
// unchanged, and returns when the board has read the verifier's answer or has given
// up. The caller closes conn. The board keeps its session until the next one or a reset.
//
// When the board gives up, the error is a *[HandshakeError], which wraps ErrHandshake
// and the known reasons. Other errors: ErrServerGone, ErrServerSilent, ErrServerTalks,
// ErrRestarted, a *Refusal, those of the transport, or the context's cause.
func (c *Client) Handshake(ctx context.Context, conn net.Conn, serverName string) (HandshakeReport, error) {
	release, err := c.acquire(ctx)
	if err != nil {
		return HandshakeReport{}, err
	}
	defer release()
	// When ctx ends, reads and writes of conn return.
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

// A HandshakeError says that the board gave up a handshake, and why.
type HandshakeError struct {
	Code  int32  // error of the board's TLS library
	Flags uint32 // its verify flags; 0: none
}

func (e *HandshakeError) Error() string {
	text := ErrHandshake.Error()
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
		*reason.Sentinel
	}{
		{0x04, ErrServerName}, {0x08, ErrServerUntrusted}, {0x01, ErrServerExpired}, {0x0200, ErrServerNotYet},
	}
	codeReasons = map[int32]*reason.Sentinel{
		-0x7780: ErrServerRefuses,  // FATAL_ALERT_MESSAGE
		-0x7200: ErrServerNoTLS,    // INVALID_RECORD
		-0x7300: ErrServerNoTLS,    // DECODE_ERROR
		-0x7700: ErrServerNoTLS,    // UNEXPECTED_MESSAGE
		-0x6e80: ErrServerNoAgreed, // BAD_PROTOCOL_VERSION
		-0x6e00: ErrServerNoAgreed, // HANDSHAKE_FAILURE
		// Errors of the connection, when the board has its own (mbedtls/net_sockets.h).
		-0x0044: ErrServerUnreached, // CONNECT_FAILED
		-0x0050: ErrServerGone,      // CONN_RESET
		-0x7280: ErrServerGone,      // SSL_CONN_EOF
	}
)

// noFlags is what Mbed TLS reports when it verified no certificate.
const noFlags = 0xffffffff

// Unwrap returns ErrHandshake and the known reasons.
func (e *HandshakeError) Unwrap() []error {
	errs := []error{ErrHandshake}
	for _, row := range flagReasons {
		if e.Flags&row.bit != 0 && e.Flags != noFlags {
			errs = append(errs, row.Sentinel)
		}
	}
	if is, known := codeReasons[e.Code]; known {
		errs = append(errs, is)
	}
	return errs
}

// A relay carries the TLS records of one handshake.
type relay struct {
	client   *Client
	conn     net.Conn
	report   HandshakeReport
	taken    int    // octets that came from the verifier
	sequence uint32 // of the last tls request
	last     smp.TLSResponse
	records  []byte        // octets from the verifier that were not sent to the board yet
	buffer   [4 << 10]byte // of one read; longer records take several
}

// run carries records until the board reports application data.
//
//  1. The board opens a session and outputs its ClientHello.
//  2. All output of the board is sent to the verifier.
//  3. Whole records are read from the verifier.
//  4. The records are sent to the board, in pieces that fit its buffer; continue with 2.
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
		if err := p.readRecords(ctx); err != nil {
			return err
		}
		if err := p.sendRecords(ctx); err != nil {
			return err
		}
	}
}

// open starts the session again when the request was sent twice. The board may have
// opened a session for each of them, and only the last session counts.
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

// forwardOutput sends the board's output to the verifier and fetches the rest of it.
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
	_, err := p.conn.Write(p.last.Output)
	if err != nil && p.last.State != smp.TLSFailed { // the verifier may have closed before the board's last alert
		return fmt.Errorf("%w: %w", ErrServerGone, err)
	}
	return nil
}

// verdict checks the board's state after an exchange.
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

// readRecords reads from the verifier until it has whole records and no more. A further
// read costs less than a further exchange with the board.
func (p *relay) readRecords(ctx context.Context) error {
	for {
		if err := p.setDeadline(ctx); err != nil {
			return err
		}
		n, err := p.conn.Read(p.buffer[:])
		p.taken += n
		p.records = append(p.records, p.buffer[:n]...)
		switch {
		case p.taken > maxTaken:
			return fmt.Errorf("%w: %d octets", ErrServerTalks, p.taken)
		case wholeRecords(p.records):
			return nil
		case err == nil:
		case len(p.records) > 0:
			return nil // the connection ended within a record: the board decides what that means
		case errors.Is(err, os.ErrDeadlineExceeded):
			return fmt.Errorf("%w for %v", ErrServerSilent, p.client.options.ServerTimeout)
		case errors.Is(err, io.EOF):
			return ErrServerGone
		default:
			return fmt.Errorf("%w: %w", ErrServerGone, err)
		}
	}
}

// setDeadline sets the deadline of one read. It fails if ctx has ended.
func (p *relay) setDeadline(ctx context.Context) error {
	if err := p.conn.SetReadDeadline(time.Now().Add(p.client.options.ServerTimeout)); err != nil {
		return fmt.Errorf("%w: %w", ErrServerGone, err)
	}
	if ctx.Err() != nil {
		return fmt.Errorf("waiting for the verifier: %w", context.Cause(ctx))
	}
	return nil
}

// wholeRecords is true if the octets are whole TLS records. It is also true for octets
// that are not TLS, so that the board gets them and decides.
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

// sendRecords sends the records to the board, and the board's output to the verifier.
func (p *relay) sendRecords(ctx context.Context) error {
	room, err := p.client.room(&smp.TLS{Sequence: maxSequence, Input: []byte{0}})
	if err != nil {
		return err
	}
	for len(p.records) > 0 {
		n := min(room, len(p.records))
		if err := p.ask(ctx, p.records[:n]); err != nil {
			return err
		}
		p.records = p.records[n:]
		if len(p.records) > 0 {
			if err := p.forwardOutput(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}
