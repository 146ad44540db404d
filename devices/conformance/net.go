package conformance

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"time"

	"hallmark/devices"
	"hallmark/devices/smp"
)

// netChecks are handshakes over the board's own network. The network must lead to this
// machine's loopback interface, or to the address that Subject.Reach returns.
var netChecks = []check{
	onNetwork("it speaks TLS 1.3 and 1.2, one after the other", bothVersions),
	onNetwork("it sends its chain to a server that has only the root", sendChain),
	onNetwork("a server that is not the right one is left, by name, and the next one is greeted", rejectServers),
	onNetwork("a reset in the middle is told apart", resetInTheMiddle),
	onNetwork("an address where nobody listens is told apart, and the next one is dialled", dialUnusedAddress),
	onNetwork("a handshake over the line ends one over the network", oneSession),
	onNetwork("net requests count up and may come twice, the one that dials, too", netSequence),
	{"it says rc 8 without a network", func(b *environment) {
		if b.identify().Can.Has(devices.CanNet) {
			return // the other checks test this board
		}
		_, err := b.client().NetworkHandshake(b.ctx, loopback(b), serverName)
		b.refused("a board without a network", err, devices.ErrUnsupported)
	}},
}

// onNetwork makes a check for boards with a network.
func onNetwork(name string, do func(*environment)) check {
	return check{name, func(b *environment) {
		b.options.Reach = b.subject.Reach
		if !b.identify().Can.Has(devices.CanNet) {
			b.Log("this board has no network")
			return
		}
		// The check gets a new client, with options of its own.
		b.check(b.board.Detach())
		b.board, b.network = nil, true
		do(b)
	}}
}

// loopback returns an address of this machine at which nobody listens.
func loopback(b *environment) netip.AddrPort {
	b.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	b.check(err)
	b.check(listener.Close())
	return listener.Addr().(*net.TCPAddr).AddrPort()
}

func dialUnusedAddress(b *environment) {
	b.options.ServerTimeout = 5 * time.Second
	p := b.pki()
	// Behind an emulator the board sees a silent connection instead.
	want := []error{devices.ErrServerUnreached}
	if b.subject.Reach != nil {
		want = append(want, devices.ErrServerSilent)
	}
	_, err := b.client().NetworkHandshake(b.ctx, loopback(b), serverName)
	if !slices.ContainsFunc(want, func(reason error) bool { return errors.Is(err, reason) }) {
		b.Errorf("%v, want %v", err, want)
	}
	p.passes(p.good(), 0)
}

func oneSession(b *environment) {
	p := b.pki()
	for range 2 {
		b.network = false
		p.passes(p.good(), 0)
		b.network = true
		p.passes(p.good(), 0)
	}
}

func netSequence(b *environment) {
	b.provision()
	b.reset()
	b.check(b.board.Detach())
	w := b.wire()
	w.answersBefore("the reset") // drops answers to repeated requests of a board that started slowly
	connections, address := b.silentServer()
	dial := &smp.Net{Address: address.Addr().String(), Port: address.Port(), ServerName: serverName}
	for _, step := range []struct {
		name    string
		again   bool // send the same frame as in the step before
		request *smp.Net
		state   smp.TLSState
		refusal error
	}{
		{"a question without a session", false, &smp.Net{Sequence: 1}, 0, devices.ErrTLSState},
		{"dial", false, dial, smp.TLSHandshaking, nil},
		{"dial, the line doubled it", true, dial, smp.TLSHandshaking, nil},
		{"skip one", false, &smp.Net{Sequence: 2}, 0, devices.ErrOutOfOrder},
		{"first", false, &smp.Net{Sequence: 1}, smp.TLSHandshaking, nil},
		{"first again", false, &smp.Net{Sequence: 1}, smp.TLSHandshaking, nil},
		{"close", false, &smp.Net{Sequence: 2, Close: true}, smp.TLSClosed, nil},
		{"close again", false, &smp.Net{Sequence: 2, Close: true}, smp.TLSClosed, nil},
		{"a question after it", false, &smp.Net{Sequence: 3}, smp.TLSClosed, nil},
	} {
		if step.again {
			w.sequence--
		}
		var response smp.NetResponse
		err := w.ask(step.request, &response)
		if step.refusal != nil {
			b.refused(step.name, err, step.refusal)
		} else if err != nil || response.State != step.state {
			b.Errorf("%s: %+v, %v; want state %d", step.name, response, err, step.state)
		}
	}
	if came := connections(); came != 1 {
		b.Errorf("%d connections for one session", came)
	}
}

// silentServer accepts connections and sends nothing. address is what the board must
// dial. connections closes the server and returns the number of connections.
func (b *environment) silentServer() (connections func() int, address netip.AddrPort) {
	b.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	b.check(err)
	came := make(chan int, 1)
	go func() {
		for count := 0; ; count++ {
			conn, err := listener.Accept()
			if err != nil {
				came <- count
				return
			}
			defer conn.Close()
		}
	}()
	address = listener.Addr().(*net.TCPAddr).AddrPort()
	if b.subject.Reach != nil {
		address = b.subject.Reach(address)
	}
	connections = func() int {
		time.Sleep(100 * time.Millisecond) // time for an unwanted second connection
		b.check(listener.Close())
		return <-came
	}
	b.Cleanup(func() { _ = listener.Close() }) // normally closed before
	return connections, address
}
