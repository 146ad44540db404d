package verifier

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"time"

	"hallmark/devices"
	"hallmark/station"
)

// A Check is one row of a self-test: a client that must be accepted or refused.
type Check struct {
	Name string
	Want error // the reason of the refusal; nil: the client must be accepted
	Got  error
	OK   bool
}

// SelfTest checks that the verifier refuses what it must refuse. A second server
// of the same code, with a throw-away CA in memory, must refuse a self-signed, a
// wrong-CA, an expired, a revoked and another board's certificate and the
// certificate of a COSE key, and must accept a good certificate. The live server
// must refuse two certificates that it cannot know. SelfTest waits until Serve runs.
// The error says that a part of the test could not be carried out.
func (s *Server) SelfTest(ctx context.Context) ([]Check, error) {
	checks, err := s.runIsolated(ctx)
	if err != nil {
		return checks, fmt.Errorf("testing the verifier with a throw-away CA: %w", err)
	}
	live, err := s.probeLive(ctx)
	if err != nil {
		return checks, fmt.Errorf("testing the live verifier: %w", err)
	}
	return append(checks, live...), nil
}

// errUnknownAuthority stands in a Check for x509.UnknownAuthorityError, which is a type and no value.
var errUnknownAuthority = errors.New("x509: certificate signed by unknown authority")

// errExpired stands in a Check for x509.CertificateInvalidError with the reason Expired.
var errExpired = errors.New("x509: certificate has expired or is not yet valid")

// A selfTest is a second server with its own throw-away CA.
type selfTest struct {
	*Server
	root, wrong *authority
	now         time.Time
	known       *List
}

// runIsolated runs all cases against a second server on the loopback interface.
func (s *Server) runIsolated(ctx context.Context) ([]Check, error) {
	test, err := newSelfTest(s.config.Now)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	served := make(chan error, 1)
	go func() { served <- test.Serve(ctx, listener) }()
	checks, err := test.run(ctx)
	cancel()
	return checks, errors.Join(err, <-served)
}

func newSelfTest(now func() time.Time) (*selfTest, error) {
	root, err := newAuthority("self-test root", now())
	if err != nil {
		return nil, err
	}
	wrong, err := newAuthority("self-test root", now()) // the same name, another key
	if err != nil {
		return nil, err
	}
	own, err := root.issue(leaf{name: "verifier.selftest", usage: x509.ExtKeyUsageServerAuth, until: now().Add(time.Hour)})
	if err != nil {
		return nil, err
	}
	known := &List{records: map[[16]byte]station.Record{}}
	server, err := New(Config{
		Certificate: own, Root: root.certificate, Known: known, Now: now,
		Log: slog.New(slog.DiscardHandler), ServerName: "verifier.selftest", Timeout: 10 * time.Second,
	})
	if err != nil {
		return nil, err
	}
	return &selfTest{Server: server, root: root, wrong: wrong, now: now(), known: known}, nil
}

// The BoardIDs of the throw-away certificates.
const (
	boardA = "00000000-0000-4000-8000-00000000000a"
	boardB = "00000000-0000-4000-8000-00000000000b"
)

// issueAll issues all certificates before the first client connects, because the
// list must not change while the server runs.
func (s *selfTest) issueAll() (certificates map[string]tls.Certificate, err error) {
	good := leaf{name: boardA, usage: x509.ExtKeyUsageClientAuth, until: s.now.Add(time.Hour)}
	other, expired, signing := good, good, good
	other.name = boardB
	expired.until = s.now.Add(-time.Minute)
	signing.usage = noUsage
	certificates = map[string]tls.Certificate{}
	for _, row := range []struct {
		name    string
		by      *authority // nil: self-signed
		leaf    leaf
		purpose devices.Purpose
		status  station.Status
	}{
		{"good", s.root, good, devices.PurposeTLS, station.StatusActive},
		{"another board's", s.root, other, devices.PurposeTLS, station.StatusActive},
		{"another key's", s.root, signing, devices.PurposeCOSE, station.StatusActive},
		{"expired", s.root, expired, devices.PurposeTLS, station.StatusActive},
		{"revoked", s.root, good, devices.PurposeTLS, station.StatusRevoked},
		{"wrong CA", s.wrong, good, devices.PurposeTLS, station.StatusActive},
		{"self-signed", nil, good, devices.PurposeTLS, station.StatusActive},
	} {
		certificate, err := row.by.issue(row.leaf)
		if err != nil {
			return nil, err
		}
		certificates[row.name] = certificate
		serial, err := serialOf(certificate.Leaf)
		if err != nil {
			return nil, err
		}
		board, err := devices.ParseBoardID(row.leaf.name)
		if err != nil {
			return nil, err
		}
		s.known.records[serial] = station.Record{
			BoardID: board, Purpose: row.purpose, CertificateSHA256: sha256.Sum256(certificate.Certificate[0]), Status: row.status,
		}
	}
	return certificates, nil
}

