package faults_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"hallmark/devices"
	"hallmark/devices/emulated"
	"hallmark/fixtures"
	"hallmark/fixtures/prerequisite"
	"hallmark/station"
	"hallmark/station/verifier"
)

// overNetwork configures handshakes over the boards' own network. Emulated posix boards use the
// network of this machine.
func overNetwork(l *environment) { l.network = true }

func TestBoardsPassOverTheirOwnNetwork(t *testing.T) {
	l := newEnvironment(t, overNetwork)
	var bays sync.WaitGroup
	for _, name := range []string{"one", "two", "three", "four"} {
		board := l.good(t)
		bays.Go(func() { ends(t, l.bay(name).enrol(t, board, board), station.Pass, "") })
	}
	bays.Wait()
	l.onceEach(t)
	l.checkInvariants(t)
	db := fixtures.OpenDatabase(t, l.database())
	defer db.Close()
	over := fixtures.Texts(t, db, `SELECT json_extract(CAST(body AS TEXT), '$.details.over') FROM audit_entry WHERE json_extract(CAST(body AS TEXT), '$.details.tls_version') IS NOT NULL`)
	if !slices.Equal(over, []string{"network", "network", "network", "network"}) {
		t.Errorf("the log says that the handshakes went over %q", over)
	}
}

// detour gives boards another address than the address of the verifier.
type detour struct {
	station.NetworkSessions
	to func() netip.AddrPort
}

type misled struct {
	station.NetworkSession
	address netip.AddrPort
}

func (d detour) Expect(ctx context.Context, certificate []byte) (station.NetworkSession, error) {
	session, err := d.NetworkSessions.Expect(ctx, certificate)
	return misled{session, d.to()}, err
}

func (m misled) Address() netip.AddrPort { return m.address }

// listens returns the address of a server that calls serve for its first client.
func listens(t *testing.T, serve func(net.Conn)) netip.AddrPort {
	t.Helper()
	listener := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	var work sync.WaitGroup
	work.Go(func() {
		conn, err := listener.Accept()
		if err != nil {
			return // the listener was closed at the end of the test
		}
		defer conn.Close()
		serve(conn)
		_, _ = io.Copy(io.Discard, conn) // until the board closes the connection
	})
	t.Cleanup(func() { listener.Close(); work.Wait() })
	return listener.Addr().(*net.TCPAddr).AddrPort()
}

// opensslServer serves TLS with a self-signed certificate for this name.
func opensslServer(t *testing.T, name string) netip.AddrPort {
	t.Helper()
	certificate, key := selfSigned(t, name)
	cmd := exec.CommandContext(t.Context(), prerequisite.Program(t, "openssl", "openssl"), "s_server",
		"-accept", "127.0.0.1:0", "-cert", certificate, "-key", key, "-Verify", "1")
	stdout := must(cmd.StdoutPipe())(t)
	must(cmd.StdinPipe())(t) // openssl ends when its input ends
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
		_ = cmd.Wait() // killed
	})
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if text, found := strings.CutPrefix(lines.Text(), "ACCEPT "); found {
			go func() { _, _ = io.Copy(io.Discard, stdout) }() // ends with the process
			return must(netip.ParseAddrPort(text))(t)
		}
	}
	t.Fatal("openssl s_server does not say where it listens")
	return netip.AddrPort{}
}

