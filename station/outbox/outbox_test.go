package outbox_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"crypto/x509"

	"hallmark/fixtures/stationlog"
	"hallmark/station/outbox"
	"hallmark/station/workdir"
)

// A hub is a server that takes every Push in order, or answers as answer says.
type hub struct {
	*httptest.Server
	mu     sync.Mutex
	turn   int64
	taken  [][]byte
	leases int64
	found  []outbox.Finding
	orders []outbox.Order
	pushes []outbox.Push
	answer http.HandlerFunc // nil: as a hub does
}

func newHub(t *testing.T) *hub {
	t.Helper()
	h := &hub{}
	h.Server = httptest.NewTLSServer(http.HandlerFunc(h.take))
	t.Cleanup(h.Close)
	return h
}

func (h *hub) take(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.answer != nil {
		h.answer(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	push, bad := outbox.DecodePush(body)
	if err = errors.Join(err, bad); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	h.pushes = append(h.pushes, push)
	a := outbox.Answer{Version: outbox.Version, Leases: h.leases, Findings: h.found, Orders: h.orders}
	if push.Turn == h.turn && push.From == int64(len(h.taken)) {
		a.Taken, h.turn, h.taken = true, h.turn+1, append(h.taken, push.Entries...)
	}
	a.Turn, a.Next = h.turn, int64(len(h.taken))
	text, _ := outbox.Encode(a) // of a struct
	w.Header().Set("Content-Type", outbox.TypeMessage)
	_, _ = w.Write(text)
}

func (h *hub) answers(how http.HandlerFunc) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answer = how
}

func (h *hub) number() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.taken)
}

func open(t *testing.T, dir string, h *hub, log *stationlog.Log, handlers outbox.Handlers) *outbox.Outbox {
	t.Helper()
	cas := x509.NewCertPool()
	cas.AddCert(h.Certificate())
	if handlers.Order == nil {
		handlers.Order = func(context.Context, outbox.Order) error { return nil }
	}
	if handlers.Finding == nil {
		handlers.Finding = func(context.Context, outbox.Finding) error { return nil }
	}
	o, err := outbox.Open(workdir.Dir(dir), log, outbox.Config{URL: h.URL, CAs: cas, Timeout: 5 * time.Second}, handlers, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func closed(t *testing.T, o *outbox.Outbox) {
	t.Helper()
	if err := o.Close(); err != nil {
		t.Error(err)
	}
}

func TestTheHubGetsEachEntryOnceAndInOrder(t *testing.T) {
	h, log, dir := newHub(t), stationlog.New("bench-1"), t.TempDir()
	for range 1000 { // more than one Push
		log.Run(stationlog.NewBoard(), "")
	}
	log.Sign()
	o := open(t, dir, h, log, outbox.Handlers{})
	if err := o.Send(t.Context()); err != nil {
		t.Fatal(err)
	}
	closed(t, o)
	log.Run(stationlog.NewBoard(), "")
	o = open(t, dir, h, log, outbox.Handlers{}) // a restart
	defer closed(t, o)
	if err := o.Send(t.Context()); err != nil {
		t.Fatal(err)
	}
	size, _ := log.LogSize(t.Context())
	want, _ := log.Bodies(t.Context(), 0, size)
	if len(h.taken) != len(want) || !bytes.Equal(bytes.Join(h.taken, nil), bytes.Join(want, nil)) {
		t.Errorf("the hub has %d entries, want %d", len(h.taken), len(want))
	}
	if taken, _, err := outbox.Remembered(workdir.Dir(dir)); err != nil || taken < size-6 {
		t.Errorf("the station remembers %d of %d, %v", taken, size, err)
	}
	if last := h.pushes[len(h.pushes)-1]; len(last.Certificates) != 1 || len(last.Checkpoint) == 0 {
		t.Errorf("the last Push has %d certificates and a checkpoint of %d octets", len(last.Certificates), len(last.Checkpoint))
	}
}

func answers(a outbox.Answer) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		text, _ := outbox.Encode(a) // of a struct
		w.Header().Set("Content-Type", outbox.TypeMessage)
		_, _ = w.Write(text)
	}
}

func TestAHubThatAnswersWronglyIsAskedAgain(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"a fault":         func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusServiceUnavailable) },
		"another address": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) },
		"text":            func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") },
		"damaged CBOR": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", outbox.TypeMessage)
			_, _ = w.Write([]byte{0xa1, 0x61})
		},
		"an endless text": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", outbox.TypeMessage)
			_, _ = w.Write(make([]byte, outbox.MaxAnswer+2))
		},
		"too many findings":           answers(outbox.Answer{Version: outbox.Version, Findings: make([]outbox.Finding, outbox.MaxFindings+1)}),
		"a finding that no log takes": answers(outbox.Answer{Version: outbox.Version, Findings: []outbox.Finding{{ID: 1, Text: strings.Repeat("x", 70_000)}}}),
		"too many orders":             answers(outbox.Answer{Version: outbox.Version, Orders: make([]outbox.Order, outbox.MaxOrders+1)}),
		"the end of a line":           func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"always another turn": func(w http.ResponseWriter, _ *http.Request) {
			text, _ := outbox.Encode(outbox.Answer{Version: outbox.Version, Turn: time.Now().UnixNano()})
			w.Header().Set("Content-Type", outbox.TypeMessage)
			_, _ = w.Write(text)
		},
	} {
		t.Run(name, func(t *testing.T) {
			h, log := newHub(t), stationlog.New("bench-1")
			h.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
			o := open(t, t.TempDir(), h, log, outbox.Handlers{})
			defer closed(t, o)
			h.answers(answer)
			if err := o.Send(t.Context()); !errors.Is(err, outbox.ErrNotTaken) {
				t.Errorf("got %v", err)
			}
			h.answers(nil)
			if err := o.Send(t.Context()); err != nil || h.number() != 1 {
				t.Errorf("afterwards: %v, %d entries", err, h.number())
			}
		})
	}
}

