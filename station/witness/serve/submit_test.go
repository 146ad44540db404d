package serve

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"hallmark/station/witness"
)

// bad runs a witness that a test wrote, and returns what the station says of it.
func bad(t *testing.T, s *station, c witness.Config, handler http.HandlerFunc) error {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	c.URL, c.Timeout, c.MirrorKey = server.URL, 2*time.Second, ""
	return s.submitted(t, c)
}

// submitted sends the newest checkpoint, and returns the error of the first exchange.
func (s *station) submitted(t *testing.T, c witness.Config) error {
	t.Helper()
	client, err := witness.NewClient(c)
	must(t, err)
	changes := make(chan witness.State, 10)
	submitter := witness.Start([]witness.Destination{witness.To(s, s.vkey, client)}, func(state witness.State) { changes <- state })
	defer submitter.End(time.Minute)
	select {
	case state := <-changes:
		return state.Err
	case <-time.After(time.Minute):
		t.Fatal("nothing is said of the witness")
	}
	return nil
}

// A witness that does not do what it should is named for what it does.
func TestAWitnessThatIsBadIsNamed(t *testing.T) {
	s := newStation(t).grow(20, "entry")
	h := newHeadquarters(t, s.vkey)
	good := h.config()
	_, err := h.AddCheckpoint(s.request(0))
	must(t, err)
	stranger, err := witness.GenerateKey("stranger.test", rand.Reader)
	must(t, err)
	namesake, err := witness.GenerateKey("witness.test/w1", rand.Reader)
	must(t, err)
	cosigned := h.logs[origin].newest
	line := func(text string) string { return h.witness.Cosign(text, time.Now()) }
	text, _, _ := strings.Cut(string(s.signed), "\n\n")
	answer := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status); fmt.Fprint(w, body) }
	}
	sizes := 0
	cases := []struct {
		name   string
		handle http.HandlerFunc
		want   error
	}{
		{"it does not know the log", answer(404, "no"), witness.ErrUnknownLog},
		{"it does not take the signature", answer(403, "no"), witness.ErrForbidden},
		{"it has seen another log", answer(422, "no"), witness.ErrFork},
		{"it has a fault of its own", answer(500, "no"), witness.ErrTrouble},
		{"it has no time", answer(429, "no"), witness.ErrTrouble},
		{"it has a status of its own", answer(418, "no"), witness.ErrLies},
		{"it answers with garbage", answer(200, "\x00\xff\n"), witness.ErrLies},
		{"it answers with nothing", answer(200, ""), witness.ErrLies},
		{"another witness signed", answer(200, stranger.Cosign(text+"\n", time.Now())), witness.ErrLies},
		{"another key of the same name signed", answer(200, namesake.Cosign(text+"\n", time.Now())), witness.ErrLies},
		{"it signed the checkpoint of another log", answer(200, line(strings.Replace(text, origin, "other", 1)+"\n")), witness.ErrLies},
		{"its signature was changed", answer(200, strings.Replace(line(text+"\n"), "A", "B", 9)), witness.ErrLies},
		{"it answers with 100 MB", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.CopyN(w, zeroes{}, 100<<20) }, witness.ErrLies},
		{"it sends the station elsewhere", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, h.server.URL+r.URL.Path, http.StatusTemporaryRedirect)
		}, witness.ErrLies},
		{"it gives no size", answer(409, "many"), witness.ErrLies},
		{"it says it has seen more and shows nothing", func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				http.NotFound(w, r)
				return
			}
			w.Header().Set("Content-Type", witness.TypeSize)
			w.WriteHeader(409)
			fmt.Fprintln(w, 99)
		}, witness.ErrLies},
		{"it says it has seen more and shows less", func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				_, _ = w.Write(cosigned)
				return
			}
			w.Header().Set("Content-Type", witness.TypeSize)
			w.WriteHeader(409)
			fmt.Fprintln(w, 99)
		}, witness.ErrLies},
		{"it gives another size each time", func(w http.ResponseWriter, _ *http.Request) {
			sizes++
			w.Header().Set("Content-Type", witness.TypeSize)
			w.WriteHeader(409)
			fmt.Fprintln(w, sizes)
		}, witness.ErrLies},
		{"it does not answer in time", func(_ http.ResponseWriter, r *http.Request) { _, _ = io.ReadAll(r.Body); <-r.Context().Done() }, witness.ErrSlow},
		{"it answers octet by octet", func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				_, _ = w.Write([]byte("\n"))
				w.(http.Flusher).Flush()
				time.Sleep(time.Millisecond)
			}
		}, nil},
		{"it hangs up", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, witness.ErrGone},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			err := bad(t, s.fork().grow(20, ""), good, c.handle)
			if c.want == nil && (errors.Is(err, witness.ErrSlow) || errors.Is(err, witness.ErrLies)) {
				return // whatever comes first: the time or the size
			}
			if c.want == nil || !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

