package status

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"hallmark/devices"
	"hallmark/fixtures"
	"hallmark/station/instance"
	"hallmark/station/ocsp"
	"hallmark/station/registry"
	"hallmark/station/workdir"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A testServer is a server for a real station directory, whose OCSP certificate the issuing CA on a real token has signed.
type testServer struct {
	dir           workdir.Dir
	plain, secure string
	client        *http.Client // trusts the root
	later         atomic.Int64 // what its clock is ahead, a time.Duration
	ended         chan error
	stop          func()
}

func newTestServer(t *testing.T, perSecond float64) *testServer {
	t.Helper()
	dir := fixtures.NewDirectory(t)
	station := fixtures.Must(instance.Open(t.Context(), dir, instance.Options{}))(t)
	_, err := station.RenewOCSP(t.Context(), 30, "ann")
	must(t, err)
	root, name := station.Root, station.Config.Verifier.ServerName
	must(t, station.Close())

	s := &testServer{dir: dir, ended: make(chan error, 1)}
	follower := fixtures.Must(registry.OpenFollower(t.Context(), dir.Registry()))(t)
	issuing := fixtures.Must(workdir.ReadCertificate(dir.Issuing()))(t)
	log := slog.New(slog.DiscardHandler)
	signer := &newestSigner{dir: dir, now: time.Now, log: log}
	server := NewServer(Config{Dir: dir, Registry: follower, Issuer: sha256.Sum256(issuing.RawSubjectPublicKeyInfo), Signer: signer.get, Validity: time.Hour, PerSecond: perSecond, Log: log,
		Now: func() time.Time { return time.Now().Add(time.Duration(s.later.Load())) }})
	plain := fixtures.Must(open(t.Context(), "127.0.0.1:0"))(t)
	secure := fixtures.Must(open(t.Context(), "127.0.0.1:0"))(t)
	pair := fixtures.Must(instance.ServerPair(dir, time.Now()))(t)
	ctx, stop := context.WithCancel(t.Context())
	s.plain, s.secure, s.stop = "http://"+plain.Addr().String(), "https://"+secure.Addr().String(), stop
	go func() {
		s.ended <- server.Serve(ctx, plain, secure, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12})
		close(s.ended)
	}()
	roots := x509.NewCertPool()
	roots.AddCert(root)
	s.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: name}}, Timeout: time.Minute}
	t.Cleanup(func() {
		s.client.CloseIdleConnections()
		stop()
		<-s.ended
		must(t, follower.Close())
	})
	return s
}

// ask sends a request, and gives status, type and body of the answer.
func (s *testServer) ask(t *testing.T, method, url string, body []byte) (int, string, []byte) {
	t.Helper()
	request := fixtures.Must(http.NewRequest(method, url, bytes.NewReader(body)))(t)
	answer := fixtures.Must(s.client.Do(request))(t)
	defer answer.Body.Close()
	return answer.StatusCode, answer.Header.Get("Content-Type"), fixtures.Must(io.ReadAll(answer.Body))(t)
}

// request makes a request with openssl, for a serial number.
func (s *testServer) request(t *testing.T, more ...string) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "request")
	text, err := exec.Command("openssl", append(append([]string{"ocsp"}, more...), "-issuer", s.dir.Issuing(), "-serial", "0x1234", "-reqout", file)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return fixtures.Must(os.ReadFile(file))(t)
}

// read has openssl verify an answer, also that it repeats the nonce of the request.
func (s *testServer) read(t *testing.T, request, answer []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "answer")
	must(t, os.WriteFile(file, answer, 0o600))
	must(t, os.WriteFile(file+".request", request, 0o600))
	text, err := exec.Command("openssl", "ocsp", "-respin", file, "-reqin", file+".request", "-verify_other", s.dir.Issuing(), "-CAfile", s.dir.Root(), "-resp_text").CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s", err, text)
	}
	return string(text)
}