// run connects once with each certificate. Each row names the certificate that is
// announced for the connection, as in a Run.
func (s *selfTest) run(ctx context.Context) ([]Check, error) {
	certificates, err := s.issueAll()
	if err != nil {
		return nil, err
	}
	var checks []Check
	for _, row := range []struct {
		name     string
		announce string
		want     error
	}{
		{"self-signed", "self-signed", errUnknownAuthority},
		{"wrong CA", "wrong CA", errUnknownAuthority},
		{"expired", "expired", errExpired},
		{"revoked", "revoked", ErrRevoked},
		{"another board's", "good", ErrNotTheExpected},
		{"another key's", "another key's", ErrNotForTLS},
		{"good", "good", nil},
	} {
		got := s.connectAs(ctx, certificates[row.name], certificates[row.announce].Certificate[0])
		checks = append(checks, newCheck(row.name+" certificate", row.want, got))
	}
	return checks, nil
}

// probeLive tries the live server with two certificates that it must not know.
func (s *Server) probeLive(ctx context.Context) ([]Check, error) {
	unknown, err := newAuthority(s.config.Root.Subject.CommonName, s.config.Now())
	if err != nil {
		return nil, err
	}
	claim := leaf{name: boardA, usage: x509.ExtKeyUsageClientAuth, until: s.config.Now().Add(time.Hour)}
	var checks []Check
	for _, try := range []struct {
		name string
		by   *authority
	}{{"self-signed certificate, live", nil}, {"wrong CA certificate, live", unknown}} {
		certificate, err := try.by.issue(claim)
		if err != nil {
			return checks, err
		}
		checks = append(checks, newCheck(try.name, errUnknownAuthority, s.connectAs(ctx, certificate, certificate.Certificate[0])))
	}
	return checks, nil
}

func newCheck(name string, want, got error) Check {
	return Check{Name: name, Want: want, Got: got, OK: sameReason(want, got)}
}

func sameReason(want, got error) bool {
	var authority x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	switch want {
	case nil:
		return got == nil
	case errUnknownAuthority:
		return errors.As(got, &authority)
	case errExpired:
		return errors.As(got, &invalid) && invalid.Reason == x509.Expired
	}
	return errors.Is(got, want)
}

// connectAs connects one client and returns the server's verdict; nil: the server accepted the client.
func (s *Server) connectAs(ctx context.Context, certificate tls.Certificate, announced []byte) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	session, err := s.Connect(ctx, announced)
	if err != nil {
		return err
	}
	defer session.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.config.Root)
	client := tls.Client(session.Conn(), &tls.Config{
		Certificates: []tls.Certificate{certificate}, RootCAs: roots, ServerName: s.config.ServerName,
		Time: s.config.Now, CurvePreferences: []tls.CurveID{tls.CurveP256}, MinVersion: tls.VersionTLS12,
	})
	stop := context.AfterFunc(ctx, func() { session.Conn().Close() })
	defer stop()
	if err := client.HandshakeContext(ctx); err != nil {
		_, verdict := session.Verdict(ctx)
		return errors.Join(verdict, err)
	}
	return readAnswer(ctx, session, client)
}

// readAnswer checks that an accepted client reads the line that the server says it sent.
func readAnswer(ctx context.Context, session station.Session, client *tls.Conn) error {
	presented, err := session.Verdict(ctx)
	if err != nil {
		return err
	}
	answer := make([]byte, 64)
	n, err := client.Read(answer)
	if err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	if string(answer[:n]) != string(presented.Answer) {
		return fmt.Errorf("read %q, the verifier sent %q", answer[:n], presented.Answer)
	}
	return nil
}

// An authority is a throw-away CA.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// noUsage leaves the extended key usage extension out of a certificate.
const noUsage x509.ExtKeyUsage = -1

// A leaf is the contents of a throw-away certificate.
type leaf struct {
	name  string
	usage x509.ExtKeyUsage
	until time.Time
}

func newAuthority(name string, now time.Time) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(2 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	return &authority{certificate, key}, err
}

// issue makes a key and a certificate for it. A nil authority makes a self-signed certificate.
func (a *authority) issue(l leaf) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	var serial [16]byte
	if _, err := rand.Read(serial[1:]); err != nil {
		return tls.Certificate{}, err
	}
	serial[0] = 0x40
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(serial[:]), Subject: pkix.Name{CommonName: l.name},
		NotBefore: l.until.Add(-2 * time.Hour), NotAfter: l.until,
		KeyUsage: x509.KeyUsageDigitalSignature, DNSNames: []string{l.name},
	}
	if l.usage != noUsage {
		template.ExtKeyUsage = []x509.ExtKeyUsage{l.usage}
	}
	parent, signer := template, key
	if a != nil {
		parent, signer = a.certificate, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return tls.Certificate{}, err
	}
	parsed, err := x509.ParseCertificate(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: parsed}, err
}
