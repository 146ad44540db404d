package verifier

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"hallmark/station"
)

// strangers opens connections that send these octets and then nothing more.
func strangers(t *testing.T, address string, number int, octets ...byte) (all []net.Conn) {
	t.Helper()
	for range number {
		conn, err := net.Dial("tcp", address)
		fatalIf(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		_, err = conn.Write(octets)
		if err != nil { // it gave way before it wrote
			t.Log(err)
		}
		all = append(all, conn)
	}
	return all
}

// onlyOthersEnd has the server end a connection for no reason but others, so that a client who has to wait for strangers waits for ever.
func onlyOthersEnd(s *opened) { s.Server.config.Limit, s.Server.config.Timeout = 4, time.Hour }

// 600 idle connections once made 8 of 40 Runs a Fault, and a good client waited for 89 seconds.
func TestIdleStrangersKeepNobodyOut(t *testing.T) {
	for name, octets := range map[string][]byte{"silent": nil, "with the beginning of a ClientHello": {22, 3, 1}} {
		t.Run(name, func(t *testing.T) {
			s, log := open(t, onlyOthersEnd)
			serveNetwork(t, s)
			certificate := issueAndRegister(t, s, boardA, x509.ExtKeyUsageClientAuth, station.StatusActive)
			other := issueAndRegister(t, s, boardA, x509.ExtKeyUsageClientAuth, station.StatusDelivered)
			session := expected(t, s, other)
			strangers(t, address(s), 100, octets...)
			strangers(t, session.Address().String(), 100, octets...)
			if err := s.connectAs(t.Context(), certificate, certificate.Certificate[0]); err != nil {
				t.Errorf("a board at the station: %v", err)
			}
			if answer, err := connectUnannounced(t, s, certificate, tls.VersionTLS13); answer == "" {
				t.Errorf("a board elsewhere is not served: %v", err)
			}
			if answer := dial(t, s, session.Address(), other); answer == "" {
				t.Error("a board that dials by itself is not served")
			}
			waitFor(t, log, "more clients than fit")
		})
	}
}

// A stranger who has sent a ClientHello holds a place among those who have, and none of the announced boards.
func TestStrangersInAHandshakeKeepNobodyOut(t *testing.T) {
	s, _ := open(t, onlyOthersEnd)
	serveNetwork(t, s)
	certificate := issueAndRegister(t, s, boardA, x509.ExtKeyUsageClientAuth, station.StatusDelivered)
	session := expected(t, s, certificate)
	hello := clientHello(t, s)
	closed := make(chan bool, 60)
	gone := 0
	for round := range 3 {
		for _, conn := range strangers(t, session.Address().String(), 20, hello...) {
			go func() {
				_, _ = io.Copy(io.Discard, conn)
				closed <- true
			}()
		}
		// Four of them stay in their handshakes; while others come, they and the board would give way to those.
		for ; gone < 20*(round+1)-4; gone++ {
			<-closed
		}
		if answer := dial(t, s, session.Address(), certificate); answer == "" {
			t.Error("the board is not served")
		}
	}
}

// clientHello records what a client sends first.
func clientHello(t *testing.T, s *opened) []byte {
	t.Helper()
	ours, theirs := net.Pipe()
	defer theirs.Close()
	client := tls.Client(ours, &tls.Config{ServerName: s.config.ServerName, CurvePreferences: []tls.CurveID{tls.CurveP256}})
	ended := make(chan error, 1)
	go func() { ended <- client.Handshake() }()
	head := make([]byte, 5)
	_, err := io.ReadFull(theirs, head)
	fatalIf(t, err)
	body := make([]byte, int(head[3])<<8+int(head[4]))
	_, err = io.ReadFull(theirs, body)
	fatalIf(t, err)
	fatalIf(t, theirs.Close())
	if err := <-ended; err == nil {
		t.Error("a handshake without a server")
	}
	return append(head, body...)
}

// closing is a connection that notes that it was closed.
type closing struct {
	net.Conn
	closed *[]string
	name   string
}

func (c closing) Close() error { *c.closed = append(*c.closed, c.name); return nil }

func TestTheOldestOfTheNetworkWithTheMostGivesWay(t *testing.T) {
	var closed []string
	a := newAdmission(2, slog.New(slog.DiscardHandler))
	enter := func(network, name string, s stage) *connection {
		c := &connection{conn: closing{closed: &closed, name: name}, network: netip.MustParsePrefix(network)}
		a.enter(c, silent)
		if s != silent {
			a.enter(c, s)
		}
		return c
	}
	const crowd, alone = "192.0.2.7/32", "192.0.2.8/32"
	only := enter(alone, "alone", silent)
	for n := range 7 {
		enter(crowd, fmt.Sprint(n), silent)
	}
	if len(closed) != 0 {
		t.Fatalf("%v gave way to nobody", closed)
	}
	enter(crowd, "7", silent)
	enter("192.0.2.9/32", "new", silent)
	first := enter(crowd, "in a handshake", heard) // makes room among the silent ones
	second := enter(alone, "another in a handshake", heard)
	if want := []string{"0", "1", "2"}; !slices.Equal(closed, want) {
		t.Fatalf("%v gave way, want %v", closed, want)
	}
	closed = nil
	a.enter(second, announced) // has a place of its own from now on
	for n := range 4 {
		enter(crowd, fmt.Sprintf("hello %d", n), heard)
	}
	if slices.Contains(closed, "another in a handshake") || !slices.Contains(closed, "in a handshake") || !a.hasGivenWay(first) || a.hasGivenWay(second) {
		t.Errorf("%v gave way", closed)
	}
	a.leave(only)
	a.leave(only)
	a.enter(only, heard) // has ended, so it takes no place
	a.leave(first)
	if a.count[heard] != 2 || a.count[announced] != 1 {
		t.Errorf("counts %v", a.count)
	}
}

func TestARunDoesNotHearOfClientsThatGaveWay(t *testing.T) {
	s, _ := open(t, onlyOthersEnd)
	serveNetwork(t, s)
	certificate := issueAndRegister(t, s, boardA, x509.ExtKeyUsageClientAuth, station.StatusDelivered)
	session := expected(t, s, certificate)
	first := strangers(t, session.Address().String(), 100)[0]
	_, _ = io.ReadAll(first) // it has given way
	if _, err := verdictOf(t, session); !errors.Is(err, station.ErrNoNetworkSession) || errors.Is(err, errGaveWay) {
		t.Errorf("the Run hears %v", err)
	}
}
