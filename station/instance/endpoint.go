package instance

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"

	"hallmark/station/reason"
	"hallmark/station/verifier"
	"hallmark/station/workdir"
)

// An Endpoint is the verifier's mutual-TLS server, open for connections.
type Endpoint struct{ Server *verifier.Server }

// OpenEndpoint opens the verifier's port and, if boards use their own network, the port for
// boards. Both stay open until Close.
func (r *Record) OpenEndpoint(ctx context.Context) (*Endpoint, error) {
	server, err := r.NewVerifier(r.Registry)
	if err != nil {
		return nil, err
	}
	stop, err := serve(ctx, "the verifier's port", r.Config.Verifier.Listen, server.Serve)
	if err != nil {
		return nil, err
	}
	stopNetwork, err := r.serveNetwork(ctx, server)
	if err != nil {
		return nil, errors.Join(err, stop())
	}
	r.OnClose(func() error { return errors.Join(stopNetwork(), stop()) })
	return &Endpoint{server}, nil
}

// serveNetwork opens the port for boards, if the configuration asks for it.
func (r *Record) serveNetwork(ctx context.Context, server *verifier.Server) (stop func() error, err error) {
	if !r.OverNetwork() {
		return func() error { return nil }, nil
	}
	address := r.Config.Network.Dial()
	return serve(ctx, "the port for boards (network.listen)", r.Config.Network.Listen,
		func(ctx context.Context, listener net.Listener) error {
			return server.ServeNetwork(ctx, listener, address)
		})
}

// serve listens on address, and serves in a goroutine until stop is called.
func serve(ctx context.Context, what, address string, serve func(context.Context, net.Listener) error) (stop func() error, err error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", what, err)
	}
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- serve(life, listener) }()
	return func() error { cancel(); return <-ended }, nil
}

// NewVerifier makes the verifier from the files of the station. The verifier looks certificates up in known.
func (f *Files) NewVerifier(known verifier.Known) (*verifier.Server, error) {
	certificate, err := ServerPair(f.Dir, f.options.Now())
	if err != nil {
		return nil, err
	}
	if hook := f.options.TestingOnly.Known; hook != nil {
		known = hook(known)
	}
	return verifier.New(verifier.Config{
		Certificate: certificate, Root: f.Root, Intermediates: []*x509.Certificate{f.Issuing}, Known: known,
		Now: f.options.Now, Log: f.Log, ServerName: f.Config.Verifier.ServerName,
	})
}

// RenewBefore is how long before the end of the verifier's certificate a health check asks for a new one.
const RenewBefore = 30 * 24 * time.Hour

// Errors of CheckExpiry.
var (
	ErrEnded  = errors.New("the verifier's certificate has ended: no board is accepted until `station renew-verifier` has made a new one")
	ErrEnding = errors.New("the verifier's certificate ends soon: run `station renew-verifier` before that")
)

// CheckExpiry returns ErrEnded or ErrEnding if the certificate of the verifier has ended or will end soon.
func CheckExpiry(certificate *x509.Certificate, now time.Time) error {
	left := certificate.NotAfter.Sub(now)
	switch {
	case left <= 0:
		return fmt.Errorf("%s: %w", certificate.NotAfter.UTC().Format(time.RFC3339), ErrEnded)
	case left < RenewBefore:
		return fmt.Errorf("%s, in %s: %w", certificate.NotAfter.UTC().Format(time.DateOnly), reason.Count(left/(24*time.Hour), "day", "days"), ErrEnding)
	}
	return nil
}

// ServerPair reads the certificate of the verifier and its key. It refuses a certificate that has ended.
func ServerPair(dir workdir.Dir, now time.Time) (pair tls.Certificate, err error) {
	if err := workdir.Private(dir.ServerKey()); err != nil {
		return pair, err
	}
	if pair, err = readPair(dir); err != nil {
		return pair, fmt.Errorf("reading the verifier's certificate: %w", err)
	}
	if err := CheckExpiry(pair.Leaf, now); errors.Is(err, ErrEnded) {
		return pair, fmt.Errorf("%s: %w", dir.Server(), err)
	}
	return pair, nil
}

func readPair(dir workdir.Dir) (pair tls.Certificate, err error) {
	certificate, err := workdir.ReadFile(dir.Server())
	if err != nil {
		return pair, err
	}
	key, err := workdir.ReadFile(dir.ServerKey())
	if err != nil {
		return pair, err
	}
	defer clear(key)
	return tls.X509KeyPair(certificate, key)
}
