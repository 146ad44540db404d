package webhook_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"hallmark/fixtures"
	"hallmark/station"
	"hallmark/station/instance"
	"hallmark/station/webhook"
	"hallmark/station/workdir"
)

var secret = []byte("0123456789abcdef0123456789abcdef")

// A message is the body of a request, as a receiver reads it.
type message struct {
	Type, Timestamp string
	Data            struct {
		Station, Run, Bay, Purpose, Ending, Reason string
		BoardID                                    string `json:"board_id"`
		BoardType                                  string `json:"board_type"`
	}
}

// A receiver is a real server with TLS. It verifies each signature, and answers as answer says.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	answer func(w http.ResponseWriter, r *http.Request)
	took   []message // that were answered with 2xx
	ids    []string
	asked  int
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{answer: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }}
	r.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(request.Header.Get("webhook-id") + "." + request.Header.Get("webhook-timestamp") + "." + string(body)))
		if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); err != nil || request.Header.Get("webhook-signature") != want {
			t.Errorf("%v: the signature does not fit", err)
		}
		var m message
		if err := json.Unmarshal(body, &m); err != nil {
			t.Error(err)
		}
		r.mu.Lock()
		answer := r.answer
		r.asked++
		r.mu.Unlock()
		seen := &seenStatus{ResponseWriter: w}
		answer(seen, request)
		if seen.status/100 == 2 {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.took, r.ids = append(r.took, m), append(r.ids, request.Header.Get("webhook-id"))
		}
	}))
	t.Cleanup(r.Server.Close)
	return r
}

type seenStatus struct {
	http.ResponseWriter
	status int
}

func (s *seenStatus) WriteHeader(status int) { s.status = status; s.ResponseWriter.WriteHeader(status) }

func (r *receiver) answers(how func(http.ResponseWriter, *http.Request)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = how
}

func (r *receiver) runs() (all []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.took {
		all = append(all, m.Data.Run)
	}
	return all
}

func (r *receiver) config() webhook.Config {
	cas := x509.NewCertPool()
	cas.AddCert(r.Certificate())
	return webhook.Config{Name: "mes", URL: r.URL + "/hook", Secret: secret, CAs: cas, Timeout: 10 * time.Second}
}

// A suite is a station whose Runs end, with an outbox.
type suite struct {
	t      *testing.T
	dir    workdir.Dir
	record *instance.Record
}

func newSuite(t *testing.T) *suite {
	s := &suite{t: t, dir: fixtures.NewDirectory(t)}
	s.record = fixtures.OpenRecord(t, s.dir)
	t.Cleanup(func() { must(t, s.record.Close()) })
	return s
}

func (s *suite) open(c webhook.Config) *webhook.Outbox {
	s.t.Helper()
	return fixtures.Must(webhook.Open(s.t.Context(), s.dir, s.record.Registry, c, slog.New(slog.DiscardHandler)))(s.t)
}

