package conformance

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strings"
	"time"

	"hallmark/devices"
)

const serverName = "verifier.station"

// A server is a TLS server that takes one connection.
type server struct {
	config *tls.Config
	// instead replaces TLS; nil: the server does TLS.
	instead func(net.Conn) error
}

// A serverReport is the server's view of a handshake.
type serverReport struct {
	version   uint16
	presented []byte
	err       error
}

const answer = "ok 0123456789ab\n"

// handshakeWith has the board do a handshake with a server, and returns the reports of both sides.
func (b *environment) handshakeWith(s server, name string) (devices.HandshakeReport, error, serverReport) {
	b.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	b.check(err)
	defer listener.Close()
	seen := make(chan serverReport, 1)
	go func() { seen <- s.serve(listener) }()
	if b.network {
		report, boardErr := b.client().NetworkHandshake(b.ctx, listener.Addr().(*net.TCPAddr).AddrPort(), name)
		if errors.Is(boardErr, devices.ErrNoNetwork) {
			b.Fatal(boardErr)
		}
		b.check(listener.Close()) // ends Accept when no board came
		return report, boardErr, <-seen
	}
	conn, err := net.Dial("tcp", listener.Addr().String())
	b.check(err)
	report, boardErr := b.client().Handshake(b.ctx, conn, name)
	b.check(conn.Close())
	return report, boardErr, <-seen
}

func (s server) serve(listener net.Listener) serverReport {
	conn, err := listener.Accept()
	if err != nil {
		return serverReport{err: err}
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(checkTimeout)); err != nil {
		return serverReport{err: err}
	}
	if s.instead != nil {
		return serverReport{err: s.instead(conn)}
	}
	secure := tls.Server(conn, s.config)
	if err := secure.Handshake(); err != nil {
		return serverReport{err: err}
	}
	state := secure.ConnectionState()
	_, err = secure.Write([]byte(answer))
	_, _ = conn.Read(make([]byte, 1)) // waits until the board's side has closed
	return serverReport{state.Version, state.PeerCertificates[0].Raw, err}
}

// A pki is a board with all three slots written, and the CAs for servers and clients.
type pki struct {
	*environment
	root, ca *authority
	own      []byte
}

func (b *environment) pki() *pki {
	b.Helper()
	root, ca, own := b.provision()
	b.reset()
	return &pki{b, root, ca, own}
}

// good returns a server that accepts the board.
func (p *pki) good() server {
	p.Helper()
	return server{config: &tls.Config{
		Certificates:           []tls.Certificate{p.certificate(p.ca, serverName)},
		ClientAuth:             tls.RequireAndVerifyClientCert,
		ClientCAs:              p.pool(p.root, p.ca),
		MinVersion:             tls.VersionTLS12,
		SessionTicketsDisabled: true,
	}}
}

func (p *pki) pool(authorities ...*authority) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, a := range authorities {
		pool.AddCert(a.certificate)
	}
	return pool
}

// certificate makes a server's certificate, followed by its issuer's.
func (p *pki) certificate(issuer *authority, name string) tls.Certificate {
	p.Helper()
	t := template(name)
	t.DNSNames = []string{name}
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	leaf := p.sign(t, issuer, p.newKey())
	return tls.Certificate{Certificate: [][]byte{leaf.der(), issuer.der()}, PrivateKey: leaf.key}
}

// passes does a handshake that must succeed. version 0: any.
func (p *pki) passes(s server, version uint16) {
	p.Helper()
	report, err, seen := p.handshakeWith(s, serverName)
	switch {
	case err != nil || seen.err != nil:
		p.Fatalf("board: %v; server: %v", err, seen.err)
	case string(report.Received) != answer:
		p.Errorf("the board read %q", report.Received)
	case string(seen.presented) != string(p.own):
		p.Errorf("the board presented %x", seen.presented)
	case version != 0 && seen.version != version:
		p.Errorf("version %#x, want %#x", seen.version, version)
	}
}

var handshakeChecks = []check{
	{"it speaks TLS 1.3 and 1.2, one after the other", func(b *environment) { bothVersions(b) }},
	{"it sends its chain to a server that has only the root", func(b *environment) { sendChain(b) }},
	{"a server that is not the right one is left, by name, and the next one is greeted", func(b *environment) { rejectServers(b) }},
	{"a reset in the middle is told apart", func(b *environment) { resetInTheMiddle(b) }},
}

