// Package status serves what the registry says of certificates and boards to programs on the network: OCSP answers (RFC
// 6960), and JSON over TLS. It only reads, beside a station that works, and needs neither HSM nor PIN.
package status

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"hallmark/station/ocsp"
	"hallmark/station/registry"
	"hallmark/station/web"
	"hallmark/station/workdir"
)

// Limits of the server. Nobody signs in, so each request must be cheap to refuse.
const (
	maxConnections = 512 // of one listener
	headerTimeout  = 10 * time.Second
	requestTimeout = 20 * time.Second // for header and body, and for the answer
	idleTimeout    = time.Minute
	maxHeader      = 16 << 10
	endTimeout     = 5 * time.Second // for requests under way when the server ends
	maxLookups     = 4               // at once, so that the connections of the database stay open
	lookupTimeout  = 5 * time.Second // until a lookup begins
)

// A Config is what a Server needs.
type Config struct {
	Dir       workdir.Dir
	Registry  *registry.Follower
	Issuer    [32]byte                     // SHA-256 of the SubjectPublicKeyInfo of the issuing key
	Signer    func() (*ocsp.Signer, error) // gives the newest one
	Validity  time.Duration                // of an OCSP answer
	PerSecond float64                      // requests of one network of clients
	Now       func() time.Time
	Log       *slog.Logger
}

// A Server answers requests.
type Server struct {
	Config
	rates    *web.Rates
	lookups  chan struct{}
	gathered gatherer
	end      context.CancelCauseFunc // ends the server, because it cannot give right answers any more
}

// NewServer makes a server.
func NewServer(config Config) *Server {
	return &Server{Config: config, rates: web.NewRates(config.PerSecond, config.Now), lookups: make(chan struct{}, maxLookups), gathered: gatherer{counter: config.Registry.Counter(), turn: make(chan struct{}, 1)}, end: func(error) {}}
}

// Serve answers OCSP requests on the listener plain, and all requests over TLS on the listener secure, until ctx ends. A
// listener that is nil is not served.
func (s *Server) Serve(ctx context.Context, plain, secure net.Listener, settings *tls.Config) error {
	life, end := context.WithCancelCause(ctx)
	defer end(nil)
	s.end = end
	group, running := errgroup.WithContext(life)
	serve := func(listener net.Listener, handler http.Handler, settings *tls.Config) {
		server := &http.Server{Handler: s.bounded(handler), TLSConfig: settings, MaxHeaderBytes: maxHeader, ReadHeaderTimeout: headerTimeout,
			ReadTimeout: requestTimeout, WriteTimeout: requestTimeout, IdleTimeout: idleTimeout, ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug)}
		group.Go(func() error { return web.Serve(running, server, web.Bound(listener, maxConnections), endTimeout) })
	}
	if plain != nil {
		serve(plain, http.HandlerFunc(s.ocsp), nil)
	}
	if secure != nil {
		serve(secure, s.all(), settings)
	}
	err := group.Wait()
	if cause := context.Cause(life); err == nil && ctx.Err() == nil && cause != nil {
		err = cause
	}
	return err
}

// bounded refuses the requests of a network that asks too often.
func (s *Server) bounded(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store") // a status may change at any time
		if !s.rates.Take(r.RemoteAddr) {
			w.Header().Set("Retry-After", "1")
			http.Error(w, "too many requests in this second; try again later", http.StatusTooManyRequests)
			return
		}
		handler.ServeHTTP(w, r)
	})
}

var errBusy = errors.New("too many lookups wait")

// query does one lookup in the registry. It does not pass the context of the request on, because the database would start a
// goroutine for it.
func (s *Server) query(ctx context.Context, do func(context.Context) error) error {
	release, err := take(ctx, s.lookups)
	if err != nil {
		return err
	}
	defer release()
	err = do(context.WithoutCancel(ctx))
	if errors.Is(err, registry.ErrNotFollowed) {
		s.end(err)
	}
	return err
}

// take waits for one of the places, for lookupTimeout at most.
func take(ctx context.Context, places chan struct{}) (release func(), err error) {
	waiting, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	select {
	case places <- struct{}{}:
		return func() { <-places }, nil
	case <-waiting.Done():
		return nil, errBusy
	}
}
