package serve

import (
	"maps"
	"net"
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
