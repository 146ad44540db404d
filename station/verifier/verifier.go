// Package verifier is the mutual-TLS server of the handshake step.
//
// The server accepts a client only if all of these conditions hold: the client's
// certificate is not one of a CA, has a P-256 key and chains to the root (RFC 5280
// section 6); its extended key usage, if it has that extension, has clientAuth; its
// serial number is registered with the same SHA-256, for a TLS key, and its subject has
// no BoardID of another board; its status allows the handshake. With [Config.Known] nil
// only the chain and the CRLs decide. On a connection
// that the station opened with Connect, the client must present exactly the announced
// certificate, which may also be issued or delivered. On any other connection the
// certificate must be active (I6, I7). No client waits for others, see admission.
//
// A board with a network of its own may come to a second listener, see ServeNetwork.
// That listener accepts only a board for whose certificate a Run waits at that moment.
//
// An accepted client gets one line of 10 octets, which is different each time (on the
// listener of ServeNetwork: for each Run). The board repeats the line to the station,
// which proves that the board read it. A refused client gets a TLS alert, and the log
// gets issuer, subject, serial number and reason.
//
// The package holds no CA key and links no PKCS#11.
package verifier

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"hallmark/station"
	"hallmark/station/web"
)

// Known answers what is known of a certificate. *registry.Registry and [List]
// implement it.
type Known interface {
	// Lookup returns the record of a serial number, or station.ErrUnknownCertificate.
	Lookup(ctx context.Context, serial [16]byte) (station.Record, error)
}

// A KnownByIssuer is a Known that has more than one source. The verifier asks it for the source of the CA that issued a certificate.
type KnownByIssuer interface {
	Known
	By(issuer *x509.Certificate) Known
}

// Config is the configuration of a [Server]. It must not be changed after [New].
type Config struct {
	Certificate   tls.Certificate     // of the server, with its private key
	Root          *x509.Certificate   // the only trust anchor of clients; it also signs Certificate
	Intermediates []*x509.Certificate // issuing CAs between Root and the boards' certificates
	Known         Known               // nil: chain and Revocations alone decide, also about COSE keys; only for a server without Runs
	Revocations   Revocations         // nil: Known alone decides
	Now           func() time.Time
	Log           *slog.Logger
	ServerName    string // a DNS name in Certificate; boards must demand this name

	Timeout time.Duration // of one connection, from accept to the end; default 30 s
	Limit   int           // clients of a listener whose ClientHello has come, default 256; see admission
}

// A Server is the mutual-TLS server. Its methods are safe for concurrent use.
type Server struct {
	config Config
	tls    *tls.Config
	chain  x509.VerifyOptions

	begun          atomic.Bool
	own            chan *connection // connections of the station itself, see Connect
	networkServing chan struct{}    // closed when networkAddress is set, by ServeNetwork

	mu              sync.Mutex                   // guards the fields below
	networkSessions map[[32]byte]*networkSession // by the SHA-256 of the certificate that will be presented; see Expect
	networkAddress  netip.AddrPort               // the address that boards dial; valid after networkServing is closed
}

// New returns a server that does not listen yet. It checks key, name and chain of
// the server's own certificate.
func New(c Config) (*Server, error) {
	if c.Root == nil || c.Known == nil && c.Revocations == nil || c.Now == nil || c.Log == nil || c.ServerName == "" {
		return nil, errors.New("configuring the verifier: want Root, Known or Revocations, Now, Log and ServerName")
	}
	if c.Timeout <= 0 {
		c.Timeout = 30 * time.Second
	}
	if c.Limit <= 0 {
		c.Limit = 256
	}
	s := &Server{config: c, own: make(chan *connection), networkServing: make(chan struct{}), networkSessions: map[[32]byte]*networkSession{}}
	s.chain = x509.VerifyOptions{Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool()}
	s.chain.Roots.AddCert(c.Root)
	for _, ca := range c.Intermediates {
		s.chain.Intermediates.AddCert(ca)
	}
	if err := s.checkOwn(); err != nil {
		return nil, fmt.Errorf("checking the verifier's own certificate: %w", err)
	}
	s.tls = s.settings()
	return s, nil
}

// checkOwn refuses a server certificate that every board would refuse.
func (s *Server) checkOwn() error {
	if len(s.config.Certificate.Certificate) == 0 {
		return errors.New("there is none")
	}
	var all []*x509.Certificate
	for _, der := range s.config.Certificate.Certificate {
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			return err
		}
		all = append(all, certificate)
	}
	opts := s.chain
	opts.CurrentTime = s.config.Now()
	opts.DNSName = s.config.ServerName
	opts.KeyUsages = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	opts.Intermediates = withMore(opts.Intermediates, all[1:])
	if _, ok := all[0].PublicKey.(*ecdsa.PublicKey); !ok {
		return fmt.Errorf("its key is %s: want ECDSA, boards know no other", kindOf(all[0]))
	}
	_, err := all[0].Verify(opts)
	return err
}

func (s *Server) settings() *tls.Config {
	return &tls.Config{
		Certificates: []tls.Certificate{s.config.Certificate},
		MinVersion:   tls.VersionTLS12,
		Time:         s.config.Now,
		// VerifyConnection decides, because it also runs when a session is resumed. There
		// are no ClientCAs, so that the CertificateRequest lists no names and stays small.
		ClientAuth: tls.RequireAnyClientCert,
		// Boards offer P-256 only. Another preferred curve would cost a HelloRetryRequest.
		CurvePreferences:       []tls.CurveID{tls.CurveP256},
		SessionTicketsDisabled: true,
		CipherSuites:           suites12,
	}
}