func TestEachWayToAskGetsASignedAnswer(t *testing.T) {
	s := newTestServer(t, 1000)
	der := s.request(t)
	for len(der)%3 == 0 || !strings.ContainsAny(base64.StdEncoding.EncodeToString(der), "+/") { // a nonce is random: want padding and characters that need an escape
		der = s.request(t)
	}
	text := base64.StdEncoding.EncodeToString(der)
	for _, test := range []struct {
		name, method, url string
		body              []byte
	}{
		{"POST", http.MethodPost, s.plain, der},
		{"POST over TLS", http.MethodPost, s.secure + "/ocsp", der},
		{"GET with escapes", http.MethodGet, s.plain + "/" + url.QueryEscape(text), nil},
		{"GET without escapes", http.MethodGet, s.plain + "/" + text, nil},
		{"GET without padding", http.MethodGet, s.plain + "/" + strings.TrimRight(text, "="), nil},
		{"GET over TLS", http.MethodGet, s.secure + "/ocsp/" + url.PathEscape(text), nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			status, kind, answer := s.ask(t, test.method, test.url, test.body)
			if status != http.StatusOK || kind != "application/ocsp-response" {
				t.Fatalf("status %d, %s", status, kind)
			}
			if text := s.read(t, der, answer); !strings.Contains(text, "Cert Status: unknown") || !strings.Contains(text, "Response verify OK") || !strings.Contains(text, "OCSP Nonce") {
				t.Error(text)
			}
		})
	}
	for _, more := range [][]string{{"-no_nonce"}, {"-sha256"}} { // openssl has the hash before the serial number
		der := s.request(t, more...)
		status, _, answer := s.ask(t, http.MethodPost, s.plain, der)
		if text := s.read(t, der, answer); status != http.StatusOK || !strings.Contains(text, "Cert Status: unknown") || more[0] == "-no_nonce" && strings.Contains(text, "OCSP Nonce") {
			t.Errorf("%v: %d %s", more, status, text)
		}
	}
}

func TestWhatCannotBeAnsweredIsRefused(t *testing.T) {
	s := newTestServer(t, 1000)
	for _, test := range []struct {
		name, method, url string
		body              []byte
		status            int
		answer            string // a part
	}{
		{"octets that are no request", http.MethodPost, s.plain, []byte("hello"), 200, string(ocsp.Malformed)},
		{"an empty body", http.MethodPost, s.plain, nil, 200, string(ocsp.Malformed)},
		{"a huge body", http.MethodPost, s.plain, make([]byte, 1<<20), 413, string(ocsp.Malformed)},
		{"a long path", http.MethodGet, s.plain + "/" + base64.RawURLEncoding.EncodeToString(make([]byte, ocsp.MaxRequest+1)), nil, 414, string(ocsp.Malformed)},
		{"a path without base64", http.MethodGet, s.plain + "/hello%20you", nil, 200, string(ocsp.Malformed)},
		{"an empty path", http.MethodGet, s.plain + "/", nil, 200, string(ocsp.Malformed)},
		{"base64 of no request", http.MethodGet, s.secure + "/ocsp/aGVsbG8=", nil, 200, string(ocsp.Malformed)},
		{"another method", http.MethodDelete, s.plain, nil, 405, "want GET or POST"},
		{"JSON over plain HTTP", http.MethodGet, s.plain + "/healthz", nil, 200, string(ocsp.Malformed)},
		{"a serial number that is none", http.MethodGet, s.secure + "/certificates/12", nil, 400, "32 hexadecimal digits"},
		{"a serial number that was never used", http.MethodGet, s.secure + "/certificates/" + strings.Repeat("0", 32), nil, 404, "no certificate"},
		{"a BoardID that is none", http.MethodGet, s.secure + "/boards/..%2f..", nil, 400, "want a BoardID"},
		{"a board that was never seen", http.MethodGet, s.secure + "/boards/" + devices.BoardID(uuid.New()).String(), nil, 404, "no board"},
		{"a change", http.MethodPost, s.secure + "/certificates/" + strings.Repeat("0", 32), nil, 405, ""},
		{"a path that is not served", http.MethodGet, s.secure + "/pki/ocsp.key", nil, 404, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			status, _, answer := s.ask(t, test.method, test.url, test.body)
			if status != test.status || !strings.Contains(string(answer), test.answer) {
				t.Errorf("status %d: %q", status, answer)
			}
		})
	}
}

func TestAClientThatAsksTooOftenWaits(t *testing.T) {
	s := newTestServer(t, 3)
	for n := range 4 {
		status, _, _ := s.ask(t, http.MethodGet, s.secure+"/healthz", nil)
		if want := map[bool]int{true: 200, false: 429}[n < 3]; status != want {
			t.Errorf("request %d: status %d, want %d", n+1, status, want)
		}
	}
}

