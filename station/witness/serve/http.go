package serve

import (
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"

	"hallmark/station/web"
	"hallmark/station/witness"
)

// Limits of the server. Nobody signs in, so each request must be cheap to refuse.
const (
	maxUpload      = 64 << 20 // octets of a request add-entries, as sent and as unpacked
	maxConnections = 128
	maxAtOnce      = 16               // requests of one kind that write
	firstPart      = 256 << 10        // octets of a body that are read before the request counts as one that writes
	partTimeout    = 10 * time.Second // for the first part, and for each further one of this size
	perSecond      = 50               // requests of one network that write
	headerTimeout  = 10 * time.Second
	requestTimeout = time.Minute
	idleTimeout    = 2 * time.Minute
	maxHeader      = 16 << 10
	endTimeout     = 10 * time.Second // for requests under way when the server ends
)

// A Server answers the requests of stations and auditors.
type Server struct {
	store *Store
	log   *slog.Logger
	began time.Time
	rates *web.Rates
	pace  time.Duration // for each part of a body
}

// NewServer makes a server.
func NewServer(store *Store, log *slog.Logger) *Server {
	return &Server{store: store, log: log, began: store.now(), rates: web.NewRates(perSecond, store.now), pace: partTimeout}
}

// Serve answers requests until ctx ends. settings is nil for plain HTTP.
func (s *Server) Serve(ctx context.Context, listener net.Listener, settings *tls.Config) error {
	server := &http.Server{
		Handler: s.Handler(), TLSConfig: settings, MaxHeaderBytes: maxHeader,
		ReadHeaderTimeout: headerTimeout, ReadTimeout: requestTimeout, WriteTimeout: requestTimeout, IdleTimeout: idleTimeout,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	return web.Serve(ctx, server, web.Bound(listener, maxConnections), endTimeout)
}

// Handler returns the handler of all paths (C2SP tlog-witness, tlog-mirror, tlog-tiles).
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /"+witness.PathAddCheckpoint, s.bounded(s.addCheckpoint))
	mux.HandleFunc("POST /"+witness.PathAddEntries, s.bounded(s.addEntries))
	mux.HandleFunc("GET /{hash}/checkpoint", func(w http.ResponseWriter, r *http.Request) { s.file(w, r, "checkpoint", false) })
	mux.HandleFunc("GET /mirror/{hash}/{path...}", func(w http.ResponseWriter, r *http.Request) { s.file(w, r, r.PathValue("path"), true) })
	mux.HandleFunc("GET /status", s.status)
	return mux
}

// bounded refuses a request that writes while too many others of its kind do. It takes the place among
// them when the first part of the body is there, so that somebody who sends slowly keeps nobody out.
func (s *Server) bounded(handle http.HandlerFunc) http.HandlerFunc {
	busy := make(chan struct{}, maxAtOnce)
	return func(w http.ResponseWriter, r *http.Request) {
		if !s.rates.Take(r.RemoteAddr) {
			http.Error(w, "too many requests in this second; try again later", http.StatusTooManyRequests)
			return
		}
		body, err := newPaced(w, r, s.pace)
		if err != nil {
			s.answer(w, r, "", err)
			return
		}
		r.Body = body
		select {
		case busy <- struct{}{}:
			defer func() { <-busy }()
			handle(w, r)
		default:
			http.Error(w, "too many requests at once; try again later", http.StatusServiceUnavailable)
		}
	}
}

func (s *Server) addCheckpoint(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, witness.MaxRequest))
	var line string
	if err == nil {
		var request *witness.Request
		if request, err = witness.ParseRequest(body); err == nil {
			line, err = s.store.AddCheckpoint(request)
		}
	}
	s.answer(w, r, line, err)
}

func (s *Server) addEntries(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Accept-Encoding", "gzip")
	body := io.Reader(http.MaxBytesReader(w, r.Body, maxUpload))
	if r.Header.Get("Content-Encoding") == "gzip" {
		unpacked, err := gzip.NewReader(body)
		if err != nil {
			s.answer(w, r, "", refuse(http.StatusBadRequest, err))
			return
		}
		body = io.LimitReader(unpacked, maxUpload)
	}
	line, err := s.store.AddEntries(body)
	s.answer(w, r, line, err)
}

// answer answers with a signature line, or with the refusal.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, line string, err error) {
	if err == nil {
		s.log.Info("cosigned", "path", r.URL.Path, "from", r.RemoteAddr)
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, line) // the client sees an answer that is cut off
		return
	}
	refused := asRefusal(err)
	s.log.Warn("refused", "path", r.URL.Path, "from", r.RemoteAddr, "status", refused.status, "why", err.Error())
	if refused.kind != "" {
		w.Header().Set("Content-Type", refused.kind)
		w.WriteHeader(refused.status)
		_, _ = w.Write(refused.body) // as above
		return
	}
	text := refused.Error()
	if refused.status >= http.StatusInternalServerError {
		text = "this witness has a fault of its own; its log says which" // no path of this machine
	}
	http.Error(w, text, refused.status)
}

func asRefusal(err error) *refusal {
	var refused *refusal
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &refused):
		return refused
	case errors.As(err, &large):
		return refuse(http.StatusRequestEntityTooLarge, err)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return refuse(http.StatusRequestTimeout, err)
	case errors.Is(err, witness.ErrRequest) || errors.Is(err, io.ErrUnexpectedEOF):
		return refuse(http.StatusBadRequest, err)
	}
	return refuse(http.StatusInternalServerError, err)
}

// file serves a checkpoint, a tile or an entry bundle.
func (s *Server) file(w http.ResponseWriter, r *http.Request, path string, mirror bool) {
	name, known := s.store.monitored(r.PathValue("hash"), path, mirror)
	if !known {
		http.NotFound(w, r)
		return
	}
	content, err := os.ReadFile(name)
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.EISDIR) || errors.Is(err, syscall.ENOTDIR):
		http.NotFound(w, r)
		return
	case err != nil:
		s.log.Error("reading a file", "error", err)
		http.Error(w, "this mirror cannot read the file", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	if path == "checkpoint" {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
	}
	_, _ = w.Write(content) // the client sees an answer that is cut off
}

// A Status is what the server says of itself.
type Status struct {
	Witness string      `json:"witness"` // verifier keys
	Mirror  string      `json:"mirror"`
	Since   time.Time   `json:"since"`
	Logs    []LogStatus `json:"logs"`
}

// A LogStatus is the state of one log.
type LogStatus struct {
	Origin     string `json:"origin"`
	OriginHash string `json:"origin_hash"`
	Cosigned   int64  `json:"cosigned"` // entries under the newest cosigned checkpoint
	Mirrored   int64  `json:"mirrored"` // entries under the newest checkpoint of the mirror
	Refused    int    `json:"refused"`  // checkpoints of this log that did not continue it
}

func (s *Server) status(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(s.store.status(s.began)) // the client sees an answer that is cut off
}
