package verifier

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"hallmark/station"
	"hallmark/station/reason"
)

// Reasons to refuse a certificate that chains to the root. The reasons of the
// chain itself are those of crypto/x509. All of them reach the station inside a
// [RefusalError].
var (
	ErrNoCertificate  = reason.New("no-client-certificate", "client presented no certificate")
	ErrSerialNumber   = reason.New("foreign-serial-number", "serial number is not one of ours: positive, at most 16 octets")
	ErrNotRegistered  = reason.New("not-registered", "certificate is not registered")
	ErrOtherContents  = reason.New("other-contents", "registered under this serial number is another certificate")
	ErrOtherBoard     = reason.New("other-board", "certificate is registered for another board")
	ErrRevoked        = reason.New("certificate-ended", "certificate is not good any more")
	ErrNotActive      = reason.New("not-active", "certificate is not active")
	ErrNotForTLS      = reason.New("not-for-tls", "certificate is not for a key that does handshakes")
	ErrNotTheExpected = reason.New("not-expected", "client presented another certificate than the expected one")
)

// RefusalError says why a client was refused. It wraps
// station.ErrHandshakeRefused and the reason.
type RefusalError struct{ Reason error }

func (e *RefusalError) Error() string {
	return fmt.Sprintf("%v: %v", station.ErrHandshakeRefused, e.Reason)
}
func (e *RefusalError) Unwrap() []error { return []error{station.ErrHandshakeRefused, e.Reason} }

// A visit is one connection. All its fields belong to that connection's goroutine.
type visit struct {
	*Server
	ctx       context.Context
	remote    string
	announced *expectation // whose visit it is, once known; see expects
	awaited   bool         // it came to ServeNetwork: only its certificate tells whose visit it is
	leaf      *x509.Certificate
	sum       [sha256.Size]byte
	refusal   error // what decide returned
}

// expects gives what was announced for this connection, or nil. The first
// answer stays: when a station gives up, another connection may come to have
// the same address before this one's end is reported.
func (v *visit) expects() *expectation {
	if v.announced == nil && !v.awaited {
		v.announced = v.expectation(v.remote)
	}
	return v.announced
}

// hello is tls.Config.GetConfigForClient: the station announces a connection
// before it sends an octet there.
func (v *visit) hello(*tls.ClientHelloInfo) (*tls.Config, error) {
	v.expects()
	return nil, nil // go on with the configuration there is
}

// decide is tls.Config.VerifyConnection. Its error becomes the alert.
func (v *visit) decide(state tls.ConnectionState) error {
	v.refusal = v.judge(state.PeerCertificates)
	return v.refusal
}

// judge asks, from the cheapest question to the dearest: chain, number, registry, status.
func (v *visit) judge(presented []*x509.Certificate) error {
	if len(presented) == 0 {
		return &RefusalError{ErrNoCertificate}
	}
	v.leaf, v.sum = presented[0], sha256.Sum256(presented[0].Raw)
	if err := v.chains(v.leaf); err != nil {
		return &RefusalError{err}
	}
	if err := v.invited(); err != nil {
		return &RefusalError{err}
	}
	serial, err := serialOf(v.leaf)
	if err != nil {
		return &RefusalError{err}
	}
	record, err := v.config.Known.Lookup(v.ctx, serial)
	if errors.Is(err, station.ErrUnknownCertificate) {
		return &RefusalError{ErrNotRegistered}
	} else if err != nil {
		return fmt.Errorf("looking up serial number %x: %w: %w", serial, station.ErrRegistry, err)
	}
	return v.matches(record)
}

func (s *Server) chains(leaf *x509.Certificate) error {
	opts := s.chain
	opts.CurrentTime = s.config.Now()
	opts.KeyUsages = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if _, err := leaf.Verify(opts); err != nil {
		return err
	}
	// Without the extension any usage is good for crypto/x509 (RFC 5280 section
	// 4.2.1.12), and the certificate of a board's other key has none.
	if !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageClientAuth) {
		return ErrNotForTLS
	}
	return nil
}

func serialOf(leaf *x509.Certificate) (serial [16]byte, err error) {
	if leaf.SerialNumber.Sign() <= 0 || leaf.SerialNumber.BitLen() > 8*len(serial) {
		return serial, ErrSerialNumber
	}
	leaf.SerialNumber.FillBytes(serial[:])
	return serial, nil
}

// matches compares the certificate with its record and with what was announced.
func (v *visit) matches(record station.Record) error {
	expected := v.expects()
	switch {
	case record.CertificateSHA256 != v.sum:
		return &RefusalError{ErrOtherContents}
	case !record.Handshakes():
		return &RefusalError{ErrNotForTLS}
	case record.BoardID.String() != v.leaf.Subject.CommonName:
		return &RefusalError{ErrOtherBoard}
	case expected != nil && expected.sum != v.sum:
		return &RefusalError{ErrNotTheExpected}
	}
	switch record.Status {
	case station.StatusActive:
		return nil
	case station.StatusIssued, station.StatusDelivered:
		if expected != nil {
			return nil
		}
		return &RefusalError{fmt.Errorf("%w: it is %s", ErrNotActive, record.Status)}
	default:
		return &RefusalError{fmt.Errorf("%w: it is %s", ErrRevoked, record.Status)}
	}
}

// report tells the log, and the session if the station waits for one.
func (v *visit) report(presented station.Presented, err error) {
	if v.refusal != nil {
		err = v.refusal // without crypto/tls's words around it
	}
	if v.awaited && err != nil {
		v.missed(err)
	} else if expected := v.expects(); expected != nil {
		expected.tell(presented, err)
	}
	log := v.config.Log.With(v.who()...)
	var refused *RefusalError
	switch {
	case err == nil:
		log.Info("accepted", "tls", tls.VersionName(presented.TLSVersion), "cipher", tls.CipherSuiteName(presented.CipherSuite))
	case errors.As(err, &refused):
		log.Warn("refused", "reason", refused.Reason.Error())
	default:
		log.Warn("handshake not completed", "reason", err.Error())
	}
}

// who describes the client. What it wrote itself is cut to a length that a log can bear.
func (v *visit) who() []any {
	about := []any{slog.String("remote", v.remote)}
	if v.leaf == nil {
		return about
	}
	return append(about,
		slog.String("issuer", cut(v.leaf.Issuer.String())),
		slog.String("subject", cut(v.leaf.Subject.String())),
		slog.String("serial", cut(fmt.Sprintf("%x", v.leaf.SerialNumber))),
		slog.String("sha256", fmt.Sprintf("%x", v.sum)))
}

func cut(s string) string {
	const bound = 200
	if len(s) > bound {
		return s[:bound] + "…"
	}
	return s
}
