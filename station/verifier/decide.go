package verifier

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

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
	ErrAuthority      = reason.New("ca-certificate", "certificate is one of a CA, not of a board")
	ErrKeyKind        = reason.New("key-kind", "certificate is for a key of a kind that no board has")
	ErrKeyUse         = reason.New("key-use", "certificate's key usage has no digital signature, so its key may do no handshake")
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
	conn        net.Conn
	remote      string
	admission   *admission
	patience    *time.Timer  // closes the connection unless its ClientHello comes
	announced   *expectation // what the station expects of this client; over the network, once its certificate is known
	overNetwork bool         // the client came to ServeNetwork: only its certificate tells which Run expects it
	leaf        *x509.Certificate
	sum         [sha256.Size]byte
	refusal     error // what decide returned

	// The admission guards these fields.
	network  netip.Prefix
	stage    stage
	admitted bool // it is in a stage
	left     bool // it has ended, or gave way
	gaveWay  bool
}

// hello is tls.Config.GetConfigForClient. It runs when the whole ClientHello has come.
func (c *connection) hello(*tls.ClientHelloInfo) (*tls.Config, error) {
	c.patience.Stop()
	c.admission.enter(c, heard)
	return nil, nil // keep the configuration of the server
}

// decide is tls.Config.VerifyConnection. crypto/tls sends its error as an alert.
func (c *connection) decide(state tls.ConnectionState) error {
	c.refusal = c.judge(state.PeerCertificates)
	return c.refusal
}

// judge checks chain, contents, the Run that waits (network only), serial number, CRLs, registry and status, in this order.
func (c *connection) judge(presented []*x509.Certificate) error {
	if len(presented) == 0 {
		return &RefusalError{ErrNoCertificate}
	}
	c.leaf, c.sum = presented[0], sha256.Sum256(presented[0].Raw)
	chain, err := c.chainOf(presented)
	if err != nil {
		return &RefusalError{err}
	}
	if err := c.matchNetworkSession(); err != nil {
		return &RefusalError{err}
	}
	serial, err := serialOf(c.leaf)
	if err != nil {
		return &RefusalError{err}
	}
	if c.config.Revocations != nil {
		if err := c.config.Revocations.Check(chain); err != nil {
			return &RefusalError{err}
		}
	}
	if c.config.Known == nil {
		return nil
	}
	known := c.config.Known
	if several, ok := known.(KnownByIssuer); ok {
		known = several.By(chain[1]) // checkLeaf refuses a root, so there is an issuer
	}
	record, err := known.Lookup(c.ctx, serial)
	switch {
	case errors.Is(err, station.ErrUnknownCertificate):
		return &RefusalError{ErrNotRegistered}
	case errors.Is(err, ErrStatusStale):
		return &RefusalError{err}
	case err != nil:
		return fmt.Errorf("looking up serial number %x: %w: %w", serial, station.ErrRegistry, err)
	}
	return c.matches(record)
}

// chainOf returns the chain of the client's certificate, from the leaf to the root. The client may bring CAs of its own
// below the root. chainOf refuses a certificate whose extended key usage has no clientAuth. A certificate without the
// extension may have any usage (RFC 5280 section 4.2.1.12): an IDevID and a device attestation certificate have none, nor
// has the certificate of a COSE key. So matches asks the registry for the purpose of the key.
func (s *Server) chainOf(presented []*x509.Certificate) ([]*x509.Certificate, error) {
	leaf, opts := presented[0], s.chain
	opts.CurrentTime = s.config.Now()
	opts.KeyUsages = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	opts.Intermediates = withMore(opts.Intermediates, presented[1:])
	chains, err := leaf.Verify(opts)
	if err != nil {
		return nil, err
	}
	return chains[0], checkLeaf(leaf)
}

// withMore returns a pool with more certificates. The pool itself stays as it is.
func withMore(pool *x509.CertPool, more []*x509.Certificate) *x509.CertPool {
	if len(more) == 0 {
		return pool
	}
	pool = pool.Clone()
	for _, ca := range more {
		pool.AddCert(ca)
	}
	return pool
}

// checkLeaf refuses what no profile of a station allows, and crypto/x509 does.
func checkLeaf(leaf *x509.Certificate) error {
	if leaf.IsCA {
		return ErrAuthority
	}
	if key, ok := leaf.PublicKey.(*ecdsa.PublicKey); !ok || key.Curve != elliptic.P256() {
		return fmt.Errorf("%w: want P-256, it is %s", ErrKeyKind, kindOf(leaf))
	}
	if use := leaf.KeyUsage; use != 0 && use&x509.KeyUsageDigitalSignature == 0 { // RFC 8446 section 4.4.2.2; the certificate of an audit key has contentCommitment only
		return ErrKeyUse
	}
	return nil
}

// kindOf names the key of a certificate.
func kindOf(certificate *x509.Certificate) string {
	switch key := certificate.PublicKey.(type) {
	case *ecdsa.PublicKey:
		return key.Curve.Params().Name
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA of %d bits", key.N.BitLen())
	}
	return certificate.PublicKeyAlgorithm.String()
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
	expected := c.announced
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
	case station.StatusHeld:
		return &RefusalError{station.ErrHeld}
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
	} else if c.announced != nil {
		c.announced.resolve(presented, err)
	}
	log := c.config.Log.With(c.attributes()...)
	var refused *RefusalError
	switch {
	case errors.Is(err, errGaveWay):
		log.Debug("handshake not completed", "reason", err.Error()) // the admission says how many
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
