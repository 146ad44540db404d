package serve

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"hallmark/station/witness"
	"hallmark/station/workdir"
)

// certificate writes a self-signed certificate for this machine, and its key.
func certificate(t *testing.T, dir string) (certificate, key string, pool *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	must(t, err)
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	must(t, err)
	certificate, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	must(t, workdir.WriteFile(certificate, workdir.CertificatePEM(der)))
	must(t, workdir.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})))
	parsed, err := x509.ParseCertificate(der)
	must(t, err)
	pool = x509.NewCertPool()
	pool.AddCert(parsed)
	return certificate, key, pool
}

// The command serves over TLS, and a station that does not trust the certificate says so.
func TestAWitnessServesOverTLS(t *testing.T) {
	s := newStation(t).grow(20, "entry")
	dir := filepath.Join(t.TempDir(), "W")
	must(t, Init(dir, "witness.test/w1", []string{s.vkey}))
	file, key, pool := certificate(t, t.TempDir())
	out, in := io.Pipe()
	commands := &Commands{Dir: &dir, Stdout: in, Stderr: &bytes.Buffer{}}
	command := commands.Command()
	command.SetArgs([]string{"serve", "--listen", "127.0.0.1:0", "--tls-cert", file, "--tls-key", key})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- command.ExecuteContext(ctx) }()
	line := make([]byte, 200)
	n, err := out.Read(line)
	must(t, err)
	text := string(line[:n])
	c := witness.Config{Name: "hq", URL: "https://" + strings.TrimSpace(text[strings.LastIndex(text, " "):]), CAs: pool}
	for name, into := range map[string]*string{witnessKey: &c.Key, mirrorKey: &c.MirrorKey} {
		k, err := readKey(filepath.Join(dir, name))
		must(t, err)
		*into = k.VerifierKey()
	}
	client, err := witness.NewClient(c)
	must(t, err)
	submitter := witness.Start([]witness.Destination{witness.To(s, s.vkey, client)}, nil)
	submitter.End(time.Minute)
	if state := submitter.States()[0]; state.Err != nil || len(s.lines) != 2 {
		t.Errorf("%+v, %v", state, s.lines)
	}
	c.CAs = x509.NewCertPool()
	if err := s.fork().grow(20, "").submitted(t, c); err == nil || !strings.Contains(err.Error(), "unknown authority") {
		t.Errorf("a certificate that nobody trusts: %v", err)
	}
	stop()
	must(t, <-ended)
}

// While too many requests write, further ones are refused at once.
func TestTooManyRequestsAtOnceAreRefused(t *testing.T) {
	h := newHeadquarters(t, newStation(t).vkey)
	server := NewServer(h.Store, nil)
	release, held := make(chan struct{}), make(chan struct{}, maxAtOnce)
	handle := server.bounded(func(http.ResponseWriter, *http.Request) { held <- struct{}{}; <-release })
	busy := httptest.NewServer(handle)
	defer busy.Close()
	ask := func() *http.Response {
		response, err := http.Post(busy.URL, "", strings.NewReader("body"))
		must(t, err)
		must(t, response.Body.Close())
		return response
	}
	var asked sync.WaitGroup
	for range maxAtOnce {
		asked.Go(func() { ask() })
	}
	for range maxAtOnce {
		<-held
	}
	got := ask()
	close(release)
	asked.Wait()
	if got.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("status %d", got.StatusCode)
	}
}

// Strangers who send the body of a request slowly keep no station out, and are refused.
func TestStrangersWhoSendSlowlyKeepNobodyOut(t *testing.T) {
	s := newStation(t).grow(20, "entry")
	h := newHeadquarters(t, s.vkey)
	server := NewServer(h.Store, slog.New(slog.DiscardHandler))
	server.pace = time.Second
	h.server.Close()
	h.server = httptest.NewServer(server.Handler())
	var slow []net.Conn
	for _, path := range []string{witness.PathAddCheckpoint, witness.PathAddEntries} {
		for range maxAtOnce + 1 {
			conn, err := net.Dial("tcp", h.server.Listener.Addr().String())
			must(t, err)
			defer conn.Close()
			_, err = fmt.Fprintf(conn, "POST /%s HTTP/1.1\r\nHost: witness\r\nContent-Length: 1000\r\n\r\nold 0\n", path)
			must(t, err)
			slow = append(slow, conn)
		}
	}
	client := h.client()
	submitter := witness.Start([]witness.Destination{witness.To(s, s.vkey, client)}, nil)
	submitter.End(time.Minute)
	if state := submitter.States()[0]; state.Err != nil || len(s.lines) != 2 {
		t.Errorf("the station gets %v and %d lines", state.Err, len(s.lines))
	}
	for _, conn := range []net.Conn{slow[0], slow[len(slow)-1]} {
		must(t, conn.SetReadDeadline(time.Now().Add(time.Minute)))
		answer, err := bufio.NewReader(conn).ReadString('\n')
		if err != nil || !strings.Contains(answer, " 408 ") {
			t.Errorf("a stranger gets %q, %v", answer, err)
		}
	}
}

// A network that asks too often is refused, and no other.
func TestANetworkThatAsksTooOftenKeepsNobodyElseOut(t *testing.T) {
	h := newHeadquarters(t, newStation(t).vkey)
	server := NewServer(h.Store, slog.New(slog.DiscardHandler))
	handle := server.bounded(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	ask := func(from string) int {
		request := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("body"))
		request.RemoteAddr = from
		answer := httptest.NewRecorder()
		handle(answer, request)
		return answer.Code
	}
	refused := false
	for range 100 * perSecond {
		refused = refused || ask("192.0.2.1:1000") == http.StatusTooManyRequests
	}
	if !refused {
		t.Error("a network may ask as often as it likes")
	}
	if ask("198.51.100.1:1000") == http.StatusTooManyRequests { // a recorder has no deadlines, so the request itself fails later
		t.Error("another network is refused, too")
	}
}

func TestTLSNeedsCertificateAndKey(t *testing.T) {
	for _, o := range []serveOptions{{certificate: "a.pem"}, {key: "a.key"}} {
		if _, err := o.tls(); err == nil || !strings.Contains(err.Error(), "one of them is missing") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
