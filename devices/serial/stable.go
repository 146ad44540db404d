package serial

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"hallmark/station/reason"
)

// A StableConfig says which port to open again and again.
type StableConfig struct {
	Config
	// Find returns the path of the port at this moment; nil: Config.Name.
	Find func() (string, error)
	// Open opens the port that Find names; nil: a port of this machine.
	Open func(Config) (AnyPort, error)
	// Settle is how long nothing is written after the port was opened.
	Settle time.Duration
}

// AnyPort is an open port, here or on another machine. It follows the rules of a [Port].
type AnyPort interface {
	io.ReadWriteCloser
	SetReadDeadline(time.Time) error
	// InUse returns an error if the port cannot give the board's octets now: one that wraps ErrBusy if another program uses it.
	InUse() error
}

// A Stable port is found by its place and not by its number. The port of a board with a USB interface of its
// own disappears when the board restarts, and may come back as another ttyACM. A Stable port then goes on with
// the port that is there, if the board was told to restart. It goes on in Read, so some goroutine must read.
//
// It follows the rules of a [Port]. What is written while the port is away is lost, as on a UART without a board.
type Stable struct {
	config StableConfig
	closed chan struct{}
	once   sync.Once

	mu       sync.Mutex // covers the following fields
	port     AnyPort
	opened   time.Time
	until    time.Time     // before this time, a port that disappears is waited for
	deadline time.Time     // of reads
	back     chan struct{} // closed and replaced when the port was opened again
}

const (
	// reopenPause is the time between two tries to open a port that is away.
	reopenPause = 20 * time.Millisecond
	// backTime is how long a Write waits for a port that is away. The octets are lost after it.
	backTime = time.Second
)

// OpenStable opens a port that may disappear in a restart. Its errors are those of Open and of Find.
func OpenStable(config StableConfig) (*Stable, error) {
	if config.Find == nil {
		config.Find = func() (string, error) { return config.Name, nil }
	}
	if config.Open == nil {
		config.Open = openHere
	}
	s := &Stable{config: config, closed: make(chan struct{}), back: make(chan struct{})}
	port, err := s.find()
	if err != nil {
		return nil, err
	}
	s.port, s.opened = port, time.Now()
	return s, nil
}

func openHere(config Config) (AnyPort, error) {
	port, err := Open(config)
	if err != nil {
		return nil, err
	}
	return port, nil
}

// find opens the port that is there now.
func (s *Stable) find() (AnyPort, error) {
	path, err := s.config.Find()
	if err != nil {
		return nil, fmt.Errorf("finding port %q: %w", s.config.Name, err)
	}
	config := s.config.Config
	config.Name = path
	return s.config.Open(config)
}

// Name returns the stable name of the port.
func (s *Stable) Name() string { return s.config.Name }

// ExpectRestart says that the board was told to restart. For this time the port may disappear and come back. Zero
// says that the restart is over.
func (s *Stable) ExpectRestart(within time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.until = time.Now().Add(within)
}

// Read returns at least one octet or an error, as [Port.Read].
func (s *Stable) Read(b []byte) (int, error) {
	for {
		port, _ := s.now()
		n, err := port.Read(b)
		if !s.away(err) {
			return n, err
		}
		again := s.reopen(port)
		if again == ErrUnplugged && errors.Is(err, ErrUnplugged) {
			return 0, err // it says what ended the port
		}
		if again != nil {
			return 0, fmt.Errorf("reading port %q: %w", s.config.Name, again)
		}
	}
}

// away reports whether an error means that the port has disappeared. A port that was away before is closed.
func (s *Stable) away(err error) bool {
	return errors.Is(err, ErrUnplugged) || errors.Is(err, os.ErrClosed) && !s.isClosed()
}

func (s *Stable) now() (port AnyPort, back <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.port, s.back
}