func (s *suite) end(n int) (ids []string) {
	for range n {
		ids = append(ids, fixtures.EndRun(s.t, s.record, "ann").ID.String())
	}
	return ids
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestAReceiverIsToldOfEachEndingOnceAndInOrder(t *testing.T) {
	s, r := newSuite(t), newReceiver(t)
	s.end(1) // before the webhook was configured
	o := s.open(r.config())
	defer o.Close()
	want := s.end(3)
	sent, err := o.Flush(t.Context())
	if again, err := o.Flush(t.Context()); err != nil || again != 0 {
		t.Errorf("%d are sent again, %v", again, err)
	}
	if got := r.runs(); err != nil || sent != 3 || !slices.Equal(got, want) {
		t.Fatalf("%d, %v, got %v, want %v", sent, err, got, want)
	}
	if m := r.took[0]; m.Type != "run.reject" || m.Data.Ending != "reject" || m.Data.Reason != "wrong-identity" || m.Data.Bay != "bay-1" || m.Data.Station != "demo" || m.Data.BoardType != "posix" || m.Data.Purpose != "tls" || len(m.Data.BoardID) != 36 {
		t.Errorf("%+v", m)
	}
	if at, err := time.Parse(time.RFC3339Nano, r.took[0].Timestamp); err != nil || time.Since(at) > time.Hour {
		t.Errorf("%v %v", at, err)
	}
	only := r.config()
	only.Name, only.Endings = "passes", []string{string(station.Pass)}
	other := s.open(only)
	defer other.Close()
	s.end(2)
	if n, err := other.Flush(t.Context()); err != nil || n != 0 {
		t.Errorf("a webhook for passes is told of %d rejects, %v", n, err)
	}
}

// What a receiver does not take waits, whatever it does, and no secret is in the error. Then all are taken, in order.
func TestWhatIsNotTakenWaits(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed") }))
	defer elsewhere.Close()
	for name, test := range map[string]struct {
		answer func(http.ResponseWriter, *http.Request)
		says   string
	}{
		"500": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }, "answers 500"},
		"404": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }, "answers 404"},
		"a redirect": {func(w http.ResponseWriter, q *http.Request) {
			http.Redirect(w, q, elsewhere.URL, http.StatusTemporaryRedirect)
		}, "names another address"},
		"it closes the line": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "EOF"},
		// A handler that returns would answer 200 to the client that closes its connection, and the client may still read that.
		"it never answers": {func(_ http.ResponseWriter, q *http.Request) {
			<-q.Context().Done()
			panic(http.ErrAbortHandler)
		}, "deadline exceeded"},
		"it never ends its answer": {func(w http.ResponseWriter, q *http.Request) {
			w.(*seenStatus).ResponseWriter.WriteHeader(200)
			_ = http.NewResponseController(w.(*seenStatus).ResponseWriter).Flush()
			<-q.Context().Done()
			panic(http.ErrAbortHandler)
		}, "deadline exceeded"},
		"it took two and then refused": {nil, "answers 503"},
	} {
		t.Run(name, func(t *testing.T) {
			s, r := newSuite(t), newReceiver(t)
			config := r.config()
			if strings.Contains(name, "never") {
				config.Timeout = 300 * time.Millisecond
			}
			first := 0
			if test.answer == nil {
				first, test.answer = 2, func(w http.ResponseWriter, _ *http.Request) {
					w.WriteHeader(map[bool]int{true: http.StatusOK, false: http.StatusServiceUnavailable}[r.asked <= 2])
				}
			}
			r.answers(test.answer)
			o := s.open(config)
			want := s.end(4)
			sent, err := o.Flush(t.Context())
			waiting, oldest, bad := o.Waiting(t.Context())
			if !errors.Is(err, webhook.ErrNotTaken) || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), string(secret)) || strings.Contains(err.Error(), "/hook") ||
				sent != first || waiting != 4-first || oldest.IsZero() || bad != nil {
				t.Fatalf("sent %d, %d wait, %v %v", sent, waiting, err, bad)
			}
			must(t, o.Close()) // the end of the station
			r.answers(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
			config.Timeout = 0
			next := s.open(config)
			defer next.Close()
			if sent, err := next.Flush(t.Context()); err != nil || sent != 4-first || !slices.Equal(r.runs(), want) {
				t.Errorf("%d %v: got %v, want %v", sent, err, r.runs(), want)
			}
		})
	}
}

// A dead receiver holds up neither a Run nor the end of the station. When it is back, it gets all, from the Sender itself.
func TestADeadReceiverThatComesBackGetsAll(t *testing.T) {
	s, r := newSuite(t), newReceiver(t)
	config := r.config()
	address := fixtures.Must(net.Listen("tcp", "127.0.0.1:0"))(t)
	front := address.Addr().String()
	must(t, address.Close()) // nobody listens there
	config.URL = strings.Replace(config.URL, strings.TrimPrefix(r.URL, "https://"), front, 1)
	sender := webhook.Start(s.open(config))
	want := s.end(5)
	waitFor(t, "a failed try", func() bool { return sender.Err() != nil })
	if !errors.Is(sender.Err(), webhook.ErrNotTaken) || !strings.Contains(sender.Err().Error(), "connection refused") {
		t.Errorf("%v", sender.Err())
	}
	back := fixtures.Must(net.Listen("tcp", front))(t)
	go pass(back, strings.TrimPrefix(r.URL, "https://"))
	defer back.Close()
	waitFor(t, "all endings", func() bool { return len(r.runs()) == len(want) && sender.Err() == nil })
	want = append(want, s.end(1)...)
	must(t, sender.End(time.Minute)) // sends the last one
	if !slices.Equal(r.runs(), want) {
		t.Errorf("got %v, want %v", r.runs(), want)
	}
}

