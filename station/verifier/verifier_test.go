package verifier

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"hallmark/devices"
	"hallmark/station"
)

func now() time.Time { return time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC) }

// A safeBuffer is a log buffer that several goroutines may use.
type safeBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// An opened is the server of a self-test that serves a listener.
type opened struct {
	*selfTest
	listener net.Listener
}

// open starts the server of a self-test, after the changes were made to it, and returns the server's log.
func open(t *testing.T, changes ...func(*opened)) (*opened, *safeBuffer) {
	t.Helper()
	test, err := newSelfTest(now)
	fatalIf(t, err)
	log := &safeBuffer{}
	test.Server.config.Log = slog.New(slog.NewTextHandler(log, nil))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	fatalIf(t, err)
	s := &opened{test, listener}
	for _, change := range changes {
		change(s)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, listener) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return s, log
}

func fatalIf(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestSelfTestRefusesEveryWrongCertificateAndAcceptsTheGoodOne(t *testing.T) {
	s, _ := open(t)
	checks, err := s.SelfTest(t.Context())
	fatalIf(t, err)
	if len(checks) != 9 {
		t.Errorf("%d checks, want 9", len(checks))
	}
	for _, check := range checks {
		if !check.OK {
			t.Errorf("%s: got %v, want %v", check.Name, check.Got, check.Want)
		}
	}
}

func TestSelfTestFindsAVerifierThatTrustsAWrongCA(t *testing.T) {
	s, _ := open(t, func(s *opened) { s.chain.Roots.AddCert(s.wrong.certificate) })
	checks, err := s.run(t.Context())
	fatalIf(t, err)
	for _, check := range checks {
		if wrong := strings.HasPrefix(check.Name, "wrong CA"); check.OK == wrong {
			t.Errorf("%s: OK is %v, error %v", check.Name, check.OK, check.Got)
		}
	}
}

// connectUnannounced connects as a client that the station did not announce.
func connectUnannounced(t *testing.T, s *opened, certificate tls.Certificate, version uint16) (answer string, err error) {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(s.config.Root)
	conn, err := tls.Dial("tcp", address(s), &tls.Config{
		Certificates: []tls.Certificate{certificate}, RootCAs: roots, ServerName: s.config.ServerName,
		Time: now, MinVersion: version, MaxVersion: version,
	})
	if err != nil {
		return "", err
	}
	defer conn.Close()
	buffer := make([]byte, 64)
	n, err := conn.Read(buffer)
	return string(buffer[:n]), err
}

func TestStrangersAreAcceptedOnlyWithAnActiveCertificate(t *testing.T) {
	for _, test := range []struct {
		name   string
		status station.Status
		reason string // empty: accepted
	}{
		{"an active certificate is accepted", station.StatusActive, ""},
		{"an issued certificate is refused", station.StatusIssued, "certificate is not active: it is issued"},
		{"a delivered certificate is refused", station.StatusDelivered, "certificate is not active: it is delivered"},
		{"a certificate of a board on hold is refused", station.StatusHeld, "board is on hold"},
		{"a revoked certificate is refused", station.StatusRevoked, "certificate is not good any more: it is revoked"},
		{"a superseded certificate is refused", station.StatusSuperseded, "certificate is not good any more: it is superseded"},
		{"an unresolved certificate is refused", station.StatusUnresolved, "certificate is not good any more: it is unresolved"},
		{"a status that nobody knows is refused", "golden", "certificate is not good any more: it is golden"},
	} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			t.Run(test.name+" with "+tls.VersionName(version), func(t *testing.T) {
				s, log := open(t)
				certificate := issueAndRegister(t, s, boardA, x509.ExtKeyUsageClientAuth, test.status)
				answer, err := connectUnannounced(t, s, certificate, version)
				if accepted := strings.HasPrefix(answer, "ok ") && len(answer) == 10; accepted != (test.reason == "") {
					t.Errorf("answer %q, error %v", answer, err)
				}
				if test.reason != "" {
					waitFor(t, log, test.reason)
					waitFor(t, log, `issuer="CN=self-test root" subject="CN=`+boardA)
				}
			})
		}
	}
}

// address returns the address at which the server listens.
func address(s *opened) string { return s.listener.Addr().String() }

// issueAndRegister issues a certificate and registers it. It must run before a client connects.
func issueAndRegister(t *testing.T, s *opened, name string, usage x509.ExtKeyUsage, status station.Status) tls.Certificate {
	t.Helper()
	certificate, err := s.root.issue(leaf{name: name, usage: usage, until: now().Add(time.Hour)})
	fatalIf(t, err)
	register(t, s, certificate, boardA, status)
	return certificate
}