func TestASenderGoesOnWhenTheHubIsBack(t *testing.T) {
	h, log := newHub(t), stationlog.New("bench-1")
	h.answers(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusServiceUnavailable) })
	s := outbox.Start(open(t, t.TempDir(), h, log, outbox.Handlers{}))
	until(t, "the sender says why", func() bool { return errors.Is(s.Err(), outbox.ErrNotTaken) })
	h.answers(nil)
	until(t, "the hub has the log", func() bool { return h.number() == 1 })
	log.Run(stationlog.NewBoard(), "")
	if err := s.End(time.Minute); err != nil { // what is there at the end is sent, too
		t.Error(err)
	}
	if h.number() != 7 {
		t.Errorf("the hub has %d entries", h.number())
	}
}

func until(t *testing.T, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waiting until %s", what)
		}
	}
}

func TestFindingsAreNotedOnceAndStayOverARestart(t *testing.T) {
	h, log, dir := newHub(t), stationlog.New("bench-1"), t.TempDir()
	h.found = []outbox.Finding{{ID: 2, Kind: outbox.FindingFork}, {ID: 1, Kind: outbox.FindingBoard}}
	h.orders = []outbox.Order{{File: []byte("x")}}
	var noted []int64
	orders := 0
	handlers := outbox.Handlers{Finding: func(_ context.Context, f outbox.Finding) error { noted = append(noted, f.ID); return nil },
		Order: func(context.Context, outbox.Order) error { orders++; return errors.New("not for this station") }}
	for range 2 {
		o := open(t, dir, h, log, handlers)
		if err := o.Send(t.Context()); err != nil {
			t.Fatal(err)
		}
		closed(t, o)
	}
	if len(noted) != 2 || noted[0] != 1 || noted[1] != 2 || orders == 0 {
		t.Errorf("noted %v, %d orders", noted, orders)
	}
	h.found[0].Kind = outbox.FindingRollback // a hub that was restored gives the number to another finding
	o := open(t, dir, h, log, handlers)
	if err := o.Send(t.Context()); err != nil {
		t.Fatal(err)
	}
	closed(t, o)
	if len(noted) != 3 || noted[2] != 2 {
		t.Errorf("after a restore of the hub: noted %v", noted)
	}
	h.Close() // without a link the findings are still there
	o = open(t, dir, h, log, handlers)
	defer closed(t, o)
	if got := o.Findings(); len(got) != 2 {
		t.Errorf("after a restart: %v", got)
	}
}

func TestAnOutboxBelongsToOneProcess(t *testing.T) {
	h, log, dir := newHub(t), stationlog.New("bench-1"), t.TempDir()
	defer closed(t, open(t, dir, h, log, outbox.Handlers{}))
	if _, err := outbox.Open(workdir.Dir(dir), log, outbox.Config{URL: h.URL}, outbox.Handlers{}, slog.New(slog.DiscardHandler)); !errors.Is(err, outbox.ErrBusy) {
		t.Errorf("got %v", err)
	}
}

func TestADamagedMemoryIsNamed(t *testing.T) {
	dir := workdir.Dir(t.TempDir())
	if err := os.MkdirAll(dir.In("outbox"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "{", `{"taken":-1}`, "[]"} {
		if err := os.WriteFile(outbox.Path(dir), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := outbox.Remembered(dir); err == nil || !strings.Contains(err.Error(), "remove it") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// The law of messages: what is read is a Push within its bounds, and is encoded to the same octets.
func FuzzPush(f *testing.F) {
	good, err := outbox.Encode(outbox.Push{Version: outbox.Version, Size: 2, Root: make([]byte, 32), Entries: [][]byte{{1}}, Checkpoint: []byte{}, Certificates: [][]byte{}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	far, err := outbox.Encode(outbox.Push{Version: outbox.Version, From: math.MaxInt64, Size: math.MaxInt64, Root: make([]byte, 32), Entries: [][]byte{{1}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(far)
	f.Add([]byte{0xa0})
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := outbox.DecodePush(body)
		if err != nil {
			return
		}
		if p.From > p.Size || int64(len(p.Entries)) > p.Size-p.From || len(p.Entries) > outbox.MaxEntries || len(p.Root) != 32 {
			t.Errorf("out of bounds: %+v", p)
		}
	})
}