// pass carries connections to the receiver.
func pass(from net.Listener, to string) {
	for {
		near, err := from.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", to)
		if err != nil {
			_ = near.Close()
			return
		}
		go func() { _, _ = io.Copy(far, near); _ = far.Close() }()
		go func() { _, _ = io.Copy(near, far); _ = near.Close() }()
	}
}

// A station that is killed between a delivery and its cursor sends these endings again, with the same ids, and loses none.
func TestACrashLosesNoEnding(t *testing.T) {
	s, r := newSuite(t), newReceiver(t)
	o := s.open(r.config())
	cursor := fixtures.Must(os.ReadFile(webhook.Path(s.dir, "mes")))(t)
	s.end(2)
	fixtures.Must(o.Flush(t.Context()))(t)
	must(t, os.WriteFile(webhook.Path(s.dir, "mes"), cursor, 0o600)) // what a kill leaves
	must(t, o.Close())
	want := s.end(1)
	o = s.open(r.config())
	defer o.Close()
	if sent, err := o.Flush(t.Context()); err != nil || sent != 3 {
		t.Fatalf("%d %v", sent, err)
	}
	if got := r.runs(); got[4] != want[0] || r.ids[0] != r.ids[2] || r.ids[1] != r.ids[3] || r.ids[3] == r.ids[4] {
		t.Errorf("%v %v", got, r.ids)
	}
}

func TestAnOutboxBelongsToOneProcess(t *testing.T) {
	s, r := newSuite(t), newReceiver(t)
	o := s.open(r.config())
	if _, err := webhook.Open(t.Context(), s.dir, s.record.Registry, r.config(), slog.New(slog.DiscardHandler)); !errors.Is(err, webhook.ErrBusy) {
		t.Errorf("%v", err)
	}
	must(t, o.Close())
	must(t, os.WriteFile(webhook.Path(s.dir, "mes"), []byte(`{"next": 1000000}`), 0o600)) // an older registry was put back
	o = s.open(r.config())
	want := s.end(1)
	if sent, err := o.Flush(t.Context()); err != nil || sent != 1 || r.runs()[0] != want[0] {
		t.Errorf("%d %v", sent, err)
	}
	must(t, o.Close())
	must(t, os.WriteFile(webhook.Path(s.dir, "mes"), []byte("x"), 0o600))
	if _, err := webhook.Open(t.Context(), s.dir, s.record.Registry, r.config(), slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "remove the file") {
		t.Errorf("%v", err)
	}
}

func TestReadSecret(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	for name, test := range map[string]struct {
		text string
		mode os.FileMode
		want string
		says string
	}{
		"text":               {string(secret) + "\n", 0o600, string(secret), ""},
		"base64":             {"whsec_" + base64.StdEncoding.EncodeToString(secret), 0o400, string(secret), ""},
		"no base64":          {"whsec_***" + string(secret), 0o600, "", "24 to 64 octets"},
		"too short":          {"short", 0o600, "", "24 to 64 octets"},
		"others may read it": {string(secret), 0o640, "", "chmod 600"},
	} {
		t.Run(name, func(t *testing.T) {
			_ = os.Remove(path)
			must(t, os.WriteFile(path, []byte(test.text), 0o600))
			must(t, os.Chmod(path, test.mode))
			got, err := webhook.ReadSecret(path)
			if string(got) != test.want || (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) || err != nil && strings.Contains(err.Error(), strings.TrimPrefix(test.text, "whsec_")) {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no %s", what)
		}
	}
}