// suites12 are the cipher suites of TLS 1.2: no CBC, whose padding has been attacked again and again. TLS 1.3 has only such suites.
var suites12 = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
}

// ServerName returns the DNS name that boards must demand.
func (s *Server) ServerName() string { return s.config.ServerName }

// Serve accepts connections until ctx ends. Then Serve closes the listener, ends
// its connections, waits for them and returns nil. Serve may be called once.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	if s.begun.Swap(true) {
		return errors.Join(errors.New("serving: this verifier has a listener"), listener.Close())
	}
	return s.loop(ctx, listener, s.own, s.handle)
}

// loop has handle serve each connection until ctx ends, then waits for all of them. Those of the station itself come from own.
func (s *Server) loop(ctx context.Context, listener net.Listener, own <-chan *connection, handle func(context.Context, *connection)) error {
	var connections sync.WaitGroup
	defer connections.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { listener.Close() })
	defer stop()
	connections.Go(func() {
		for {
			select {
			case c := <-own:
				connections.Go(func() { s.handle(ctx, c) })
			case <-ctx.Done():
				return
			}
		}
	})
	err := s.accept(ctx, listener, &connections, handle)
	if ctx.Err() != nil {
		return nil
	}
	return errors.Join(fmt.Errorf("accepting a connection: %w", err), listener.Close())
}

// accept runs handle for each connection in a goroutine. The admission bounds how many there are.
func (s *Server) accept(ctx context.Context, listener net.Listener, connections *sync.WaitGroup, handle func(context.Context, *connection)) error {
	admission := newAdmission(s.config.Limit, s.config.Log)
	for {
		conn, err := listener.Accept()
		if temporary(err) {
			s.config.Log.Warn("accepting a connection", "error", err)
			if !pause(ctx, 50*time.Millisecond) {
				return ctx.Err()
			}
			continue
		}
		if err != nil {
			return err
		}
		remote := conn.RemoteAddr().String()
		c := &connection{Server: s, conn: conn, remote: remote, admission: admission, network: web.NetworkOf(remote)}
		admission.enter(c, silent)
		connections.Go(func() {
			defer admission.leave(c)
			handle(ctx, c)
		})
	}
}

// handle does everything for one connection, and closes it. The deadline is
// absolute, so a client that sends octets slowly gets no more time than a silent one.
func (s *Server) handle(ctx context.Context, c *connection) {
	defer c.conn.Close()
	ctx, cancel := context.WithTimeout(ctx, s.config.Timeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { c.conn.Close() })
	defer stop()
	c.ctx = ctx
	settings := s.tls.Clone()
	settings.GetConfigForClient, settings.VerifyConnection = c.hello, c.decide
	secure := tls.Server(c.conn, settings)
	presented, err := c.handshake(secure)
	c.report(presented, err)
	if err == nil {
		linger(secure)
	}
}

// handshake does the TLS handshake and sends the line that only an accepted client can read.
func (c *connection) handshake(secure *tls.Conn) (station.Presented, error) {
	if err := c.shakeHands(secure); err != nil {
		return station.Presented{}, err
	}
	answer, err := c.answer()
	if err != nil {
		return station.Presented{}, err
	}
	if _, err := secure.Write(answer); err != nil {
		return station.Presented{}, fmt.Errorf("answering: %w", err)
	}
	state := secure.ConnectionState()
	return station.Presented{
		CertificateSHA256: c.sum,
		TLSVersion:        state.Version,
		CipherSuite:       state.CipherSuite,
		Answer:            answer,
		OverNetwork:       c.overNetwork,
	}, nil
}

// shakeHands does the handshake. A stranger gets less time for the ClientHello than for the rest.
func (c *connection) shakeHands(secure *tls.Conn) error {
	patience := min(helloTimeout, c.config.Timeout)
	if c.announced != nil {
		patience = c.config.Timeout
	}
	c.patience = time.AfterFunc(patience, func() { c.conn.Close() })
	defer c.patience.Stop()
	err := secure.HandshakeContext(c.ctx)
	if err != nil && c.admission.hasGivenWay(c) {
		return errGaveWay
	}
	return err
}

// answer returns the line for the client. A board that dials by itself may dial more
// than once in a Run, and gets the Run's line each time; any other client gets a new line.
func (c *connection) answer() ([]byte, error) {
	if c.overNetwork && c.announced != nil {
		return c.announced.answer, nil
	}
	return newAnswer()
}

// newAnswer makes "ok ", six random hexadecimal digits, and a line feed. Six digits
// are enough because a board has one try per Run to guess them, and each octet
// crosses the slow UART twice.
func newAnswer() ([]byte, error) {
	var random [3]byte
	if _, err := io.ReadFull(rand.Reader, random[:]); err != nil {
		return nil, fmt.Errorf("drawing an answer: %w", err)
	}
	return []byte("ok " + hex.EncodeToString(random[:]) + "\n"), nil
}

// linger waits until the client closes the connection, so that the client can read
// its answer. It drops at most 4096 octets that the client sends meanwhile.
func linger(secure *tls.Conn) {
	_, _ = io.CopyN(io.Discard, secure, 4096)
	_ = secure.Close()
}
