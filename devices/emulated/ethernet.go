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

// EthernetPeer returns the only address in the network of an emulated board
// ([Config.Ethernet]). A connection to it goes to the address of [Board.Reach].
func EthernetPeer() netip.AddrPort { return netip.MustParseAddrPort("10.0.2.100:8443") }

// tlsHandshake is the first octet of each TLS connection (RFC 8446 section 5.1, ContentType).
const tlsHandshake = 22

// dialBound is the time for a connection to the verifier, on this machine or in its network.
const dialBound = 5 * time.Second

// ethernet is the other end of an emulated board's network: a socket pair, of which each
// process inherits one end. QEMU writes there what the guest sends to EthernetPeer, but
// does not say where a connection begins or ends. So a TLS handshake record begins a
// connection, which ends when its peer closes or at the next Reach.
type ethernet struct {
	near net.Conn
	far  *os.File
	work sync.WaitGroup

	mu       sync.Mutex     // guards the fields below
	target   netip.AddrPort // not valid: the board's octets are dropped
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

// arguments are QEMU's arguments for the network. restrict keeps the guest away from
// this machine and all others, except for the one address that is forwarded.
func (e *ethernet) arguments(fd int) []string {
	return []string{
		"-chardev", fmt.Sprintf("socket,id=ethernet,fd=%d", fd),
		"-nic", fmt.Sprintf("user,restrict=on,guestfwd=tcp:%s-chardev:ethernet", EthernetPeer()),
	}
}

// run carries octets from the board.
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

// connection returns the connection that the octets belong to, or nil. To the board, a
// target that cannot be reached looks like a silent one.
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

// Some drivers of the emulated LAN9118 stop receiving after a burst of frames. So there is
// a gap after each frame.
const (
	frameMax   = 1400 // octets of data in an Ethernet frame
	frameGap   = 10 * time.Millisecond
	frameBound = time.Second // until QEMU has room for a frame
)

// answer carries octets from the peer, frame by frame.
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

// toBoard sends octets to the board if they belong to its current connection.
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
	_ = upstream.Close() // it may be closed already
}

// setTarget sets the address that the network leads to. It drops the octets of the peer
// before that the board has not read, so that they do not get into its next connection.
func (e *ethernet) setTarget(target netip.AddrPort) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.target = target
	if e.upstream != nil {
		_ = e.upstream.Close() // this ends answer
		e.upstream = nil
	}
	return drain(e.far)
}

// cut ends the connections of a board that lost its power.
func (e *ethernet) cut() error {
	if e == nil {
		return nil
	}
	return e.setTarget(netip.AddrPort{})
}

// release closes both ends and waits for the goroutines.
func (e *ethernet) release() error {
	err := errors.Join(e.setTarget(netip.AddrPort{}), e.near.Close())
	e.work.Wait()
	return errors.Join(err, e.far.Close())
}
