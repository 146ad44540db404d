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
)

// Reasons to refuse a certificate that chains to the root. The reasons of the
// chain itself are those of crypto/x509. All of them reach the station inside a
// [RefusalError].
var (
	ErrNoCertificate  = errors.New("client presented no certificate")
	ErrSerialNumber   = errors.New("serial number is not one of ours: positive, at most 16 octets")
	ErrNotRegistered  = errors.New("certificate is not registered")
	ErrOtherContents  = errors.New("registered under this serial number is another certificate")
	ErrOtherBoard     = errors.New("certificate is registered for another board")
	ErrRevoked        = errors.New("certificate is not good any more")
	ErrNotActive      = errors.New("certificate is not active")
	ErrNotForTLS      = errors.New("certificate is not for a key that does handshakes")
	ErrNotTheExpected = errors.New("client presented another certificate than the expected one")
)

// RefusalError says why a client was refused. It wraps
// station.ErrHandshakeRefused and the reason.
type RefusalError struct{ Reason error }

func (e *RefusalError) Error() string {
	return fmt.Sprintf("%v: %v", station.ErrHandshakeRefused, e.Reason)
}
func (e *RefusalError) Unwrap() []error { return []error{station.ErrHandshakeRefused, e.Reason} }

// A connection is one client of this server. All its fields belong to that connection's goroutine.
type connection struct {
	*Server
	ctx         context.Context
	remote      string
	announced   *expectation // whose visit it is, once known; see expects
	overNetwork bool         // it came to ServeNetwork: only its certificate tells whose visit it is
	leaf        *x509.Certificate
	sum         [sha256.Size]byte
	refusal     error // what decide returned
}

// expects gives what was announced for this connection, or nil. The first
// answer stays: when a station gives up, another connection may come to have
// the same address before this one's end is reported.
func (c *connection) expects() *expectation {
	if c.announced == nil && !c.overNetwork {
		c.announced = c.expectation(c.remote)
	}
	return c.announced
}

// hello is tls.Config.GetConfigForClient: the station announces a connection
// before it sends an octet there.
func (c *connection) hello(*tls.ClientHelloInfo) (*tls.Config, error) {
	c.expects()
	return nil, nil // go on with the configuration there is
}

// decide is tls.Config.VerifyConnection. Its error becomes the alert.
func (c *connection) decide(state tls.ConnectionState) error {
	c.refusal = c.judge(state.PeerCertificates)
	return c.refusal
}

// judge asks, from the cheapest question to the dearest: chain, number, registry, status.
func (c *connection) judge(presented []*x509.Certificate) error {
	if len(presented) == 0 {
		return &RefusalError{ErrNoCertificate}
	}
	c.leaf, c.sum = presented[0], sha256.Sum256(presented[0].Raw)
	if err := c.chains(c.leaf); err != nil {
		return &RefusalError{err}
	}
	if err := c.matchNetworkSession(); err != nil {
		return &RefusalError{err}
	}
	serial, err := serialOf(c.leaf)
	if err != nil {
		return &RefusalError{err}
	}
	record, err := c.config.Known.Lookup(c.ctx, serial)
	if errors.Is(err, station.ErrUnknownCertificate) {
		return &RefusalError{ErrNotRegistered}
	} else if err != nil {
		return fmt.Errorf("looking up serial number %x: %w: %w", serial, station.ErrRegistry, err)
	}
	return c.matches(record)
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
func (c *connection) matches(record station.Record) error {
	expected := c.expects()
	switch {
	case record.CertificateSHA256 != c.sum:
		return &RefusalError{ErrOtherContents}
	case !record.Handshakes():
		return &RefusalError{ErrNotForTLS}
	case record.BoardID != c.leaf.Subject.CommonName:
		return &RefusalError{ErrOtherBoard}
	case expected != nil && expected.sum != c.sum:
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
func (c *connection) report(presented station.Presented, err error) {
	if c.refusal != nil {
		err = c.refusal // without crypto/tls's words around it
	}
	if c.overNetwork && err != nil {
		c.noteRefusal(err)
	} else if expected := c.expects(); expected != nil {
		expected.resolve(presented, err)
	}
	log := c.config.Log.With(c.attributes()...)
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

// attributes describes the client. What it wrote itself is cut to a length that a log can bear.
func (c *connection) attributes() []any {
	about := []any{slog.String("remote", c.remote)}
	if c.leaf == nil {
		return about
	}
	return append(about,
		slog.String("issuer", cut(c.leaf.Issuer.String())),
		slog.String("subject", cut(c.leaf.Subject.String())),
		slog.String("serial", cut(fmt.Sprintf("%x", c.leaf.SerialNumber))),
		slog.String("sha256", fmt.Sprintf("%x", c.sum)))
}

func cut(s string) string {
	const bound = 200
	if len(s) > bound {
		return s[:bound] + "…"
	}
	return s
}
