package status

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"strings"

	"hallmark/station"
	"hallmark/station/ocsp"
	"hallmark/station/registry"
)

// OCSP over HTTP (RFC 6960 appendix A). A request that HTTP carried gets its refusal as an OCSP answer, and then
// the status of HTTP is 200. A request that is too long gets the status of HTTP for that as well (RFC 9110, 15.5.14 and 15.5.15).

// ocsp answers a request of any path below "/" or "/ocsp/".
func (s *Server) ocsp(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodPost:
		der, err := io.ReadAll(http.MaxBytesReader(w, r.Body, ocsp.MaxRequest))
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			s.send(w, http.StatusRequestEntityTooLarge, ocsp.Malformed)
			return
		} else if err != nil {
			return // the client has gone, or is too slow
		}
		s.answer(w, r, der)
	case http.MethodGet:
		der, err := inPath(r.URL)
		switch {
		case err != nil:
			s.refuse(w, r, err)
		case len(der) > ocsp.MaxRequest:
			s.send(w, http.StatusRequestURITooLong, ocsp.Malformed)
		default:
			s.answer(w, r, der)
		}
	default:
		w.Header().Set("Allow", "GET, POST")
		http.Error(w, "want GET or POST", http.StatusMethodNotAllowed)
	}
}

var errPath = errors.New("want a request in base64 as the path")

// inPath reads a request from the path: base64, perhaps with percent escapes.
func inPath(from *url.URL) ([]byte, error) {
	path := strings.TrimPrefix(strings.TrimPrefix(from.EscapedPath(), "/"), "ocsp/")
	text, err := url.PathUnescape(path)
	if err == nil {
		var der []byte
		if der, err = base64.RawStdEncoding.Strict().DecodeString(strings.TrimRight(text, "=")); err == nil && len(der) > 0 {
			return der, nil
		}
	}
	return nil, errPath
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request, der []byte) {
	request, err := ocsp.Parse(der)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	signer, err := s.Signer()
	if err == nil {
		err = ocsp.CheckExpiry(signer.Certificate, s.Now())
	}
	if err != nil && !errors.Is(err, ocsp.ErrEnding) {
		s.fail(w, r, err)
		return
	}
	lookup := func(serial *big.Int) (status ocsp.Status, err error) {
		err = s.query(r.Context(), func(ctx context.Context) error {
			status, err = s.status(ctx, serial)
			return err
		})
		return status, err
	}
	answer, err := signer.Answer(request, lookup, s.Now(), s.Validity)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.send(w, http.StatusOK, answer)
}

// status gives what the registry says of a serial number of the issuing CA. A serial number that may have been signed, or
// was signed with an earlier key, is unknown.
func (s *Server) status(ctx context.Context, serial *big.Int) (ocsp.Status, error) {
	var octets [16]byte
	if serial.Cmp(new(big.Int)) <= 0 || serial.BitLen() > 8*len(octets) {
		return ocsp.Status{}, nil
	}
	found, err := s.Registry.Status(ctx, [16]byte(serial.FillBytes(octets[:])))
	if errors.Is(err, station.ErrUnknownCertificate) {
		return ocsp.Status{}, nil
	} else if err != nil {
		return ocsp.Status{}, err
	}
	if found.Issuer != s.Issuer {
		return ocsp.Status{}, nil
	}
	return statusOf(&found), nil
}

func statusOf(c *registry.CertificateStatus) ocsp.Status {
	switch {
	case c.Revocation != nil:
		return ocsp.Status{State: ocsp.Revoked, RevokedAt: c.Revocation.Time, Reason: c.Revocation.Code}
	case c.Known():
		return ocsp.Status{State: ocsp.Good}
	}
	return ocsp.Status{}
}

func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	s.Log.Debug("refused", "from", r.RemoteAddr, "why", err)
	s.send(w, http.StatusOK, ocsp.Malformed)
}

// fail answers that the responder has a fault of its own.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return
	}
	s.Log.Error("an OCSP request got no answer", "from", r.RemoteAddr, "error", err)
	if errors.Is(err, errBusy) {
		s.send(w, http.StatusOK, ocsp.TryLater)
		return
	}
	s.send(w, http.StatusOK, ocsp.InternalError)
}

func (s *Server) send(w http.ResponseWriter, status int, der []byte) {
	w.Header().Set("Content-Type", "application/ocsp-response")
	w.WriteHeader(status)
	_, _ = w.Write(der) // the client sees an answer that is cut off
}
