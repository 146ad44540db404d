package verifier

import (
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"hallmark/station/reason"
)

// A stage is how far a client has come. Each stage has connections of its own, so that clients of an earlier one, who cost a
// stranger less, keep nobody out of a later one.
type stage int

const (
	silent    stage = iota // its ClientHello has not come
	heard                  // its ClientHello has come
	announced              // it has shown a certificate that a Run waits for
	stages
)

// silentFactor is how many more clients may be silent than may do a handshake. A silent client costs little memory.
const silentFactor = 4

// helloTimeout bounds the time until the ClientHello of a stranger has come. A slow board makes a key for it, which takes a
// second, and an emulated board on a busy machine takes some seconds more.
const helloTimeout = 20 * time.Second

var errGaveWay = reason.New("gave-way", "connection gave way to newer ones")

// An admission bounds the open connections of a listener. It keeps nobody waiting: when one more client comes than fit into
// a stage, it closes the connection that is the longest in this stage, of the network that has the most there. So strangers
// who hold many connections lose them to others.
type admission struct {
	limit int // of a stage
	log   *slog.Logger

	mu     sync.Mutex
	open   [stages]map[netip.Prefix][]*connection // the oldest first
	count  [stages]int
	gone   int // connections that gave way since the log said so
	logged time.Time
}

func newAdmission(limit int, log *slog.Logger) *admission {
	a := &admission{limit: limit, log: log}
	for s := range a.open {
		a.open[s] = map[netip.Prefix][]*connection{}
	}
	return a
}

// enter puts a connection into a stage, and takes it out of its stage before.
func (a *admission) enter(c *connection, next stage) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c.left {
		return // it gave way, or has ended
	}
	if c.admitted {
		a.remove(c)
	}
	limit := a.limit
	if next == silent {
		limit *= silentFactor
	}
	if a.count[next] >= limit {
		a.giveWay(a.oldest(next))
	}
	c.stage, c.admitted = next, true
	a.open[next][c.network] = append(a.open[next][c.network], c)
	a.count[next]++
}

// leave takes a connection out that ends.
func (a *admission) leave(c *connection) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c.admitted && !c.left {
		a.remove(c)
	}
	c.left = true
}

// oldest gives the oldest connection of the network that has the most.
func (a *admission) oldest(s stage) *connection {
	var most []*connection
	for _, all := range a.open[s] {
		if len(all) > len(most) {
			most = all
		}
	}
	return most[0]
}

func (a *admission) giveWay(c *connection) {
	a.remove(c)
	c.left, c.gaveWay = true, true
	_ = c.conn.Close() // the goroutine of the connection finds it closed, and reports why
	a.gone++
	if now := time.Now(); now.Sub(a.logged) > helloTimeout {
		a.log.Warn("more clients than fit; the oldest of the network with the most give way", "since_last_line", a.gone)
		a.gone, a.logged = 0, now
	}
}

func (a *admission) hasGivenWay(c *connection) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return c.gaveWay
}

func (a *admission) remove(c *connection) {
	all := a.open[c.stage][c.network]
	n := slices.Index(all, c)
	if all = slices.Delete(all, n, n+1); len(all) == 0 {
		delete(a.open[c.stage], c.network)
	} else {
		a.open[c.stage][c.network] = all
	}
	a.count[c.stage]--
}
