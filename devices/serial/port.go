package serial

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.bug.st/serial"

	"hallmark/station/reason"
)

// Errors of this package. Each error also names the port.
var (
	ErrBusy       = reason.New("port-in-use", "port is in use")
	ErrDenied     = reason.New("port-denied", "permission denied")
	ErrNotSerial  = reason.New("not-a-port", "not a serial port")
	ErrConfig     = errors.New("port configuration")
	ErrUnplugged  = errors.New("port was unplugged")
	ErrStuck      = errors.New("port takes no octets: look at flow control and at the adapter; it is closed for writing")
	ErrDescriptor = errors.New("descriptor number past 1023: start the station with LimitNOFILE=1024 or fewer open files")
)

const (
	// pollTime is how often the reader checks for Close. The library cannot wake a read.
	pollTime = 50 * time.Millisecond
	// writeChunk is the most that is written to the port after Close was called, in octets.
	writeChunk   = 256
	writeTimeout = 5 * time.Second // how long a port may take no octet
	defaultBaud  = 115200
	// fullPause is the pause before the next write when the port takes no octet.
	fullPause = 2 * time.Millisecond
)

// Config says which port to open, and how. The format is always 8N1.
type Config struct {
	Name    string // path of the tty or of a symlink to it, such as /dev/serial/by-path/…
	Baud    int    // 0: 115200
	LockDir string // of the lock files of other programs; "": /run/lock
	// LowDTR and LowRTS let go of a modem line right after the open. The kernel raises both lines at each open, so
	// a line that is low has a short pulse. A pseudo-terminal has no such lines.
	LowDTR, LowRTS bool
}

// A Port is one open UART. Read and Write may be called from two goroutines.
type Port struct {
	name         string
	lockDir      string
	library      serial.Port
	lock         *os.File
	writeTimeout time.Duration

	near, far net.Conn // the pipe between Read and the reader
	reader    chan struct{}
	gone      atomic.Pointer[error] // set when the reader ended without Close: the reason
	robbed    atomic.Bool           // another program took octets that were there

	writing sync.Mutex // one Write at a time
	stuck   bool       // guarded by writing

	closing chan struct{}
	once    sync.Once
}

// Open opens and locks a port. Errors: fs.ErrNotExist, a DeniedError, an InUseError,
// ErrNotSerial, ErrConfig, ErrDescriptor, or those of the system.
func Open(config Config) (*Port, error) {
	port, err := open(config)
	if err != nil {
		return nil, fmt.Errorf("opening port %q: %w", config.Name, err)
	}
	return port, nil
}

func open(config Config) (*Port, error) {
	mode := config.mode()
	if config.Name == "" || mode.BaudRate < 0 {
		return nil, fmt.Errorf("%w: want a path and a baud rate", ErrConfig)
	}
	// The lock is taken first and released last, so that it covers every octet.
	lock, err := lockPort(config)
	if err != nil {
		return nil, err
	}
	library, err := openUninherited(config.Name, mode)
	if err != nil {
		return nil, errors.Join(unwrappable(err), unlockPort(lock))
	}
	if err := library.SetReadTimeout(pollTime); err != nil { // only once: the library does not guard it against a concurrent Read
		return nil, errors.Join(fmt.Errorf("bounding reads: %w", err), library.Close(), unlockPort(lock))
	}
	return newPort(config, library, lock), nil
}

// mode leaves the modem lines alone unless one of them is low.
func (c *Config) mode() *serial.Mode {
	mode := &serial.Mode{BaudRate: cmp.Or(c.Baud, defaultBaud), DataBits: 8}
	if c.LowDTR || c.LowRTS {
		mode.InitialStatusBits = &serial.ModemOutputBits{DTR: !c.LowDTR, RTS: !c.LowRTS}
	}
	return mode
}

func newPort(config Config, library serial.Port, lock *os.File) *Port {
	p := &Port{
		name: config.Name, lockDir: config.LockDir, library: library, lock: lock, writeTimeout: writeTimeout,
		reader: make(chan struct{}), closing: make(chan struct{}),
	}
	p.near, p.far = net.Pipe()
	go p.read()
	return p
}

// Name returns the name by which the port was opened.
func (p *Port) Name() string { return p.name }

