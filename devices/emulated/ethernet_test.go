package emulated

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"
)

func TestABoardWithEthernetStarts(t *testing.T) {
	for _, machine := range []string{"mps2-an385", "mps2-an521"} {
		cfg := Config{Kind: QEMU, Machine: machine, Image: image(t, QEMU, machine), Dir: t.TempDir(), Ethernet: true}
		board := talkTo(start(t, cfg))
		board.hello(t)
		if got := board.Reach(netip.MustParseAddrPort("127.0.0.1:1")); got != EthernetPeer() {
			t.Errorf("%s dials %v", machine, got)
		}
	}
	posix := talkTo(start(t, Config{Kind: Posix, Image: image(t, Posix, ""), Dir: t.TempDir()}))
	if got := netip.MustParseAddrPort("127.0.0.1:1"); posix.Reach(got) != got {
		t.Error("a posix board dials something else")
	}
}

// A guest stands for QEMU at its end of the network.
type guest struct {
	*ethernet
	conn net.Conn
}

func newGuest(t *testing.T) guest {
	t.Helper()
	e, err := newEthernet()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.FileConn(e.far)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(conn.Close(), e.release()); err != nil {
			t.Error(err)
		}
	})
	return guest{e, conn}
}

func (g guest) says(t *testing.T, text string) {
	t.Helper()
	if _, err := g.conn.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
}

func (g guest) leads(t *testing.T, target netip.AddrPort) {
	t.Helper()
	if err := g.setTarget(target); err != nil {
		t.Fatal(err)
	}
}

func reads(t *testing.T, conn net.Conn, want string) {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 64)
	n, err := conn.Read(buffer)
	if err != nil || string(buffer[:n]) != want {
		t.Fatalf("heard %q, %v; want %q", buffer[:n], err, want)
	}
}

func readsNothing(t *testing.T, conn net.Conn) {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := conn.Read(make([]byte, 64)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("heard %d octets, %v; want nothing", n, err)
	}
}

// peer listens on the loopback interface.
func peer(t *testing.T) (listener *net.TCPListener, address netip.AddrPort) {
	t.Helper()
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener, listener.Addr().(*net.TCPAddr).AddrPort()
}

func accepted(t *testing.T, listener *net.TCPListener) net.Conn {
	t.Helper()
	if err := listener.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestTheNetworkLeadsToOneAddressAndToNoneBefore(t *testing.T) {
	guest := newGuest(t)
	first, where := peer(t)
	guest.says(t, "\x16 to nobody")
	readsNothing(t, guest.conn)

	guest.leads(t, where)
	guest.says(t, "what is left of a connection before")
	readsNothing(t, guest.conn)
	guest.says(t, "\x16hello")
	conn := accepted(t, first)
	reads(t, conn, "\x16hello")
	if _, err := conn.Write([]byte("answer")); err != nil {
		t.Fatal(err)
	}
	reads(t, guest.conn, "answer")
	guest.says(t, "more")
	reads(t, conn, "more")

	second, elsewhere := peer(t)
	guest.leads(t, elsewhere)
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("the first connection goes on")
	}
	guest.says(t, "\x16again")
	reads(t, accepted(t, second), "\x16again")
}

func TestAfterThePeerHasClosedTheNextHandshakeIsANewConnection(t *testing.T) {
	guest := newGuest(t)
	listener, where := peer(t)
	guest.leads(t, where)
	for range 3 {
		guest.says(t, "\x16hello")
		conn := accepted(t, listener)
		reads(t, conn, "\x16hello")
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
		for begun := time.Now(); time.Since(begun) < 5*time.Second && guest.connected(); {
			time.Sleep(time.Millisecond)
		}
	}
}

func (g guest) connected() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.upstream != nil
}

// A guest that has closed its connection does not read the octets that come afterwards.
func TestWhatTheBoardDidNotHearDoesNotReachItsNextConnection(t *testing.T) {
	guest := newGuest(t)
	listener, where := peer(t)
	guest.leads(t, where)
	guest.says(t, "\x16hello")
	conn := accepted(t, listener)
	reads(t, conn, "\x16hello")
	if _, err := conn.Write([]byte("too late")); err != nil {
		t.Fatal(err)
	}
	time.Sleep(5 * frameGap)
	guest.leads(t, where)
	readsNothing(t, guest.conn)
	guest.says(t, "\x16again")
	conn = accepted(t, listener)
	reads(t, conn, "\x16again")
	if _, err := conn.Write([]byte("in time")); err != nil {
		t.Fatal(err)
	}
	reads(t, guest.conn, "in time")
}

func TestAnAddressWhereNobodyListensIsSilent(t *testing.T) {
	guest := newGuest(t)
	listener, where := peer(t)
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	guest.leads(t, where)
	guest.says(t, "\x16hello")
	readsNothing(t, guest.conn)
}
