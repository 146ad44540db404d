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

// openVisits lets boards come to a scene by themselves.
func openVisits(t *testing.T, s *scene) {
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

func expected(t *testing.T, s *scene, actor tls.Certificate) station.NetworkSession {
	t.Helper()
	visit, err := s.Expect(t.Context(), actor.Certificate[0])
	fatalIf(t, err)
	t.Cleanup(func() { fatalIf(t, visit.Close()) })
	return visit
}

// comes is a board that dials; the answer is empty when it was sent away.
func comes(t *testing.T, s *scene, address netip.AddrPort, actor tls.Certificate) (answer string) {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(s.config.Root)
	conn, err := tls.Dial("tcp", address.String(), &tls.Config{
		Certificates: []tls.Certificate{actor}, RootCAs: roots, ServerName: s.config.ServerName, Time: now,
	})
	if err != nil {
		return ""
	}
	defer conn.Close()
	buffer := make([]byte, 64)
	n, _ := conn.Read(buffer) // what it could not read it has not got
	return string(buffer[:n])
}

// soon is what the verifier says when it is asked once the client has left.
func soon(t *testing.T, visit station.NetworkSession) (station.Presented, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	return visit.Verdict(ctx)
}

func TestEachBoardComesToItsOwnRun(t *testing.T) {
	s, _ := open(t)
	openVisits(t, s)
	first := actorWith(t, s, boardA, x509.ExtKeyUsageClientAuth, station.StatusDelivered)
	second := actorWith(t, s, boardA, x509.ExtKeyUsageClientAuth, station.StatusIssued)
	waiting := map[*tls.Certificate]station.NetworkSession{&first: expected(t, s, first), &second: expected(t, s, second)}
	for actor, visit := range waiting {
		answer := comes(t, s, visit.Address(), *actor)
		seen, err := soon(t, visit)
		if err != nil || seen.CertificateSHA256 != sumOf(*actor) || string(seen.Answer) != answer || answer == "" {
			t.Errorf("presented %x, answered %q, board read %q: %v", seen.CertificateSHA256, seen.Answer, answer, err)
		}
	}
}

// The answer that tells the station that the board dials may be lost: it has the board dial again.
func TestABoardThatDialsTwiceInARunReadsTheSameAnswer(t *testing.T) {
	s, _ := open(t)
	openVisits(t, s)
	actor := actorWith(t, s, boardA, x509.ExtKeyUsageClientAuth, station.StatusDelivered)
	run := func() (answers []string) {
		visit := expected(t, s, actor)
		for range 2 {
			answer := comes(t, s, visit.Address(), actor)
			seen, err := soon(t, visit)
			if err != nil || answer == "" || string(seen.Answer) != answer {
				t.Errorf("the verifier says %q, the board read %q: %v", seen.Answer, answer, err)
			}
			answers = append(answers, answer)
		}
		fatalIf(t, visit.Close())
		return answers
	}
	if first, second := run(), run(); first[0] == second[0] {
		t.Errorf("two Runs have one answer, %q", first[0])
	}
}

func TestWhoIsNotExpectedIsSentAwayAndTheRunHearsWhy(t *testing.T) {
	for _, test := range []struct {
		name string
		come func(t *testing.T, s *scene, expected tls.Certificate) tls.Certificate
		want error
	}{
		{"an active certificate of another board", func(t *testing.T, s *scene, _ tls.Certificate) tls.Certificate {
			return actorWith(t, s, boardA, x509.ExtKeyUsageClientAuth, station.StatusActive)
		}, ErrNotTheExpected},
		{"a certificate that nobody registered", func(t *testing.T, s *scene, _ tls.Certificate) tls.Certificate {
			actor := actorWith(t, s, boardA, x509.ExtKeyUsageClientAuth, station.StatusActive)
			clear(s.known.records)
			return actor
		}, ErrNotTheExpected},
		{"no certificate", func(*testing.T, *scene, tls.Certificate) tls.Certificate { return tls.Certificate{} }, station.ErrNoNetworkSession},
		{"the expected certificate, revoked", func(t *testing.T, s *scene, actor tls.Certificate) tls.Certificate {
			register(t, s, actor, boardA, station.StatusRevoked)
			return actor
		}, ErrRevoked},
		{"the expected certificate, registered for another board", func(t *testing.T, s *scene, actor tls.Certificate) tls.Certificate {
			register(t, s, actor, boardB, station.StatusDelivered)
			return actor
		}, ErrOtherBoard},
		{"the expected certificate without its key", func(t *testing.T, s *scene, actor tls.Certificate) tls.Certificate {
			other := actorWith(t, s, boardB, x509.ExtKeyUsageClientAuth, station.StatusActive)
			return tls.Certificate{Certificate: actor.Certificate, PrivateKey: other.PrivateKey}
		}, station.ErrNoNetworkSession},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, _ := open(t)
			openVisits(t, s)
			actor := actorWith(t, s, boardA, x509.ExtKeyUsageClientAuth, station.StatusDelivered)
			visit := expected(t, s, actor)
			if answer := comes(t, s, visit.Address(), test.come(t, s, actor)); answer != "" {
				t.Errorf("it was let in and read %q", answer)
			}
			if _, err := soon(t, visit); !errors.Is(err, test.want) || !errors.Is(err, station.ErrNoNetworkSession) {
				t.Errorf("the Run hears %v, want %v", err, test.want)
			}
			// Whatever happened, the board itself is welcome.
			register(t, s, actor, boardA, station.StatusDelivered)
			if answer := comes(t, s, visit.Address(), actor); answer == "" {
				t.Error("the board is sent away")
			}
			if _, err := soon(t, visit); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestWhileNoRunWaitsNobodyIsHeard(t *testing.T) {
	s, log := open(t)
	openVisits(t, s)
	actor := actorWith(t, s, boardA, x509.ExtKeyUsageClientAuth, station.StatusActive)
	visit, err := s.Expect(t.Context(), actor.Certificate[0])
	fatalIf(t, err)
	address := visit.Address()
	fatalIf(t, visit.Close())
	fatalIf(t, visit.Close()) // a second time is harmless
	conn, err := net.Dial("tcp", address.String())
	fatalIf(t, err)
	defer conn.Close()
	if text, _ := io.ReadAll(conn); len(text) != 0 { // returns when it is sent away
		t.Errorf("it hears %q", text)
	}
	waitFor(t, log, "no Run waits for a board")
	if answer := comes(t, s, address, actor); answer != "" {
		t.Errorf("an active certificate is let in and reads %q", answer)
	}
}

func TestTwoRunsDoNotWaitForOneCertificate(t *testing.T) {
	s, _ := open(t)
	openVisits(t, s)
	actor := actorWith(t, s, boardA, x509.ExtKeyUsageClientAuth, station.StatusActive)
	visit := expected(t, s, actor)
	if _, err := s.Expect(t.Context(), actor.Certificate[0]); !errors.Is(err, errAwaited) {
		t.Errorf("got %v", err)
	}
	fatalIf(t, visit.Close())
	expected(t, s, actor)
}

func TestExpectWaitsForServeVisitsAndNoLonger(t *testing.T) {
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
		door, err := doorOf(listener, address)
		_, port, _ := net.SplitHostPort(listener.Addr().String())
		want := strings.ReplaceAll(test.want, "PORT", port)
		if got := door.String(); got != want && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("listening at %s for %q, boards dial %s (%v), want %s", test.listen, test.address, got, err, want)
		}
	}
}

func TestASecondListenerForVisitsIsRefused(t *testing.T) {
	s, _ := open(t)
	openVisits(t, s)
	expected(t, s, actorWith(t, s, boardA, x509.ExtKeyUsageClientAuth, station.StatusActive)) // ServeNetwork has begun
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	fatalIf(t, err)
	if err := s.ServeNetwork(t.Context(), listener, netip.AddrPort{}); !errors.Is(err, errSecondDoor) {
		t.Errorf("got %v", err)
	}
	if conn, err := net.Dial("tcp", listener.Addr().String()); err == nil {
		conn.Close()
		t.Error("its port is still open")
	}
}
