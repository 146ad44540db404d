package serve

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
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

// A boundedListener keeps at most maxConnections open. When one more comes, the listener closes one of those whose network
// has the most, so that strangers who hold many connections keep no station out.
type boundedListener struct {
	net.Listener
	reads atomic.Int64 // on all connections

	mu   sync.Mutex
	open map[*boundedConn]bool
}

// Accept implements net.Listener.
func (l *boundedListener) Accept() (net.Conn, error) {
	accepted, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	conn := &boundedConn{Conn: accepted, listener: l, network: networkOf(accepted.RemoteAddr())}
	conn.heard.Store(l.reads.Add(1))
	if over := l.add(conn); over != nil {
		_ = over.Conn.Close() // the server finds the connection closed, and lets it go
	}
	return conn, nil
}

// add adds a connection, and gives the one that is too many, or nil.
func (l *boundedListener) add(conn *boundedConn) (over *boundedConn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.open) >= maxConnections {
		over = l.most()
		delete(l.open, over)
	}
	l.open[conn] = true
	return over
}

// most gives, of the connections whose network has the most, the one that has been silent for the longest time.
func (l *boundedListener) most() *boundedConn {
	count := map[netip.Prefix]int{}
	for conn := range l.open {
		count[conn.network]++
	}
	return slices.MaxFunc(slices.Collect(maps.Keys(l.open)), func(a, b *boundedConn) int {
		return cmp.Or(cmp.Compare(count[a.network], count[b.network]), cmp.Compare(b.heard.Load(), a.heard.Load()))
	})
}

// networkOf gives the address, and of IPv6 the network of 64 bits, which one stranger may have alone.
func networkOf(remote net.Addr) netip.Prefix {
	from, err := netip.ParseAddrPort(remote.String())
	if err != nil {
		return netip.Prefix{}
	}
	address := from.Addr().Unmap()
	network, _ := address.Prefix(min(address.BitLen(), 64)) // the length fits
	return network
}

type boundedConn struct {
	net.Conn
	listener *boundedListener
	network  netip.Prefix
	heard    atomic.Int64 // number of the newest read
}

// Read implements net.Conn.
func (c *boundedConn) Read(p []byte) (n int, err error) {
	if n, err = c.Conn.Read(p); n > 0 {
		c.heard.Store(c.listener.reads.Add(1))
	}
	return n, err
}

// Close implements net.Conn.
func (c *boundedConn) Close() error {
	c.listener.mu.Lock()
	delete(c.listener.open, c)
	c.listener.mu.Unlock()
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
