package verifier

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"hallmark/station"
)

var (
	_ station.Verifier = (*Server)(nil)
	_ station.Session  = (*session)(nil)
)

// An expectation is the one certificate that a Run expects, and the verdict on its client.
type expectation struct {
	sum     [sha256.Size]byte
	answer  []byte       // set by Expect: a board that is told twice to dial may come twice, and reports the answer that it read last
	verdict chan verdict // has room for one verdict
	once    sync.Once
}

type verdict struct {
	presented station.Presented
	err       error
}

func expect(certificate []byte) *expectation {
	return &expectation{sum: sha256.Sum256(certificate), verdict: make(chan verdict, 1)}
}

// A session is one announced connection, seen from the station's side.
type session struct {
	*expectation
	conn net.Conn
}

// Connect opens a connection to the server whose client will present exactly this
// certificate (DER). It is a pair of sockets in this process and not one more
// connection to the listener, so no stranger on the network can delay a Run. Connect
// waits until Serve runs. The caller closes the session.
func (s *Server) Connect(ctx context.Context, certificate []byte) (station.Session, error) {
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, fmt.Errorf("connecting to the verifier: %w", err)
	}
	what := expect(certificate)
	c := &connection{Server: s, conn: theirs, remote: "this station", announced: what, admission: newAdmission(1, s.config.Log)}
	select {
	case s.own <- c:
		return &session{what, ours}, nil
	case <-ctx.Done():
		return nil, errors.Join(fmt.Errorf("waiting for the verifier to serve: %w", context.Cause(ctx)), ours.Close(), theirs.Close())
	}
}

// socketPair makes two connections, each of which is the other end of the other one.
func socketPair() (one, other net.Conn, err error) {
	numbers, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("making a pair of sockets: %w", err)
	}
	one, err = connOf(numbers[0])
	other, otherErr := connOf(numbers[1])
	if err = errors.Join(err, otherErr); err != nil {
		for _, conn := range []net.Conn{one, other} {
			if conn != nil {
				err = errors.Join(err, conn.Close())
			}
		}
		return nil, nil, err
	}
	return one, other, nil
}

// connOf takes a descriptor over.
func connOf(number int) (net.Conn, error) {
	file := os.NewFile(uintptr(number), "socket pair")
	conn, err := net.FileConn(file) // has a descriptor of its own
	return conn, errors.Join(err, file.Close())
}

func (c *session) Conn() net.Conn { return c.conn }

// Verdict waits for the verifier's decision. A refusal is a [RefusalError]. Any
// other error means that there was no decision.
func (e *expectation) Verdict(ctx context.Context) (station.Presented, error) {
	select {
	case v := <-e.verdict:
		e.verdict <- v // for the next caller
		return v.presented, v.err
	case <-ctx.Done():
		return station.Presented{}, fmt.Errorf("waiting for the verifier's decision: %w", context.Cause(ctx))
	}
}

// resolve stores the verdict. The connection's goroutine calls it; only the first call counts.
func (e *expectation) resolve(presented station.Presented, err error) {
	e.once.Do(func() { e.verdict <- verdict{presented, err} })
}

// Close closes the connection.
func (c *session) Close() error {
	if err := c.conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// temporary is true for errors of accept that disappear without action: a client
// that left while it waited, or a lack of descriptors or memory.
func temporary(err error) bool {
	for _, code := range []syscall.Errno{syscall.ECONNABORTED, syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, code) {
			return true
		}
	}
	return false
}

// pause waits for d. It returns false when ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