func bothVersions(b *environment) {
	p := b.pki()
	for _, version := range []uint16{tls.VersionTLS13, tls.VersionTLS12, tls.VersionTLS13} {
		s := p.good()
		s.config.MinVersion, s.config.MaxVersion = version, version
		if p.knowsOnly12(s) {
			continue
		}
		p.passes(s, version)
	}
}

// knowsOnly12 is true, and logged, if the server takes TLS 1.3 only and the board offers no newer version than TLS 1.2.
func (p *pki) knowsOnly12(s server) bool {
	if s.config.MinVersion != tls.VersionTLS13 || !p.subject.Zephyr {
		return false
	}
	_, _, seen := p.handshakeWith(s, serverName)
	if seen.err == nil || !strings.Contains(seen.err.Error(), "client offered only unsupported versions: [303") {
		return false
	}
	p.Log("left out: TLS 1.3, which the mbedTLS of this Zephyr does not offer")
	return true
}

func sendChain(b *environment) {
	b.options.SendChain = true
	p := b.pki()
	s := p.good()
	s.config.ClientCAs = p.pool(p.root)
	p.passes(s, 0)
}

func errorOf(_ devices.HandshakeReport, err error, _ serverReport) error { return err }

func readOnce(conn net.Conn) error {
	_, err := conn.Read(make([]byte, 4096))
	return err
}

func rejectServers(b *environment) {
	b.options.ServerTimeout = 500 * time.Millisecond
	if b.network {
		b.options.ServerTimeout = 5 * time.Second // here the bound also covers the board's computing time
	}
	p := b.pki()
	stranger := b.root("stranger")
	wrongName, wrongCA, wrongClient, oldTLS := p.good(), p.good(), p.good(), p.good()
	wrongName.config.Certificates = []tls.Certificate{p.certificate(p.ca, "other.station")}
	wrongCA.config.Certificates = []tls.Certificate{p.certificate(stranger, serverName)}
	wrongClient.config.ClientCAs = p.pool(stranger)
	oldTLS.config.MinVersion, oldTLS.config.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	table := []struct {
		name   string
		server server
		want   error
	}{
		{"a server of another name", wrongName, devices.ErrServerName},
		{"a server of another CA", wrongCA, devices.ErrServerUntrusted},
		{"a server that wants other clients", wrongClient, devices.ErrServerRefuses},
		{"a server of TLS 1.1", oldTLS, devices.ErrHandshake},
		{"a server that speaks HTTP", server{instead: responds("HTTP/1.1 400 Bad Request\r\n\r\n")}, devices.ErrHandshake},
		{"a server that sends application data at once", server{instead: responds("\x17\x03\x03\x00\x04\xff\xff\xff\xff")}, devices.ErrHandshake},
		{"a server that says nothing", server{instead: responds("")}, devices.ErrServerSilent},
		{"a server that hangs up", server{instead: readOnce}, devices.ErrServerGone},
	}
	for _, row := range table {
		_, err, _ := b.handshakeWith(row.server, serverName)
		// An emulated network does not report the end of a connection.
		unheard := row.want == devices.ErrServerGone && b.network && b.subject.Reach != nil && errors.Is(err, devices.ErrServerSilent)
		if !errors.Is(err, row.want) && !unheard {
			b.Errorf("%s: %v, want %v", row.name, err, row.want)
		}
	}
	p.options.ServerTimeout = 0
	p.passes(p.good(), 0)
}

// responds reads the ClientHello, sends text and waits until the other side closes.
func responds(text string) func(net.Conn) error {
	return func(conn net.Conn) error {
		if err := readOnce(conn); err != nil {
			return err
		}
		if _, err := conn.Write([]byte(text)); err != nil {
			return err
		}
		for {
			if err := readOnce(conn); err != nil {
				return err
			}
		}
	}
}

func resetInTheMiddle(b *environment) {
	if b.subject.PowerCycle == nil {
		b.Log("this board has no switch")
		return
	}
	b.options.Timeout = 5 * time.Second // a request may be under way when the power is cut; a busy emulator computes for seconds
	p := b.pki()
	s := p.good()
	s.instead = func(conn net.Conn) error {
		if err := readOnce(conn); err != nil {
			return err
		}
		if err := b.subject.PowerCycle(b.ctx); err != nil {
			return err
		}
		_, err := conn.Write([]byte("\x16\x03\x03\x00\x04\xff\xff\xff\xff"))
		return err
	}
	if _, err, seen := b.handshakeWith(s, serverName); !errors.Is(err, devices.ErrRestarted) {
		b.Errorf("%v, want %v (server: %v)", err, devices.ErrRestarted, seen.err)
	}
	p.passes(p.good(), 0)
}