func register(t *testing.T, s *opened, certificate tls.Certificate, board string, status station.Status) {
	t.Helper()
	serial, err := serialOf(certificate.Leaf)
	fatalIf(t, err)
	id, err := devices.ParseBoardID(board)
	fatalIf(t, err)
	s.known.records[serial] = station.Record{BoardID: id, Purpose: devices.PurposeTLS, CertificateSHA256: sumOf(certificate), Status: status}
}

func TestAnnouncedConnections(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(t *testing.T, s *opened, certificate *tls.Certificate)
		want   error
	}{
		{"an issued certificate is accepted where it is announced",
			func(t *testing.T, s *opened, a *tls.Certificate) { register(t, s, *a, boardA, station.StatusIssued) }, nil},
		{"a delivered certificate is accepted where it is announced",
			func(t *testing.T, s *opened, a *tls.Certificate) {
				register(t, s, *a, boardA, station.StatusDelivered)
			}, nil},
		{"a revoked certificate is refused even where it is announced",
			func(t *testing.T, s *opened, a *tls.Certificate) { register(t, s, *a, boardA, station.StatusRevoked) }, ErrRevoked},
		{"a certificate that nobody registered is refused",
			func(t *testing.T, s *opened, _ *tls.Certificate) { clear(s.known.records) }, ErrNotRegistered},
		{"a certificate that is registered for another BoardID is refused",
			func(t *testing.T, s *opened, a *tls.Certificate) { register(t, s, *a, boardB, station.StatusActive) }, ErrOtherBoard},
		{"another certificate under a registered serial number is refused",
			func(t *testing.T, s *opened, a *tls.Certificate) {
				serial, _ := serialOf(a.Leaf)
				record := s.known.records[serial]
				record.CertificateSHA256[0] ^= 1
				s.known.records[serial] = record
			}, ErrOtherContents},
		{"a server certificate is no client certificate",
			func(t *testing.T, s *opened, a *tls.Certificate) {
				*a = issueAndRegister(t, s, boardA, x509.ExtKeyUsageServerAuth, station.StatusActive)
			}, x509.CertificateInvalidError{}},
		{"a certificate without extended key usage is accepted for a TLS key, as that of Matter has none",
			func(t *testing.T, s *opened, a *tls.Certificate) {
				*a = issueAndRegister(t, s, boardA, noUsage, station.StatusActive)
			}, nil},
		{"a certificate without extended key usage is refused for a COSE key",
			func(t *testing.T, s *opened, a *tls.Certificate) {
				*a = issueAndRegister(t, s, boardA, noUsage, station.StatusActive)
				serial, _ := serialOf(a.Leaf)
				record := s.known.records[serial]
				record.Purpose = devices.PurposeCOSE
				s.known.records[serial] = record
			}, ErrNotForTLS},
		{"a certificate with a common name that is no BoardID is accepted, because its digest is registered",
			func(t *testing.T, s *opened, a *tls.Certificate) {
				*a = issueAndRegister(t, s, "Example Mvid:FFF1 Mpid:8000", noUsage, station.StatusActive)
			}, nil},
		{"a certificate for a COSE key is refused, whatever it says of itself",
			func(t *testing.T, s *opened, a *tls.Certificate) {
				serial, _ := serialOf(a.Leaf)
				record := s.known.records[serial]
				record.Purpose = devices.PurposeCOSE
				s.known.records[serial] = record
			}, ErrNotForTLS},
		{"a certificate of a record without a purpose is refused",
			func(t *testing.T, s *opened, a *tls.Certificate) {
				serial, _ := serialOf(a.Leaf)
				record := s.known.records[serial]
				record.Purpose = ""
				s.known.records[serial] = record
			}, ErrNotForTLS},
		{"a client without certificate is refused",
			func(t *testing.T, s *opened, a *tls.Certificate) { a.Certificate, a.PrivateKey = nil, nil }, errAny},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, _ := open(t)
			certificate := issueAndRegister(t, s, boardA, x509.ExtKeyUsageClientAuth, station.StatusActive)
			test.change(t, s, &certificate)
			var announced []byte
			if len(certificate.Certificate) > 0 {
				announced = certificate.Certificate[0]
			}
			got := s.connectAs(t.Context(), certificate, announced)
			var invalid x509.CertificateInvalidError
			switch {
			case test.want == errAny && got != nil:
			case errors.As(test.want, &invalid) && errors.As(got, &invalid):
			case !errors.Is(got, test.want):
				t.Errorf("got %v, want %v", got, test.want)
			}
			if got != nil && test.want != errAny && !errors.Is(got, station.ErrHandshakeRefused) {
				t.Errorf("%v is not a refusal for the station", got)
			}
		})
	}
}

