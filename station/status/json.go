package status

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"hallmark/devices"
	"hallmark/station"
	"hallmark/station/ocsp"
	"hallmark/station/registry"
)

// The answers in JSON are stable: keys are only ever added (docs/orders.md).

// A Certificate is the answer to GET /certificates/{serial}.
type Certificate struct {
	Serial     string      `json:"serial"` // 32 hexadecimal digits
	Status     string      `json:"status"`
	OCSP       string      `json:"ocsp"` // good, revoked or unknown
	Revocation *Revocation `json:"revocation"`
	BoardID    string      `json:"board_id"`
	Purpose    string      `json:"purpose"`
	Profile    string      `json:"profile"`
	NotBefore  string      `json:"not_before"` // RFC 3339
	NotAfter   string      `json:"not_after"`
	Changed    string      `json:"changed"` // when it got its status
	SHA256     string      `json:"sha256"`  // of the certificate in DER; empty without one
}

// A Revocation says since when and why verifiers must refuse a certificate.
type Revocation struct {
	Time   time.Time `json:"time"`
	Reason string    `json:"reason"` // RFC 5280, 5.3.1
}

// A Board is the answer to GET /boards/{id}.
type Board struct {
	BoardID      string        `json:"board_id"`
	Type         string        `json:"type"`
	FirstSeen    string        `json:"first_seen"`
	Scrapped     string        `json:"scrapped"` // empty: it was not
	Certificates []Certificate `json:"certificates"`
	Held         string        `json:"held"` // since when the board is on hold; empty: it is not
}

// Health is the answer to GET /healthz.
type Health struct {
	Status   string    `json:"status"` // ok, or fault with the HTTP status 503
	Faults   []string  `json:"faults"`
	Warnings []string  `json:"warnings"`
	OCSPEnds time.Time `json:"ocsp_not_after"`
}

// A refusal is an answer that is none of the above.
type refusal struct {
	Error string `json:"error"`
}

// all handles the paths that are served over TLS.
func (s *Server) all() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /certificates/{serial}", s.certificate)
	mux.HandleFunc("GET /boards/{id}", s.board)
	mux.HandleFunc("GET /healthz", s.health)
	mux.HandleFunc("GET /readyz", s.ready)
	mux.HandleFunc("GET /metrics", s.metrics)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if path := r.URL.EscapedPath(); path == "/ocsp" || strings.HasPrefix(path, "/ocsp/") {
			s.ocsp(w, r) // the mux would change two slashes in base64 to one
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func (s *Server) certificate(w http.ResponseWriter, r *http.Request) {
	octets, err := hex.DecodeString(r.PathValue("serial"))
	if err != nil || len(octets) != 16 {
		respond(w, http.StatusBadRequest, refusal{"want a serial number of 32 hexadecimal digits"})
		return
	}
	var found registry.CertificateStatus
	err = s.query(r.Context(), func(ctx context.Context) (err error) {
		found, err = s.Registry.Status(ctx, [16]byte(octets))
		return err
	})
	if s.found(w, r, err) {
		respond(w, http.StatusOK, s.describe(&found))
	}
}

func (s *Server) board(w http.ResponseWriter, r *http.Request) {
	id, err := devices.ParseBoardID(r.PathValue("id"))
	if err != nil {
		respond(w, http.StatusBadRequest, refusal{"want a BoardID such as 123e4567-e89b-12d3-a456-426614174000"})
		return
	}
	var found registry.BoardStatus
	err = s.query(r.Context(), func(ctx context.Context) (err error) {
		found, err = s.Registry.Board(ctx, id)
		return err
	})
	if !s.found(w, r, err) {
		return
	}
	answer := Board{BoardID: id.String(), Type: found.Type, FirstSeen: found.FirstSeen, Scrapped: found.Scrapped, Held: found.Held, Certificates: []Certificate{}}
	for i := range found.Certificates {
		answer.Certificates = append(answer.Certificates, s.describe(&found.Certificates[i]))
	}
	respond(w, http.StatusOK, answer)
}

// describe says of a certificate also what OCSP says of it, by its own issuer.
func (s *Server) describe(c *registry.CertificateStatus) Certificate {
	answer := Certificate{Serial: hex.EncodeToString(c.Serial[:]), Status: c.Status, BoardID: c.BoardID.String(), Purpose: c.Purpose.String(),
		Profile: c.Profile, NotBefore: c.NotBefore, NotAfter: c.NotAfter, Changed: c.Changed, SHA256: c.SHA256}
	answer.OCSP = map[ocsp.State]string{ocsp.Good: "good", ocsp.Revoked: "revoked", ocsp.Unknown: "unknown"}[statusOf(c).State]
	if c.Revocation != nil {
		answer.Revocation = &Revocation{c.Revocation.Time, c.Revocation.Reason}
	}
	return answer
}

// found reports whether a lookup has a result. Otherwise it answers the request.
func (s *Server) found(w http.ResponseWriter, r *http.Request, err error) bool {
	switch {
	case err == nil:
		return true
	case errors.Is(err, station.ErrUnknownCertificate):
		respond(w, http.StatusNotFound, refusal{"no certificate has this serial number"})
	case errors.Is(err, registry.ErrUnknownBoard):
		respond(w, http.StatusNotFound, refusal{"no board has this BoardID"})
	default:
		s.Log.Error("a request got no answer", "from", r.RemoteAddr, "path", r.URL.Path, "error", err)
		respond(w, http.StatusServiceUnavailable, refusal{"this server has a fault of its own; its log says which"}) // no path of this machine
	}
	return false
}

// health looks at all that an answer needs.
func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	answer := Health{Status: "ok", Faults: []string{}, Warnings: []string{}}
	signer, err := s.Signer()
	if err == nil {
		answer.OCSPEnds = signer.Certificate.NotAfter.UTC()
		err = ocsp.CheckExpiry(signer.Certificate, s.Now())
	}
	switch {
	case errors.Is(err, ocsp.ErrEnding):
		answer.Warnings = append(answer.Warnings, err.Error())
	case err != nil:
		answer.Faults = append(answer.Faults, err.Error())
	}
	if err := s.Registry.Follows(); err != nil {
		answer.Faults = append(answer.Faults, registry.ErrNotFollowed.Error())
		s.end(err)
	}
	status := http.StatusOK
	if len(answer.Faults) > 0 {
		answer.Status, status = "fault", http.StatusServiceUnavailable
	}
	respond(w, status, answer)
}

func respond(w http.ResponseWriter, status int, answer any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer) // the client sees an answer that is cut off
}