func TestANewCertificateIsTakenAndAWrongOneIsNot(t *testing.T) {
	s := newTestServer(t, 1000)
	now := time.Now()
	var log strings.Builder
	signer := &newestSigner{dir: s.dir, now: func() time.Time { return now }, log: slog.New(slog.NewTextHandler(&log, nil))}
	first := fixtures.Must(signer.get())(t)
	station := fixtures.Must(instance.Open(t.Context(), s.dir, instance.Options{}))(t)
	made, err := station.RenewOCSP(t.Context(), 20, "ann")
	must(t, err)
	must(t, station.Close())
	if again := fixtures.Must(signer.get())(t); again != first {
		t.Error("the file was looked at again within a second")
	}
	now = now.Add(lookAgain)
	newest := fixtures.Must(signer.get())(t)
	if !newest.Certificate.Equal(made) {
		t.Error("the new certificate is not used")
	}
	must(t, workdir.WriteFile(s.dir.OCSP(), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: station.Issuing.Raw})))
	for range 3 {
		now = now.Add(lookAgain)
		if again := fixtures.Must(signer.get())(t); again != newest {
			t.Error("a wrong certificate is used")
		}
	}
	if n := strings.Count(log.String(), "the new OCSP certificate is not used"); n != 1 {
		t.Errorf("the log says it %d times: %s", n, log.String())
	}
}

// A server that nobody gave a new certificate warns, and then gives no answer that a client would have to doubt.
func TestAnEndedCertificateSignsNothing(t *testing.T) {
	s := newTestServer(t, 1000)
	der := s.request(t)
	for _, test := range []struct {
		days             int
		status           int
		warnings, faults string
		refused          bool
	}{
		{22, http.StatusOK, "", "", false},
		{24, http.StatusOK, "the OCSP certificate ends soon", "", false},
		{31, http.StatusServiceUnavailable, "", "the OCSP certificate has ended", true},
	} {
		s.later.Store(int64(time.Duration(test.days) * 24 * time.Hour))
		var health Health
		status, _, answer := s.ask(t, http.MethodGet, s.secure+"/healthz", nil)
		must(t, json.Unmarshal(answer, &health))
		if status != test.status || !strings.Contains(strings.Join(health.Warnings, ""), test.warnings) || !strings.Contains(strings.Join(health.Faults, ""), test.faults) ||
			len(health.Warnings) > 0 != (test.warnings != "") || len(health.Faults) > 0 != (test.faults != "") {
			t.Errorf("after %d days: status %d, %s", test.days, status, answer)
		}
		status, _, answer = s.ask(t, http.MethodPost, s.plain, der)
		if status != http.StatusOK || bytes.Equal(answer, ocsp.InternalError) != test.refused {
			t.Errorf("after %d days: status %d, %x", test.days, status, answer)
		}
	}
}

// A server whose registry was replaced ends, because its answers would be old.
func TestAReplacedRegistryEndsTheServer(t *testing.T) {
	s := newTestServer(t, 1000)
	var health Health
	_, _, answer := s.ask(t, http.MethodGet, s.secure+"/healthz", nil)
	must(t, json.Unmarshal(answer, &health))
	if health.Status != "ok" || health.OCSPEnds.IsZero() || len(health.Faults)+len(health.Warnings) > 0 {
		t.Errorf("got %s", answer)
	}
	content := fixtures.Must(os.ReadFile(s.dir.Registry()))(t)
	must(t, os.Rename(s.dir.Registry(), s.dir.Registry()+".old"))
	must(t, os.WriteFile(s.dir.Registry(), content, 0o600))
	if status, _, answer := s.ask(t, http.MethodGet, s.secure+"/certificates/"+strings.Repeat("0", 32), nil); status != http.StatusServiceUnavailable {
		t.Errorf("status %d: %s", status, answer)
	}
	if err := <-s.ended; err == nil || !strings.Contains(err.Error(), registry.ErrNotFollowed.Error()) {
		t.Errorf("got %v", err)
	}
}

func TestAnAddressInUseIsNamed(t *testing.T) {
	first := fixtures.Must(net.Listen("tcp", "127.0.0.1:0"))(t)
	defer first.Close()
	if _, err := open(t.Context(), first.Addr().String()); err == nil || !strings.Contains(err.Error(), ErrInUse.Error()) {
		t.Errorf("got %v", err)
	}
}