// read moves octets from the library to the pipe until Close, or until the port is unplugged.
func (p *Port) read() {
	defer close(p.reader)
	defer p.far.Close()
	buffer := make([]byte, 4096)
	for {
		select {
		case <-p.closing:
			return
		default:
		}
		n, err := p.library.Read(buffer)
		if n > 0 {
			if _, err := p.far.Write(buffer[:n]); err != nil {
				return // closed
			}
		}
		if errors.Is(err, syscall.EAGAIN) { // the library saw octets, and another reader was faster
			p.robbed.Store(true)
			continue
		}
		if err != nil {
			gone := fmt.Errorf("%w: %w", ErrUnplugged, err)
			p.gone.Store(&gone)
			return
		}
	}
}

// Read returns at least one octet or an error: os.ErrDeadlineExceeded, os.ErrClosed
// after Close, or ErrUnplugged.
func (p *Port) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	n, err := p.near.Read(b)
	switch {
	case errors.Is(err, io.ErrClosedPipe):
		err = fmt.Errorf("reading port %q: %w", p.name, os.ErrClosed)
	case errors.Is(err, io.EOF):
		err = fmt.Errorf("reading port %q: %w", p.name, p.endReason())
	}
	return n, err
}

// endReason returns the error that ended the reader.
func (p *Port) endReason() error {
	if gone := p.gone.Load(); gone != nil {
		return *gone
	}
	return os.ErrClosed
}

// InUse returns an InUseError if another program reads this port now, or has taken octets of it.
func (p *Port) InUse() error {
	if err := notInUse(p.lockDir, p.name); err != nil {
		return err
	}
	if p.robbed.Load() {
		return &InUseError{}
	}
	return nil
}

// SetReadDeadline limits Reads, also a Read that waits already. The zero time means no limit.
func (p *Port) SetReadDeadline(t time.Time) error { return p.near.SetReadDeadline(t) }

// Write writes all octets or returns an error: os.ErrClosed after Close, ErrUnplugged,
// or ErrStuck, which is also os.ErrDeadlineExceeded. After ErrStuck every Write fails.
func (p *Port) Write(b []byte) (int, error) {
	p.writing.Lock()
	defer p.writing.Unlock()
	sent, since := 0, time.Now()
	for sent < len(b) {
		n, err := p.chunk(b[sent:min(len(b), sent+writeChunk)])
		if n > 0 {
			sent, since = sent+n, time.Now()
		} else if err == nil && time.Since(since) > p.writeTimeout {
			p.stuck = true
			err = stuckError()
		}
		if err != nil {
			return sent, fmt.Errorf("writing port %q: %w", p.name, err)
		}
	}
	return sent, nil
}

// chunk writes at most writeChunk octets, if the port is still open. The descriptor
// does not block; 0 without an error means that the port takes no octet now.
func (p *Port) chunk(b []byte) (int, error) {
	if gone := p.gone.Load(); gone != nil {
		return 0, *gone
	}
	if p.stuck {
		return 0, stuckError()
	}
	select {
	case <-p.closing:
		return 0, os.ErrClosed
	default:
	}
	n, err := p.library.Write(b)
	switch {
	case errors.Is(err, syscall.EINTR):
		return n, nil
	case errors.Is(err, syscall.EAGAIN):
		return n, p.waitForRoom()
	case err != nil:
		return n, fmt.Errorf("%w: %w", ErrUnplugged, err)
	}
	return n, nil
}

// waitForRoom waits fullPause, or until Close.
func (p *Port) waitForRoom() error {
	timer := time.NewTimer(fullPause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-p.closing:
		return os.ErrClosed
	}
}

func stuckError() error { return fmt.Errorf("%w: %w", ErrStuck, os.ErrDeadlineExceeded) }

// Close ends all reads and writes. It returns when no goroutine uses the descriptor: it
// waits for the reader, then for writers, then closes the library's port, then the lock.
func (p *Port) Close() error {
	err := fmt.Errorf("closing port %q: %w", p.name, os.ErrClosed)
	p.once.Do(func() {
		close(p.closing)
		_ = p.near.Close() // a pipe's Close does not fail
		<-p.reader
		p.writing.Lock()
		defer p.writing.Unlock()
		err = errors.Join(p.library.Close(), unlockPort(p.lock))
		if err != nil {
			err = fmt.Errorf("closing port %q: %w", p.name, err)
		}
	})
	return err
}
