package emulated

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
)

// EthernetPeer is the one address in the network of an emulated board
// ([Config.Ethernet]): what it says there comes out where [Board.Reach] leads.
func EthernetPeer() netip.AddrPort { return netip.MustParseAddrPort("10.0.2.100:8443") }

// tlsHandshake is the first octet of each TLS connection (RFC 8446 section 5.1, ContentType).
const tlsHandshake = 22

// dialBound is for the way to the verifier, on this machine or beside it.
const dialBound = 5 * time.Second

// ethernet is the other end of an emulated board's network: a socket pair, of
// which each process inherits one end. QEMU puts there what the guest says to
// EthernetPeer, without saying where a connection begins or ends; so here one
// begins with a TLS handshake record, and ends when its peer closes or at the next Reach.
type ethernet struct {
	near net.Conn
	far  *os.File
	work sync.WaitGroup

	mu       sync.Mutex     // covers what follows
	target   netip.AddrPort // not valid: what the board says goes nowhere
	upstream net.Conn       // nil: no connection
}

func newEthernet() (*ethernet, error) {
	near, far, err := socketPair("ethernet")
	if err != nil {
		return nil, fmt.Errorf("making the network: %w", err)
	}
	e := &ethernet{near: near, far: far}
	e.work.Go(e.run)
	return e, nil
}

// arguments give QEMU's machine its network: restrict keeps the guest from this
// machine and from all others, but for the one address that is forwarded.
func (e *ethernet) arguments(fd int) []string {
	return []string{
		"-chardev", fmt.Sprintf("socket,id=ethernet,fd=%d", fd),
		"-nic", fmt.Sprintf("user,restrict=on,guestfwd=tcp:%s-chardev:ethernet", EthernetPeer()),
	}
}

// run carries what the board says.
func (e *ethernet) run() {
	buffer := make([]byte, 16<<10)
	for {
		n, err := e.near.Read(buffer)
		if err != nil {
			return
		}
		if upstream := e.connection(buffer[:n]); upstream != nil {
			if _, err := upstream.Write(buffer[:n]); err != nil {
				e.end(upstream)
			}
		}
	}
}

// connection is the one these octets belong to; nil: to none. A target that
// cannot be reached is, to the board, one that says nothing.
func (e *ethernet) connection(octets []byte) net.Conn {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.upstream != nil || !e.target.IsValid() || octets[0] != tlsHandshake {
		return e.upstream
	}
	conn, err := net.DialTimeout("tcp", e.target.String(), dialBound)
	if err != nil {
		return nil
	}
	e.upstream = conn
	e.work.Go(func() { e.answer(conn) })
	return conn
}

// A burst of frames is more than some drivers of the emulated LAN9118 take:
// they stop to receive. So each frame has the line for itself for a moment.
const (
	frameMax   = 1400 // octets of data in an Ethernet frame
	frameGap   = 10 * time.Millisecond
	frameBound = time.Second // until QEMU has room for it
)

// answer carries what the peer says, frame by frame.
func (e *ethernet) answer(upstream net.Conn) {
	defer e.end(upstream)
	buffer := make([]byte, frameMax)
	for {
		n, err := upstream.Read(buffer)
		if !e.toBoard(upstream, buffer[:n]) || err != nil {
			return
		}
		time.Sleep(frameGap)
	}
}

// toBoard gives octets to the board while they belong to its connection.
func (e *ethernet) toBoard(upstream net.Conn, octets []byte) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.upstream != upstream || e.near.SetWriteDeadline(time.Now().Add(frameBound)) != nil {
		return false
	}
	_, err := e.near.Write(octets)
	return err == nil
}

func (e *ethernet) end(upstream net.Conn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.upstream == upstream {
		e.upstream = nil
	}
	_ = upstream.Close() // a second close, or a connection that is gone
}

// setTarget sets where the network leads to from now on. What the peer before said
// and the board did not hear must not reach its next connection.
func (e *ethernet) setTarget(target netip.AddrPort) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.target = target
	if e.upstream != nil {
		_ = e.upstream.Close() // answer ends with it
		e.upstream = nil
	}
	return drain(e.far)
}

// cut ends what a board that lost its power had to do with the network.
func (e *ethernet) cut() error {
	if e == nil {
		return nil
	}
	return e.setTarget(netip.AddrPort{})
}

// release closes both ends and waits for whoever uses them.
func (e *ethernet) release() error {
	err := errors.Join(e.setTarget(netip.AddrPort{}), e.near.Close())
	e.work.Wait()
	return errors.Join(err, e.far.Close())
}