type zeroes struct{}

func (zeroes) Read(p []byte) (int, error) { return len(p), nil }

func TestAWitnessThatIsGoneIsNamedAndCaughtUp(t *testing.T) {
	s := newStation(t).grow(20, "entry")
	h := newHeadquarters(t, s.vkey)
	c := h.config()
	h.server.Close()
	if err := s.submitted(t, c); !errors.Is(err, witness.ErrGone) {
		t.Errorf("got %v", err)
	}
	must(t, h.Store.Close())
	h.open()
	s.grow(600, "entry")
	client := h.client()
	submitter := witness.Start([]witness.Destination{witness.To(s, s.vkey, client)}, nil)
	submitter.End(time.Minute) // waits for the checkpoint that waits
	if state := submitter.States()[0]; state.Err != nil || s.highest["witness.test/w1"] != 600 || len(s.lines) != 2 {
		t.Errorf("%+v, %v", state, s.lines)
	}
	h.mirrored(s)
}

// A station whose registry was rolled back, and that went on, has a fork. The witness and the station both say so.
func TestAForkIsRefusedAndNamed(t *testing.T) {
	s := newStation(t).grow(20, "entry")
	h := newHeadquarters(t, s.vkey)
	older := s.fork()
	s.grow(50, "entry")
	_, err := h.AddCheckpoint(s.request(0))
	must(t, err)
	for size, want := range map[int64]string{30: "it has a checkpoint over 50 entries", 70: "422"} {
		err := older.fork().grow(size, "other").submitted(t, h.config())
		if !errors.Is(err, witness.ErrFork) || !strings.Contains(err.Error(), want) {
			t.Errorf("a fork with %d entries: %v", size, err)
		}
	}
}

// Nobody waits for a witness that does not answer.
func TestEndDoesNotWaitLongerThanItMay(t *testing.T) {
	s := newStation(t).grow(20, "entry")
	h := newHeadquarters(t, s.vkey)
	c := h.config()
	asked := make(chan struct{}, 100)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body)
		asked <- struct{}{}
		<-r.Context().Done()
	}))
	defer server.Close()
	c.URL, c.Timeout = server.URL, time.Hour
	client, err := witness.NewClient(c)
	must(t, err)
	submitter := witness.Start([]witness.Destination{witness.To(s, s.vkey, client)}, nil)
	<-asked
	for range 1000 {
		submitter.Wake()
	}
	submitter.End(time.Millisecond)
}

// A destination that did not answer at the start is named at once, and the end does not wait for it. One
// that the end cuts off is named afterwards.
func TestADestinationThatIsSilentIsNamedAndNotWaitedFor(t *testing.T) {
	hangs := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	changes := make(chan witness.State, 10)
	submitter := witness.Start([]witness.Destination{{Name: "hq", Send: hangs, Close: func() {}, Away: witness.ErrSlow}}, func(s witness.State) { changes <- s })
	if state := submitter.States()[0]; !errors.Is(state.Err, witness.ErrSlow) {
		t.Errorf("at the start: %+v", state)
	}
	if state := <-changes; !errors.Is(state.Err, witness.ErrSlow) {
		t.Errorf("on record: %+v", state)
	}
	submitter.End(time.Hour)

	submitter = witness.Start([]witness.Destination{{Name: "hq", Send: hangs, Close: func() {}}}, nil)
	submitter.End(time.Millisecond)
	if state := submitter.States()[0]; !errors.Is(state.Err, witness.ErrSlow) {
		t.Errorf("cut off: %+v", state)
	}
}