func selfSigned(t *testing.T, name string) (certificate, key string) {
	t.Helper()
	private := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der := must(x509.CreateCertificate(rand.Reader, template, template, private.Public(), private))(t)
	dir := t.TempDir()
	write := func(file, kind string, der []byte) string {
		path := filepath.Join(dir, file)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("server.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(private))(t))
}

// misnamed is a verifier that reports another server name than the name in its certificate.
type misnamed struct{ station.Verifier }

func (misnamed) ServerName() string { return "another" }

// shortTimeout are options for boards that wait for a silent server.
var shortTimeout = devices.Options{Answer: 5 * time.Second, Timeout: 5 * time.Second, ServerTimeout: 700 * time.Millisecond}

func TestABoardWithAWrongAddressIsAFault(t *testing.T) {
	for _, test := range []struct {
		name    string
		options devices.Options
		change  func(*testing.T, *station.Config)
		reason  string
	}{
		{"nobody listens", longTimeout, leadTo(func(t *testing.T) netip.AddrPort {
			listener := must(net.Listen("tcp", "127.0.0.1:0"))(t)
			defer listener.Close()
			return listener.Addr().(*net.TCPAddr).AddrPort()
		}), devices.ErrServerUnreached.Word()},
		{"the server says nothing", shortTimeout, leadTo(func(t *testing.T) netip.AddrPort {
			return listens(t, func(net.Conn) {})
		}), devices.ErrServerSilent.Word()},
		{"the server hangs up", longTimeout, leadTo(func(t *testing.T) netip.AddrPort {
			return listens(t, func(conn net.Conn) { _, _ = conn.Read(make([]byte, 4096)); conn.Close() })
		}), devices.ErrServerGone.Word()},
		{"the server speaks HTTP", longTimeout, leadTo(func(t *testing.T) netip.AddrPort {
			return listens(t, func(conn net.Conn) { _, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\n\r\n") })
		}), devices.ErrServerNoTLS.Word()},
		{"the server has a certificate of its own making", longTimeout, leadTo(func(t *testing.T) netip.AddrPort {
			return opensslServer(t, fixtures.ServerName)
		}), devices.ErrServerUntrusted.Word()},
		{"the verifier has another name", longTimeout, func(_ *testing.T, c *station.Config) {
			c.Verifier = misnamed{c.Verifier}
		}, devices.ErrServerName.Word()},
	} {
		t.Run(test.name, func(t *testing.T) {
			wrong := true
			l := newEnvironment(t, func(l *environment) {
				l.network = true
				l.changed = func(c *station.Config) {
					if wrong {
						test.change(t, c)
					}
				}
			})
			dir := t.TempDir()
			board := l.plug(t, emulated.Config{Dir: dir}, test.options, nil)
			run := l.bay("bay").enrol(t, board, board)
			ends(t, run, station.Fault, test.reason)
			l.checkInvariants(t)

			// The board is good: with the right address it passes with the same certificate.
			wrong = false
			if err := l.close(); err != nil {
				t.Fatal(err)
			}
			l.open(t)
			board = l.plug(t, emulated.Config{Dir: dir}, longTimeout, nil)
			again := l.bay("bay").enrol(t, board, board)
			ends(t, again, station.Pass, "")
			same(t, run, again)
			l.onceEach(t)
			l.checkInvariants(t)
		})
	}
}

func leadTo(where func(*testing.T) netip.AddrPort) func(*testing.T, *station.Config) {
	return func(t *testing.T, c *station.Config) {
		c.NetworkSessions = detour{c.NetworkSessions, func() netip.AddrPort { return where(t) }}
	}
}

// A substitute is a board whose handshake is done by a function of the test.
type substitute struct {
	*devices.Client
	do func(ctx context.Context, address netip.AddrPort, serverName string) (devices.HandshakeReport, error)
}

func (s substitute) NetworkHandshake(ctx context.Context, address netip.AddrPort, serverName string) (devices.HandshakeReport, error) {
	return s.do(ctx, address, serverName)
}

func TestNobodyElsePassesForABoard(t *testing.T) {
	l := newEnvironment(t, overNetwork)
	bay := l.bay("bay")
	otherDir := t.TempDir()
	other := l.plug(t, emulated.Config{Dir: otherDir}, longTimeout, nil)
	ends(t, bay.enrol(t, other, other), station.Pass, "") // now its certificate is active
	other = l.plug(t, emulated.Config{Dir: otherDir}, longTimeout, nil)
	defer other.Close()

	for _, test := range []struct {
		name   string
		do     func(board *devices.Client) func(context.Context, netip.AddrPort, string) (devices.HandshakeReport, error)
		ending station.Ending
		reason string
		want   error
	}{
		{"another board comes with its own certificate, which is active", func(*devices.Client) func(context.Context, netip.AddrPort, string) (devices.HandshakeReport, error) {
			return other.NetworkHandshake
		}, station.Reject, "handshake-refused", verifier.ErrNotTheExpected},
		{"nobody comes, and the board says that it did", func(*devices.Client) func(context.Context, netip.AddrPort, string) (devices.HandshakeReport, error) {
			return func(context.Context, netip.AddrPort, string) (devices.HandshakeReport, error) {
				return devices.HandshakeReport{Received: []byte("ok 123456\n")}, nil
			}
		}, station.Fault, "no-visit", station.ErrNoNetworkSession},
		{"the board comes, and did not read the answer", func(board *devices.Client) func(context.Context, netip.AddrPort, string) (devices.HandshakeReport, error) {
			return func(ctx context.Context, address netip.AddrPort, name string) (devices.HandshakeReport, error) {
				report, err := board.NetworkHandshake(ctx, address, name)
				report.Received = []byte("ok 000000\n")
				return report, err
			}
		}, station.Reject, "no-answer-read", station.ErrNoAnswerRead},
	} {
		t.Run(test.name, func(t *testing.T) {
			board := l.good(t)
			run := bay.enrol(t, substitute{board.Client, test.do(board.Client)}, board)
			ends(t, run, test.ending, test.reason)
			if !errors.Is(run.Err, test.want) {
				t.Errorf("refused with %v, want %v", run.Err, test.want)
			}
			bay.passes(t)
			l.checkInvariants(t)
		})
	}
}

// While a Run waits for its board, strangers in the network can connect to the same port.
func TestStrangersDoNotDisturbARun(t *testing.T) {
	l := newEnvironment(t, overNetwork)
	bay := l.bay("bay")
	for _, test := range []struct {
		name string
		come func(t *testing.T, address netip.AddrPort, certificate []byte)
	}{
		{"who says nothing", func(t *testing.T, address netip.AddrPort, _ []byte) {
			conn := must(net.Dial("tcp", address.String()))(t)
			t.Cleanup(func() { conn.Close() })
		}},
		{"who speaks HTTP", func(t *testing.T, address netip.AddrPort, _ []byte) {
			conn := must(net.Dial("tcp", address.String()))(t)
			defer conn.Close()
			_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\n\r\n")
			_, _ = io.Copy(io.Discard, conn) // until the verifier closes the connection
		}},
		{"who shows the board's certificate without its key", func(t *testing.T, address netip.AddrPort, certificate []byte) {
			key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
			conn, err := tls.Dial("tcp", address.String(), &tls.Config{
				InsecureSkipVerify: true, // the stranger accepts any verifier
				GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
					return &tls.Certificate{Certificate: [][]byte{certificate}, PrivateKey: key}, nil
				},
			})
			if err == nil {
				_, err = conn.Read(make([]byte, 16))
				conn.Close()
			}
			if err == nil {
				t.Error("the verifier answered")
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			board := l.good(t)
			do := func(ctx context.Context, address netip.AddrPort, name string) (devices.HandshakeReport, error) {
				certificate, err := board.Read(ctx, devices.SlotCertificate)
				if err != nil {
					return devices.HandshakeReport{}, err
				}
				test.come(t, address, certificate)
				return board.NetworkHandshake(ctx, address, name)
			}
			ends(t, bay.enrol(t, substitute{board.Client, do}, board), station.Pass, "")
			l.checkInvariants(t)
		})
	}
}

func TestABoardWithoutANetworkGetsNoCertificateWhereItHasToDial(t *testing.T) {
	l := newEnvironment(t, overNetwork)
	board := l.good(t)
	run := l.bay("bay").enrol(t, incapable{board.Client}, board)
	ends(t, run, station.Reject, devices.ErrNoNetHandshake.Word())
	if l.asked.Load() != 0 {
		t.Errorf("%d signatures", l.asked.Load())
	}
	l.checkInvariants(t)
}

// incapable is a board that reports that it has no network.
type incapable struct{ *devices.Client }

func (i incapable) Identify(ctx context.Context) (devices.Identity, error) {
	id, err := i.Client.Identify(ctx)
	id.Can &^= devices.CanNet
	return id, err
}
