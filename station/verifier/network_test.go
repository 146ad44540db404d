package verifier

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"hallmark/station"
)

// serveNetwork has the server of a self-test accept boards that dial by themselves.
func serveNetwork(t *testing.T, s *opened) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	fatalIf(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.ServeNetwork(ctx, listener, netip.AddrPort{}) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Errorf("ServeNetwork: %v", err)
		}
	})
}

func expected(t *testing.T, s *opened, certificate tls.Certificate) station.NetworkSession {
	t.Helper()
	session, err := s.Expect(t.Context(), certificate.Certificate[0])
	fatalIf(t, err)
	t.Cleanup(func() { fatalIf(t, session.Close()) })
	return session
}

// dial acts as a board that dials address. The answer is empty when the board was refused.
func dial(t *testing.T, s *opened, address netip.AddrPort, certificate tls.Certificate) (answer string) {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(s.config.Root)
	conn, err := tls.Dial("tcp", address.String(), &tls.Config{
		Certificates: []tls.Certificate{certificate}, RootCAs: roots, ServerName: s.config.ServerName, Time: now,
	})
	if err != nil {
		return ""
	}
	defer conn.Close()
	buffer := make([]byte, 64)
	n, _ := conn.Read(buffer) // an empty answer means that the client was refused
	return string(buffer[:n])
}

// verdictOf returns the verifier's verdict after the client has left.
func verdictOf(t *testing.T, session station.NetworkSession) (station.Presented, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	return session.Verdict(ctx)
}

func TestEachBoardComesToItsOwnRun(t *testing.T) {
	s, _ := open(t)
	serveNetwork(t, s)
	first := issueAndRegister(t, s, boardA, x509.ExtKeyUsageClientAuth, station.StatusDelivered)
	second := issueAndRegister(t, s, boardA, x509.ExtKeyUsageClientAuth, station.StatusIssued)
	waiting := map[*tls.Certificate]station.NetworkSession{&first: expected(t, s, first), &second: expected(t, s, second)}
	for certificate, session := range waiting {
		answer := dial(t, s, session.Address(), *certificate)
		seen, err := verdictOf(t, session)
		if err != nil || seen.CertificateSHA256 != sumOf(*certificate) || string(seen.Answer) != answer || answer == "" {
			t.Errorf("presented %x, answered %q, board read %q: %v", seen.CertificateSHA256, seen.Answer, answer, err)
		}
	}
}

// The answer to the station that the board dials may be lost; then the station has the board dial again.
func TestABoardThatDialsTwiceInARunReadsTheSameAnswer(t *testing.T) {
	s, _ := open(t)
	serveNetwork(t, s)
	certificate := issueAndRegister(t, s, boardA, x509.ExtKeyUsageClientAuth, station.StatusDelivered)
	run := func() (answers []string) {
		session := expected(t, s, certificate)
		for range 2 {
			answer := dial(t, s, session.Address(), certificate)
			seen, err := verdictOf(t, session)
			if err != nil || answer == "" || string(seen.Answer) != answer {
				t.Errorf("the verifier says %q, the board read %q: %v", seen.Answer, answer, err)
			}
			answers = append(answers, answer)
		}
		fatalIf(t, session.Close())
		return answers
	}
	if first, second := run(), run(); first[0] == second[0] {
		t.Errorf("two Runs have one answer, %q", first[0])
	}
}

