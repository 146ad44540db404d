// Package verifier is the mutual-TLS endpoint that a board must convince.
//
// It accepts a client only if all of this holds: its certificate chains to the
// root with the extended key usage clientAuth (RFC 5280 section 6), its serial
// number is registered with the same SHA-256 and the same BoardID as common
// name, and its status allows it. A connection that the station opened with
// Connect must present exactly the certificate that it announced; only there may a
// certificate be issued or delivered, for a stranger it must be active (I6, I7).
//
// A board with a network of its own may come to another listener, ServeNetwork, where
// nobody is let in but a board for whose certificate a Run waits at that moment.
//
// A client that is accepted gets one line of 10 octets that differs each time (on
// ServeNetwork for each Run), so that it can prove that it read it. A client that is refused gets a TLS
// alert, and the log says issuer, subject, serial number and reason.
//
// The package holds no CA key and links no PKCS#11.
package verifier

import (
	"context"
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
)

// Known is what the verifier asks about a certificate. *registry.Registry is
// one implementation, [List] another.
type Known interface {
	// Lookup gives the record of a serial number, or station.ErrUnknownCertificate.
	Lookup(ctx context.Context, serial [16]byte) (station.Record, error)
}

// Config is what New needs. It must not be changed afterwards.
type Config struct {
	Certificate   tls.Certificate     // of the endpoint, with its private key
	Root          *x509.Certificate   // the only trust anchor for clients, and of Certificate
	Intermediates []*x509.Certificate // issuing CAs between Root and the boards
	Known         Known
	Now           func() time.Time
	Log           *slog.Logger
	ServerName    string // a DNS name in Certificate that boards must demand

	Timeout time.Duration // for one connection from accept to the end, default 30 s
	Limit   int           // connections at the same time, default 256; more wait to be accepted
}

// A Server is the endpoint. Its methods are safe for concurrent use.
type Server struct {
	config Config
	tls    *tls.Config
	chain  x509.VerifyOptions

	begun          atomic.Bool
	serving        chan struct{} // closed when listener is set
	listener       net.Listener  // written once, by Serve
	networkServing chan struct{} // closed when door is set, by ServeNetwork

	mu              sync.Mutex                   // covers what follows
	expected        map[string]*expectation      // by the remote address the server will see
	networkSessions map[[32]byte]*networkSession // by the certificate that will be presented; see Expect
	networkAddress  netip.AddrPort               // what boards dial; valid when networkServing is closed
}

// New checks that the configuration can work at all: key, name and chain of
// the server's own certificate.
func New(c Config) (*Server, error) {
	if c.Root == nil || c.Known == nil || c.Now == nil || c.Log == nil || c.ServerName == "" {
		return nil, errors.New("configuring the verifier: want Root, Known, Now, Log and ServerName")
	}
	if c.Timeout <= 0 {
		c.Timeout = 30 * time.Second
	}
	if c.Limit <= 0 {
		c.Limit = 256
	}
	s := &Server{config: c, serving: make(chan struct{}), networkServing: make(chan struct{}), expected: map[string]*expectation{}, networkSessions: map[[32]byte]*networkSession{}}
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

// checkOwn refuses what every board would refuse.
func (s *Server) checkOwn() error {
	if len(s.config.Certificate.Certificate) == 0 {
		return errors.New("there is none")
	}
	own, err := x509.ParseCertificate(s.config.Certificate.Certificate[0])
	if err != nil {
		return err
	}
	opts := s.chain
	opts.CurrentTime = s.config.Now()
	opts.DNSName = s.config.ServerName
	opts.KeyUsages = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	_, err = own.Verify(opts)
	return err
}

func (s *Server) settings() *tls.Config {
	return &tls.Config{
		Certificates: []tls.Certificate{s.config.Certificate},
		MinVersion:   tls.VersionTLS12,
		Time:         s.config.Now,
		// Everything is decided in VerifyConnection, which also runs on resumption;
		// no ClientCAs, so the CertificateRequest names none and stays small.
		ClientAuth: tls.RequireAnyClientCert,
		// Boards offer P-256 only; preferring another curve costs a HelloRetryRequest.
		CurvePreferences:       []tls.CurveID{tls.CurveP256},
		SessionTicketsDisabled: true,
	}
}

// ServerName is the name that boards must demand.
func (s *Server) ServerName() string { return s.config.ServerName }

// Serve accepts connections until ctx ends, then closes the listener, ends its
// connections, waits for them and returns nil. It is called once.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	if s.begun.Swap(true) {
		return errors.Join(errors.New("serving: this verifier has a listener"), listener.Close())
	}
	s.listener = listener
	close(s.serving)
	return s.loop(ctx, listener, s.serve)
}