// reopen opens the port again when it is there. It gives up at the end of the restart, at the deadline of the read, and after Close. At
// the end of the restart the error is ErrUnplugged, with the reason why a port that is there could not be opened. There is a pause
// before each try, because a port may end at once after each open, such as one behind a server that restarts.
func (s *Stable) reopen(gone AnyPort) error {
	if s.restartOver() {
		return ErrUnplugged
	}
	if err := gone.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return err // the lock of the port is kept, so that it cannot be opened again
	}
	var why error
	for {
		select {
		case <-s.closed:
			return os.ErrClosed
		case <-time.After(reopenPause):
		}
		port, err := s.find()
		switch {
		case err == nil:
			return s.replace(port)
		case s.deadlineOver():
			return os.ErrDeadlineExceeded
		}
		if _, named := reason.Find(err); named { // an absent port has no such reason
			why = err
		} else {
			why = nil
		}
		switch {
		case !s.restartOver():
		case why != nil:
			return fmt.Errorf("%w: %w", ErrUnplugged, why)
		default:
			return ErrUnplugged
		}
	}
}

func (s *Stable) restartOver() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !time.Now().Before(s.until)
}

func (s *Stable) deadlineOver() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.deadline.IsZero() && time.Now().After(s.deadline)
}

func (s *Stable) isClosed() bool {
	select {
	case <-s.closed:
		return true
	default:
		return false
	}
}

// replace goes on with another port, unless Close was called meanwhile.
func (s *Stable) replace(port AnyPort) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isClosed() {
		return errors.Join(os.ErrClosed, port.Close())
	}
	if err := port.SetReadDeadline(s.deadline); err != nil {
		return errors.Join(err, port.Close())
	}
	s.port, s.opened = port, time.Now()
	close(s.back)
	s.back = make(chan struct{})
	return nil
}

// SetReadDeadline limits Reads, as [Port.SetReadDeadline].
func (s *Stable) SetReadDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deadline = t
	if err := s.port.SetReadDeadline(t); err != nil && (s.isClosed() || !errors.Is(err, io.ErrClosedPipe) && !errors.Is(err, os.ErrClosed)) { // closed: away, reopen looks at the deadline
		return fmt.Errorf("bounding reads of port %q: %w", s.config.Name, err)
	}
	return nil
}

// Write writes all octets or returns an error, as [Port.Write]. During a restart it waits a second for a port that
// is away, and writes the octets to the port that comes back.
func (s *Stable) Write(b []byte) (int, error) {
	for {
		port, back := s.now()
		if err := s.settle(); err != nil {
			return 0, err
		}
		n, err := port.Write(b)
		if !s.away(err) || s.restartOver() {
			return n, err
		}
		select {
		case <-back:
		case <-time.After(backTime):
			return len(b), nil // lost
		case <-s.closed:
			return 0, fmt.Errorf("writing port %q: %w", s.config.Name, os.ErrClosed)
		}
	}
}

// InUse returns an InUseError if another program uses the port, as [Port.InUse].
func (s *Stable) InUse() error {
	port, _ := s.now()
	return port.InUse()
}

// Settling returns how long nothing should be written yet, because the port was just opened. Write waits for so long; a caller with
// a time limit waits itself before.
func (s *Stable) Settling() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(0, time.Until(s.opened.Add(s.config.Settle)))
}

// settle waits until the port has been open for the settle time.
func (s *Stable) settle() error {
	rest := s.Settling()
	if rest == 0 {
		return nil
	}
	select {
	case <-time.After(rest):
		return nil
	case <-s.closed:
		return fmt.Errorf("writing port %q: %w", s.config.Name, os.ErrClosed)
	}
}

// Close ends all reads and writes, and closes the port.
func (s *Stable) Close() error {
	err := fmt.Errorf("closing port %q: %w", s.config.Name, os.ErrClosed)
	s.once.Do(func() {
		s.mu.Lock()
		close(s.closed)
		port := s.port
		s.mu.Unlock()
		if err = port.Close(); errors.Is(err, os.ErrClosed) {
			err = nil // the port was away
		}
	})
	return err
}
