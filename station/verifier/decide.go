package verifier

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"log/slog"

	"hallmark/devices"
	"hallmark/station"
	"hallmark/station/reason"
)

// Reasons to refuse a certificate that chains to the root. A certificate that does
// not chain to the root is refused with the error of crypto/x509. Both kinds reach
// the station inside a [RefusalError].
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

// A RefusalError says why the verifier refused a client. It wraps
// station.ErrHandshakeRefused and the reason.
type RefusalError struct{ Reason error }

func (e *RefusalError) Error() string {
	return fmt.Sprintf("%v: %v", station.ErrHandshakeRefused, e.Reason)
}
func (e *RefusalError) Unwrap() []error { return []error{station.ErrHandshakeRefused, e.Reason} }

// A connection is one client of the server. Only the connection's own goroutine
// uses its fields.
type connection struct {
	*Server
	ctx         context.Context
	remote      string
	announced   *expectation // what the station expects of this client, once known; see expects
	overNetwork bool         // the client came to ServeNetwork: only its certificate tells which Run expects it
	leaf        *x509.Certificate
	sum         [sha256.Size]byte
	refusal     error // what decide returned
}

// expects returns what the station announced for this connection, or nil. The
// first answer is kept: after the station has closed its session, another
// connection can get the same address before the end of this one is reported.
func (c *connection) expects() *expectation {
	if c.announced == nil && !c.overNetwork {
		c.announced = c.expectation(c.remote)
	}
	return c.announced
}

// hello is tls.Config.GetConfigForClient. The station announces a connection
// before it sends an octet there, so the announcement is known when hello runs.
func (c *connection) hello(*tls.ClientHelloInfo) (*tls.Config, error) {
	c.expects()
	return nil, nil // keep the configuration of the server
}

// decide is tls.Config.VerifyConnection. crypto/tls sends its error as an alert.
func (c *connection) decide(state tls.ConnectionState) error {
	c.refusal = c.judge(state.PeerCertificates)
	return c.refusal
}

// judge checks chain, serial number, registry and status, the cheapest check first.
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

// chains refuses a certificate that does not chain to the root, or whose extended key usage has no clientAuth. A
// certificate without the extension may have any usage (RFC 5280 section 4.2.1.12): an IDevID and a device attestation
// certificate have none, nor has the certificate of a COSE key. So matches asks the registry for the purpose of the key.
func (s *Server) chains(leaf *x509.Certificate) error {
	opts := s.chain
	opts.CurrentTime = s.config.Now()
	opts.KeyUsages = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	_, err := leaf.Verify(opts)
	return err
}

func serialOf(leaf *x509.Certificate) (serial [16]byte, err error) {
	if leaf.SerialNumber.Sign() <= 0 || leaf.SerialNumber.BitLen() > 8*len(serial) {
		return serial, ErrSerialNumber
	}
	leaf.SerialNumber.FillBytes(serial[:])
	return serial, nil
}

// namesAnother reports whether the common name or the serial number in a subject is the BoardID of another board. A profile
// may also have other names; then the digest of the whole certificate ties it to the board.
func namesAnother(subject pkix.Name, board devices.BoardID) bool {
	for _, name := range []string{subject.CommonName, subject.SerialNumber} {
		if id, err := devices.ParseBoardID(name); err == nil && id != board {
			return true
		}
	}
	return false
}

// matches compares the certificate with its record and with the announced certificate.
func (c *connection) matches(record station.Record) error {
	expected := c.expects()
	switch {
	case record.CertificateSHA256 != c.sum:
		return &RefusalError{ErrOtherContents}
	case !record.Handshakes():
		return &RefusalError{ErrNotForTLS}
	case namesAnother(c.leaf.Subject, record.BoardID):
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

// report writes the result to the log, and to the session if the station expects this client.
func (c *connection) report(presented station.Presented, err error) {
	if c.refusal != nil {
		err = c.refusal // without the text that crypto/tls puts around the refusal
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

// attributes describes the client for the log. Names from the client's certificate
// are cut, because a client may send names of any length.
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