// loop hands each connection to handle until ctx ends, and owns them all.
func (s *Server) loop(ctx context.Context, listener net.Listener, handle func(context.Context, net.Conn)) error {
	var connections sync.WaitGroup
	defer connections.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { listener.Close() })
	defer stop()
	err := s.accept(ctx, listener, &connections, handle)
	if ctx.Err() != nil {
		return nil
	}
	return errors.Join(fmt.Errorf("accepting a connection: %w", err), listener.Close())
}

// accept hands each connection to its own goroutine, at most Limit at a time.
func (s *Server) accept(ctx context.Context, listener net.Listener, connections *sync.WaitGroup, handle func(context.Context, net.Conn)) error {
	limit := make(chan struct{}, s.config.Limit)
	for {
		select {
		case limit <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		conn, err := listener.Accept()
		if temporary(err) {
			<-limit
			s.config.Log.Warn("accepting a connection", "error", err)
			if !pause(ctx, 50*time.Millisecond) {
				return ctx.Err()
			}
			continue
		}
		if err != nil {
			return err
		}
		connections.Go(func() {
			defer func() { <-limit }()
			handle(ctx, conn)
		})
	}
}

// serve owns one connection to the endpoint.
func (s *Server) serve(ctx context.Context, conn net.Conn) {
	s.handle(ctx, conn, &connection{Server: s})
}

// handle owns one connection. The deadline is absolute, so a client that
// trickles octets gets no more time than one that is silent.
func (s *Server) handle(ctx context.Context, conn net.Conn, c *connection) {
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, s.config.Timeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	c.ctx, c.remote = ctx, conn.RemoteAddr().String()
	settings := s.tls.Clone()
	settings.GetConfigForClient, settings.VerifyConnection = c.hello, c.decide
	secure := tls.Server(conn, settings)
	presented, err := c.handshake(secure)
	c.report(presented, err)
	if err == nil {
		linger(secure)
	}
}

// handshake does the handshake and says the line that only an accepted client can read.
func (c *connection) handshake(secure *tls.Conn) (station.Presented, error) {
	if err := secure.HandshakeContext(c.ctx); err != nil {
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

// answer is the Run's where a board may dial more than once in it, else a new one.
func (c *connection) answer() ([]byte, error) {
	if c.overNetwork && c.announced != nil {
		return c.announced.answer, nil
	}
	return newAnswer()
}

// newAnswer makes "ok ", six random hexadecimal digits, and a line feed: a
// board has one try per Run to guess them, and each octet crosses a slow line twice.
func newAnswer() ([]byte, error) {
	var random [3]byte
	if _, err := io.ReadFull(rand.Reader, random[:]); err != nil {
		return nil, fmt.Errorf("drawing an answer: %w", err)
	}
	return []byte("ok " + hex.EncodeToString(random[:]) + "\n"), nil
}

// linger lets the client close first, so that it can read its answer; what it
// says meanwhile is of no interest, and there is a limit to it.
func linger(secure *tls.Conn) {
	_, _ = io.CopyN(io.Discard, secure, 4096)
	_ = secure.Close()
}