var errAny = errors.New("any error")

func sumOf(certificate tls.Certificate) [32]byte { return sha256.Sum256(certificate.Certificate[0]) }

func TestAnErrorOfTheRegistryIsNotARefusal(t *testing.T) {
	s, _ := open(t, func(s *opened) { s.Server.config.Known = brokenKnown{} })
	certificate := issueAndRegister(t, s, boardA, x509.ExtKeyUsageClientAuth, station.StatusActive)
	got := s.connectAs(t.Context(), certificate, certificate.Certificate[0])
	if !errors.Is(got, errBroken) || !errors.Is(got, station.ErrRegistry) || errors.Is(got, station.ErrHandshakeRefused) {
		t.Errorf("got %v, want the registry's own error and no refusal", got)
	}
}

var errBroken = errors.New("disk I/O error")

type brokenKnown struct{}

func (brokenKnown) Lookup(context.Context, [16]byte) (station.Record, error) {
	return station.Record{}, errBroken
}

func TestASilentClientIsDropped(t *testing.T) {
	s, log := open(t, func(s *opened) { s.Server.config.Timeout = 50 * time.Millisecond })
	slow, err := net.Dial("tcp", address(s))
	fatalIf(t, err)
	defer slow.Close()
	if _, err := slow.Write([]byte{22, 3, 1}); err != nil { // the beginning of a ClientHello
		t.Fatal(err)
	}
	_, err = io.ReadAll(slow) // returns when the server closes the connection
	if err != nil && !strings.Contains(err.Error(), "reset") {
		t.Fatal(err)
	}
	waitFor(t, log, "handshake not completed")
}

func TestServeEndsItsConnectionsWithItsContext(t *testing.T) {
	s, err := newSelfTest(now)
	fatalIf(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	fatalIf(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, listener) }()
	session, err := s.Connect(ctx, nil)
	fatalIf(t, err)
	defer session.Close()
	open, err := net.Dial("tcp", listener.Addr().String())
	fatalIf(t, err)
	defer open.Close()
	cancel()
	fatalIf(t, <-served)
	if _, err := net.Dial("tcp", listener.Addr().String()); err == nil {
		t.Error("the port is still open")
	}
}

func TestConnectWaitsForServeAndNoLonger(t *testing.T) {
	s, err := newSelfTest(now)
	fatalIf(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Connect(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestASecondListenerIsRefused(t *testing.T) {
	s, _ := open(t)
	session, err := s.Connect(t.Context(), nil) // returns when Serve runs
	fatalIf(t, err)
	defer session.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	fatalIf(t, err)
	if err := s.Serve(t.Context(), listener); err == nil || !strings.Contains(err.Error(), "has a listener") {
		t.Errorf("got %v", err)
	}
}

func TestVerdictIsBoundedByItsContext(t *testing.T) {
	s, _ := open(t)
	session, err := s.Connect(t.Context(), []byte("x"))
	fatalIf(t, err)
	defer session.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := session.Verdict(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestNewRefusesACertificateThatBoardsWouldRefuse(t *testing.T) {
	base, err := newSelfTest(now)
	fatalIf(t, err)
	for _, test := range []struct {
		name   string
		change func(c *Config)
		want   string
	}{
		{"another server name", func(c *Config) { c.ServerName = "elsewhere.example" }, "not elsewhere.example"},
		{"another root", func(c *Config) { c.Root = base.wrong.certificate }, "unknown authority"},
		{"an expired certificate", func(c *Config) { c.Now = func() time.Time { return now().Add(90 * time.Minute) } }, "expired"},
		{"no certificate", func(c *Config) { c.Certificate = tls.Certificate{} }, "there is none"},
		{"no registry", func(c *Config) { c.Known = nil }, "want Root, Known"},
	} {
		t.Run(test.name, func(t *testing.T) {
			config := base.Server.config
			test.change(&config)
			if _, err := New(config); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want …%s…", err, test.want)
			}
		})
	}
}

// waitFor waits until the log contains the text.
func waitFor(t *testing.T, log *safeBuffer, text string) {
	t.Helper()
	for range 1000 {
		if strings.Contains(log.String(), text) {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Errorf("the log does not say %q:\n%s", text, log)
}