func TestWhoIsNotExpectedIsSentAwayAndTheRunHearsWhy(t *testing.T) {
	for _, test := range []struct {
		name string
		come func(t *testing.T, s *opened, expected tls.Certificate) tls.Certificate
		want error
	}{
		{"an active certificate of another board", func(t *testing.T, s *opened, _ tls.Certificate) tls.Certificate {
			return issueAndRegister(t, s, boardA, x509.ExtKeyUsageClientAuth, station.StatusActive)
		}, ErrNotTheExpected},
		{"a certificate that nobody registered", func(t *testing.T, s *opened, _ tls.Certificate) tls.Certificate {
			certificate := issueAndRegister(t, s, boardA, x509.ExtKeyUsageClientAuth, station.StatusActive)
			clear(s.known.records)
			return certificate
		}, ErrNotTheExpected},
		{"no certificate", func(*testing.T, *opened, tls.Certificate) tls.Certificate { return tls.Certificate{} }, station.ErrNoNetworkSession},
		{"the expected certificate, revoked", func(t *testing.T, s *opened, certificate tls.Certificate) tls.Certificate {
			register(t, s, certificate, boardA, station.StatusRevoked)
			return certificate
		}, ErrRevoked},
		{"the expected certificate, registered for another board", func(t *testing.T, s *opened, certificate tls.Certificate) tls.Certificate {
			register(t, s, certificate, boardB, station.StatusDelivered)
			return certificate
		}, ErrOtherBoard},
		{"the expected certificate without its key", func(t *testing.T, s *opened, certificate tls.Certificate) tls.Certificate {
			other := issueAndRegister(t, s, boardB, x509.ExtKeyUsageClientAuth, station.StatusActive)
			return tls.Certificate{Certificate: certificate.Certificate, PrivateKey: other.PrivateKey}
		}, station.ErrNoNetworkSession},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, _ := open(t)
			serveNetwork(t, s)
			certificate := issueAndRegister(t, s, boardA, x509.ExtKeyUsageClientAuth, station.StatusDelivered)
			session := expected(t, s, certificate)
			if answer := dial(t, s, session.Address(), test.come(t, s, certificate)); answer != "" {
				t.Errorf("it was let in and read %q", answer)
			}
			if _, err := verdictOf(t, session); !errors.Is(err, test.want) || !errors.Is(err, station.ErrNoNetworkSession) {
				t.Errorf("the Run hears %v, want %v", err, test.want)
			}
			// The refused client does not keep the expected board out.
			register(t, s, certificate, boardA, station.StatusDelivered)
			if answer := dial(t, s, session.Address(), certificate); answer == "" {
				t.Error("the board is sent away")
			}
			if _, err := verdictOf(t, session); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestWhileNoRunWaitsNobodyIsHeard(t *testing.T) {
	s, log := open(t)
	serveNetwork(t, s)
	certificate := issueAndRegister(t, s, boardA, x509.ExtKeyUsageClientAuth, station.StatusActive)
	session, err := s.Expect(t.Context(), certificate.Certificate[0])
	fatalIf(t, err)
	address := session.Address()
	fatalIf(t, session.Close())
	fatalIf(t, session.Close()) // a second time is harmless
	conn, err := net.Dial("tcp", address.String())
	fatalIf(t, err)
	defer conn.Close()
	if text, _ := io.ReadAll(conn); len(text) != 0 { // returns when the server closes the connection
		t.Errorf("it hears %q", text)
	}
	waitFor(t, log, "no Run waits for a board")
	if answer := dial(t, s, address, certificate); answer != "" {
		t.Errorf("an active certificate is let in and reads %q", answer)
	}
}

func TestTwoRunsDoNotWaitForOneCertificate(t *testing.T) {
	s, _ := open(t)
	serveNetwork(t, s)
	certificate := issueAndRegister(t, s, boardA, x509.ExtKeyUsageClientAuth, station.StatusActive)
	session := expected(t, s, certificate)
	if _, err := s.Expect(t.Context(), certificate.Certificate[0]); !errors.Is(err, errAlreadyExpected) {
		t.Errorf("got %v", err)
	}
	fatalIf(t, session.Close())
	expected(t, s, certificate)
}

func TestExpectWaitsForServeNetworkAndNoLonger(t *testing.T) {
	s, _ := open(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := s.Expect(ctx, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestWhatBoardsDialFollowsTheListener(t *testing.T) {
	for _, test := range []struct{ listen, address, want string }{
		{"127.0.0.1:0", "", "127.0.0.1:PORT"},
		{"127.0.0.1:0", "192.0.2.7:0", "192.0.2.7:PORT"},
		{"127.0.0.1:0", "192.0.2.7:443", "192.0.2.7:443"},
		{"0.0.0.0:0", "[2001:db8::7]:0", "[2001:db8::7]:PORT"},
		{"0.0.0.0:0", "", "nobody can dial"},
	} {
		listener, err := net.Listen("tcp", test.listen)
		fatalIf(t, err)
		defer listener.Close()
		address, _ := netip.ParseAddrPort(test.address)
		dialled, err := dialAddress(listener, address)
		_, port, _ := net.SplitHostPort(listener.Addr().String())
		want := strings.ReplaceAll(test.want, "PORT", port)
		if got := dialled.String(); got != want && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("listening at %s for %q, boards dial %s (%v), want %s", test.listen, test.address, got, err, want)
		}
	}
}

func TestASecondNetworkListenerIsRefused(t *testing.T) {
	s, _ := open(t)
	serveNetwork(t, s)
	expected(t, s, issueAndRegister(t, s, boardA, x509.ExtKeyUsageClientAuth, station.StatusActive)) // ServeNetwork has begun
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	fatalIf(t, err)
	if err := s.ServeNetwork(t.Context(), listener, netip.AddrPort{}); !errors.Is(err, errSecondNetworkListener) {
		t.Errorf("got %v", err)
	}
	if conn, err := net.Dial("tcp", listener.Addr().String()); err == nil {
		conn.Close()
		t.Error("its port is still open")
	}
}
