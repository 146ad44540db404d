package remote

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"hallmark/devices/serial"
	"hallmark/station/reason"
)

// ErrUnreachable: no server takes the connection, or it does not answer in time.
var ErrUnreachable = reason.New("port-unreachable", "the server of the port cannot be reached")

const (
	dialTime   = 3 * time.Second // for the connection
	settleTime = 3 * time.Second // for the server's answers to the settings
	writeTime  = 5 * time.Second // how long the server may take no octet
	// saidLimit is how many of the first octets are kept: a server that ends the connection has said why.
	saidLimit = 256
	// maxEarly bounds the octets of the board that come before the server has confirmed the settings: six seconds of 115200 baud.
	maxEarly    = 64 << 10
	defaultBaud = 115200
)

// Config says which port to open, and how. The format is always 8N1 without flow control. Over tcp:// the server's own
// settings hold, and the other fields have no effect.
type Config struct {
	Address        Address
	Baud           int // 0: 115200
	LowDTR, LowRTS bool
}

func (c *Config) baud() int { return cmp.Or(c.Baud, defaultBaud) }

// A Port is an open remote port. It follows the rules of a [serial.Port]: Read and Write may be called from two goroutines.
type Port struct {
	name string
	conn net.Conn

	telnet  *telnet     // nil: raw octets. Only the reader uses it.
	pending []byte      // decoded, and not read yet
	said    []byte      // the first octets of the connection
	speaks  atomic.Bool // the server speaks Telnet, on a port that was named as a raw one

	writing sync.Mutex
}

// Open connects to the server, and sets the port. Errors wrap ErrUnreachable, ErrUnfit or serial.ErrBusy.
func Open(config Config) (*Port, error) {
	p := &Port{name: config.Address.String()}
	conn, err := net.DialTimeout("tcp", config.Address.dial(), dialTime)
	if err != nil {
		return nil, fmt.Errorf("opening port %q: %w: %w", p.name, ErrUnreachable, err)
	}
	p.conn = conn
	if config.Address.Telnet {
		p.telnet = newTelnet(config)
		err := p.settle()
		if errors.Is(err, serial.ErrUnplugged) { // ser2net does so if the device of its port is not there
			err = fmt.Errorf("%w: it ends the connection before it confirms the settings: look there whether the device of the port is plugged in", ErrUnreachable)
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("opening port %q: %w", p.name, err), conn.Close())
		}
	}
	return p, nil
}

// settle sends the settings, and waits until the server has confirmed them.
func (p *Port) settle() error {
	if err := p.conn.SetReadDeadline(time.Now().Add(settleTime)); err != nil {
		return err
	}
	if err := p.answer(); err != nil {
		return err
	}
	for !p.telnet.settled() {
		more, err := p.receive()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return fmt.Errorf("%w: it does not answer as RFC 2217 says: name the port as tcp:// if it is a raw one", ErrUnreachable)
		}
		if err != nil {
			return err
		}
		if p.pending = append(p.pending, more...); len(p.pending) > maxEarly {
			return fmt.Errorf("%w: it sends %d octets before it confirms the settings", ErrUnfit, len(p.pending))
		}
	}
	return p.conn.SetReadDeadline(time.Time{})
}

// receive reads once from the connection. It returns octets of the board, perhaps none.
func (p *Port) receive() ([]byte, error) {
	buffer := make([]byte, 4096)
	n, err := p.conn.Read(buffer)
	octets := buffer[:n]
	if p.telnet != nil {
		octets = p.telnet.decode(nil, octets)
	}
	p.said = append(p.said, octets[:min(len(octets), saidLimit-len(p.said))]...)
	if p.telnet == nil && begins(p.said) {
		p.speaks.Store(true)
	}
	switch {
	case err == nil && p.telnet != nil && p.telnet.failed != nil:
		err = p.telnet.failed
	case err == nil && p.telnet != nil:
		if err = p.answer(); errors.Is(err, serial.ErrUnplugged) {
			err = nil // the next read finds the server's last words, and the end
		}
	case err != nil && !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, net.ErrClosed):
		err = p.ended(err)
	}
	return octets, err
}

// inUse is what a server says whose port another client has open: one line. A board may say other things that are in use.
var inUse = regexp.MustCompile(`(?i)^.*\b(port|device|line|connection)\b.*\bin use\b.*$`)

// ended says why the connection is over. A server whose port another client has open says so in words, and closes.
func (p *Port) ended(err error) error {
	said := strings.TrimSpace(string(bytes.ToValidUTF8(p.said, nil)))
	if inUse.MatchString(said) {
		return fmt.Errorf("%w: the server says %q", serial.ErrBusy, said)
	}
	if errors.Is(err, io.EOF) {
		err = errors.New("the server closed the connection")
	}
	return fmt.Errorf("%w: %w", serial.ErrUnplugged, err)
}

// answer writes what Telnet has to say.
func (p *Port) answer() error {
	reply := p.telnet.reply
	p.telnet.reply = nil
	if len(reply) == 0 {
		return nil
	}
	return p.send(reply)
}

// Name returns the address of the port.
func (p *Port) Name() string { return p.name }

// Read returns at least one octet or an error: os.ErrDeadlineExceeded, os.ErrClosed after Close, serial.ErrUnplugged when
// the connection is over, or serial.ErrBusy.
func (p *Port) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	for len(p.pending) == 0 {
		octets, err := p.receive()
		p.pending = octets
		if err != nil && len(octets) == 0 {
			return 0, fmt.Errorf("reading port %q: %w", p.name, closed(err))
		}
	}
	n := copy(b, p.pending)
	p.pending = p.pending[n:]
	return n, nil
}

// closed gives the error of a closed connection the name that a closed port has.
func closed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return os.ErrClosed
	}
	return err
}

// SetReadDeadline limits Reads, also a Read that waits already. The zero time means no limit.
func (p *Port) SetReadDeadline(t time.Time) error { return closed(p.conn.SetReadDeadline(t)) }

// Write writes all octets or returns an error: os.ErrClosed after Close, serial.ErrUnplugged, or serial.ErrStuck, which is
// also os.ErrDeadlineExceeded.
func (p *Port) Write(b []byte) (int, error) {
	octets := b
	if p.telnet != nil {
		octets = escape(make([]byte, 0, len(b)), b)
	}
	if err := p.send(octets); err != nil {
		return 0, fmt.Errorf("writing port %q: %w", p.name, err)
	}
	return len(b), nil
}

func (p *Port) send(octets []byte) error {
	p.writing.Lock()
	defer p.writing.Unlock()
	if err := p.conn.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return closed(err)
	}
	_, err := p.conn.Write(octets)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("%w: %w", serial.ErrStuck, err)
	case err != nil && !errors.Is(err, net.ErrClosed):
		return fmt.Errorf("%w: %w", serial.ErrUnplugged, err)
	}
	return closed(err)
}

// InUse returns ErrTelnet if the server speaks Telnet and the port was named as a raw one. Who else uses the port, only its server knows, and
// the server says so when it closes the connection.
func (p *Port) InUse() error {
	if p.speaks.Load() {
		return ErrTelnet
	}
	return nil
}

// Close ends all reads and writes. The second Close is an error that wraps os.ErrClosed.
func (p *Port) Close() error {
	if err := closed(p.conn.Close()); err != nil {
		return fmt.Errorf("closing port %q: %w", p.name, err)
	}
	return nil
}
