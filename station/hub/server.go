package hub

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"hallmark/station/outbox"
	"hallmark/station/reason"
	"hallmark/station/web"
)

// Bounds of the server for stations.
const (
	maxStations    = 1024 // connections
	maxAtOnce      = 16   // Pushes that are decoded and stored at the same time
	headerTimeout  = 10 * time.Second
	requestTimeout = time.Minute
	takeTimeout    = 25 * time.Second // for one Push in the database; the station waits for 30 s
	idleTimeout    = 2 * time.Minute
	maxHeader      = 16 << 10
	endTimeout     = 10 * time.Second
)

var errClient = errors.New("the client certificate is not that of a station of this hub")

// A Server takes what stations push. A station is known by the key of its TLS certificate, which a CA of the stations has signed.
type Server struct {
	store   *Store
	clients map[[sha256.Size]byte]int16 // SHA-256 of the SubjectPublicKeyInfo
	tls     *tls.Config
	log     *slog.Logger
	busy    chan struct{}
	slots   map[int16]chan struct{} // one Push of a station at a time: so a station takes the memory of one
}

// NewServer makes a Server. clients has the SHA-256 of each station's TLS key, by the name of the station.
func NewServer(store *Store, certificate tls.Certificate, cas *x509.CertPool, clients map[string][sha256.Size]byte, log *slog.Logger) (*Server, error) {
	s := &Server{store: store, clients: map[[sha256.Size]byte]int16{}, log: log, busy: make(chan struct{}, maxAtOnce), slots: map[int16]chan struct{}{}}
	for name, sum := range clients {
		one := store.Station(name)
		if one == nil {
			return nil, reason.Usage(fmt.Errorf("station %q: want one of the configuration", name))
		}
		if _, twice := s.clients[sum]; twice {
			return nil, reason.Usage(fmt.Errorf("station %q: its tls_key_sha256 is that of another station; each station has a key of its own", name))
		}
		s.clients[sum], s.slots[one.ID] = one.ID, make(chan struct{}, 1)
	}
	// The CA of the stations is that of the boards, too: a board is no station, because its key is in no list.
	s.tls = &tls.Config{Certificates: []tls.Certificate{certificate}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: cas, MinVersion: tls.VersionTLS13,
		VerifyConnection: func(c tls.ConnectionState) error { _, err := s.station(&c); return err }}
	return s, nil
}

// station gives the station of a connection.
func (s *Server) station(c *tls.ConnectionState) (int16, error) {
	if len(c.VerifiedChains) == 0 {
		return 0, errClient
	}
	id, known := s.clients[sha256.Sum256(c.PeerCertificates[0].RawSubjectPublicKeyInfo)]
	if !known {
		return 0, errClient
	}
	return id, nil
}

// Serve answers stations until ctx ends.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+outbox.PushPath, s.push)
	// HTTP/1.1 only: a connection of HTTP/2 has hundreds of requests at once, and a station needs one.
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	server := &http.Server{Handler: mux, Protocols: protocols, TLSConfig: s.tls, MaxHeaderBytes: maxHeader, ReadHeaderTimeout: headerTimeout, ReadTimeout: requestTimeout,
		WriteTimeout: requestTimeout, IdleTimeout: idleTimeout, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelInfo)}
	return web.Serve(ctx, server, web.Bound(listener, maxStations), endTimeout)
}

// acquire takes a place, and reports false if the client has gone.
func acquire(ctx context.Context, places chan struct{}) bool {
	select {
	case places <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (s *Server) push(w http.ResponseWriter, r *http.Request) {
	id, err := s.station(r.TLS)
	if err != nil {
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	if !acquire(r.Context(), s.slots[id]) {
		return
	}
	defer func() { <-s.slots[id] }()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, outbox.MaxPush))
	if err != nil {
		http.Error(w, "reading the entries: "+err.Error(), http.StatusBadRequest)
		return
	}
	if !acquire(r.Context(), s.busy) {
		return
	}
	defer func() { <-s.busy }()
	push, err := outbox.DecodePush(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), takeTimeout)
	defer cancel()
	answer, err := s.store.Take(ctx, id, &push)
	if err != nil && answer.Version == 0 {
		s.log.Error("taking entries", "station", s.store.stations[id].Name, "error", err)
		http.Error(w, "the hub has a fault of its own; its log says which", http.StatusServiceUnavailable)
		return
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	text, err := outbox.Encode(answer)
	if err != nil {
		s.log.Error("encoding an answer", "error", err)
		http.Error(w, "the hub cannot answer", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", outbox.TypeMessage)
	_, _ = w.Write(text) // the client sees an answer that is cut off
}
