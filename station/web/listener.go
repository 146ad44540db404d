package web

import (
	"cmp"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
)

// A boundedListener keeps at most limit connections open. When one more comes, the listener closes one of those whose network
// has the most, so that strangers who hold many connections keep nobody else out.
type boundedListener struct {
	net.Listener
	limit int
	reads atomic.Int64 // on all connections

	mu   sync.Mutex
	open map[*boundedConn]bool
}

// Bound gives a listener that keeps at most limit connections open.
func Bound(listener net.Listener, limit int) net.Listener {
	return &boundedListener{Listener: listener, limit: limit, open: map[*boundedConn]bool{}}
}

// Accept implements net.Listener.
func (l *boundedListener) Accept() (net.Conn, error) {
	accepted, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	conn := &boundedConn{Conn: accepted, listener: l, network: NetworkOf(accepted.RemoteAddr().String())}
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
	if len(l.open) >= l.limit {
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

// NetworkOf gives the address, and of IPv6 the network of 64 bits, which one stranger may have alone.
func NetworkOf(remote string) netip.Prefix {
	from, err := netip.ParseAddrPort(remote)
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
