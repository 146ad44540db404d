package serve

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"hallmark/station/witness"
)

// A rate lets some requests pass in each second.
type rate struct {
	now func() time.Time

	mu   sync.Mutex
	last time.Time
	left float64
}

func (r *rate) take() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	r.left = min(perSecond, r.left+max(now.Sub(r.last).Seconds(), 0)*perSecond)
	if r.last = now; r.left < 1 {
		return false
	}
	r.left--
	return true
}

// A pacedBody is the body of a request that must come at some speed: firstPart octets in each pace.
type pacedBody struct {
	io.ReadCloser
	first bytes.Buffer // read already
	conn  *http.ResponseController
	pace  time.Duration
	until time.Time // end of the whole request
	left  int64     // octets until the next deadline
}

// newPaced reads the first part of a body.
func newPaced(w http.ResponseWriter, r *http.Request, pace time.Duration) (*pacedBody, error) {
	b := &pacedBody{ReadCloser: r.Body, conn: http.NewResponseController(w), pace: pace, until: time.Now().Add(requestTimeout)}
	if err := b.next(); err != nil {
		return nil, err
	}
	_, err := io.CopyN(&b.first, r.Body, firstPart)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return b, err
}

// next sets the deadline of the next part.
func (b *pacedBody) next() error {
	b.left = firstPart
	at := time.Now().Add(b.pace)
	if b.until.Before(at) {
		at = b.until
	}
	return b.conn.SetReadDeadline(at)
}

// Read implements io.Reader.
func (b *pacedBody) Read(p []byte) (n int, err error) {
	if b.first.Len() > 0 {
		return b.first.Read(p)
	}
	if b.left <= 0 {
		if err := b.next(); err != nil {
			return 0, err
		}
	}
	n, err = b.ReadCloser.Read(p)
	b.left -= int64(n)
	return n, err
}

// A boundedListener accepts no more connections while maxConnections are open.
type boundedListener struct {
	net.Listener
	free chan struct{}
}

// Accept implements net.Listener. It waits for the end of a connection if too many are open;
// the time-outs of the server end each connection.
func (l *boundedListener) Accept() (net.Conn, error) {
	l.free <- struct{}{}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.free
		return nil, err
	}
	return &boundedConn{Conn: conn, done: sync.OnceFunc(func() { <-l.free })}, nil
}

type boundedConn struct {
	net.Conn
	done func()
}

// Close implements net.Conn.
func (c *boundedConn) Close() error {
	defer c.done()
	return c.Conn.Close()
}

// status gives the state of all logs, in the order of their origins.
func (s *Store) status(began time.Time) Status {
	status := Status{Witness: s.witness.VerifierKey(), Mirror: s.mirror.VerifierKey(), Since: began.UTC(), Logs: []LogStatus{}}
	for _, origin := range slices.Sorted(maps.Keys(s.logs)) {
		l := s.logs[origin]
		l.mu.Lock()
		one := LogStatus{Origin: origin, OriginHash: witness.OriginHash(origin), Cosigned: l.head.Size, Mirrored: l.mirrored.Size}
		l.mu.Unlock()
		if refused, err := os.ReadDir(filepath.Join(l.dir, "refused")); err == nil {
			one.Refused = len(refused)
		}
		status.Logs = append(status.Logs, one)
	}
	return status
}
