package serve

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"hallmark/station/audit"
	"hallmark/station/witness"
	"hallmark/station/workdir"
)

// Each row is one rule of C2SP tlog-witness, "add-checkpoint".
func TestAWitnessAnswersAsItsProtocolSays(t *testing.T) {
	s := newStation(t).grow(10, "entry")
	h := newHeadquarters(t, s.vkey)
	_, err := h.AddCheckpoint(s.request(0))
	must(t, err)
	stranger := newStation(t).grow(10, "entry")
	damaged := bytes.Clone(s.signed)
	damaged[len(damaged)-8] ^= 1
	empty := s.fork()
	empty.sign(0)
	emptyRoot, err := audit.Sign(origin, audit.Head{Root: tlog.Hash{1}}, s.key, rand.Reader)
	must(t, err)
	longer, other := s.fork().grow(20, "entry"), s.fork()
	other.bodies, other.hashes = nil, nil
	other.grow(10, "other")
	otherLonger := other.fork().grow(20, "other")
	cases := []struct {
		name    string
		request *witness.Request
		status  int
	}{
		{"a log that is not in the list", &witness.Request{Checkpoint: bytes.Replace(s.signed, []byte(origin), []byte("hallmark/none"), 2)}, 404},
		{"the key of another log", &witness.Request{Checkpoint: stranger.signed}, 403},
		{"a signature of the right key that does not verify", &witness.Request{Checkpoint: damaged}, 403},
		{"text that is no note", &witness.Request{Checkpoint: []byte(origin + "\n")}, 403},
		{"an old size that is greater than the checkpoint", s.request(11), 400},
		{"an old size that is too small", longer.request(5), 409},
		{"an old size of zero after the first checkpoint", longer.request(0), 409},
		{"the same size with another root", &witness.Request{Old: 10, Checkpoint: other.signed}, 422},
		{"a longer log without a proof", &witness.Request{Old: 10, Checkpoint: longer.signed}, 422},
		{"a longer log that does not continue this one", otherLonger.request(10), 422},
		{"a proof that is too long", &witness.Request{Old: 10, Proof: append(longer.request(10).Proof, tlog.Hash{}), Checkpoint: longer.signed}, 422},
		{"an empty log after ten entries", &witness.Request{Old: 0, Checkpoint: empty.signed}, 409},
		{"an empty log with another root", &witness.Request{Old: 0, Checkpoint: emptyRoot}, 409},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, body, kind := h.post(t, c.request.Encode())
			if got != c.status {
				t.Errorf("status %d, want %d: %s", got, c.status, body)
			}
			if got == 409 && (body != "10\n" || kind != witness.TypeSize) {
				t.Errorf("409 with %q of type %q", body, kind)
			}
		})
	}
	if status, body, _ := h.post(t, longer.request(10).Encode()); status != 200 || !strings.HasPrefix(body, "\u2014 witness.test/w1 ") {
		t.Errorf("a checkpoint that continues the log: %d %q", status, body)
	}
	if status, body, _ := h.post(t, longer.request(20).Encode()); status != 200 {
		t.Errorf("the same checkpoint again: %d %q", status, body)
	}
	if status := h.status(time.Now()); status.Logs[0].Cosigned != 20 || status.Logs[0].Refused != 3 {
		t.Errorf("the status is %+v", status.Logs[0])
	}
}

func TestAnEmptyLogHasOneRoot(t *testing.T) {
	s := newStation(t)
	h := newHeadquarters(t, s.vkey)
	wrong, err := audit.Sign(origin, audit.Head{Root: tlog.Hash{1}}, s.key, rand.Reader)
	must(t, err)
	if status, body, _ := h.post(t, (&witness.Request{Checkpoint: wrong}).Encode()); status != 422 {
		t.Errorf("%d %s", status, body)
	}
	s.sign(0)
	if status, body, _ := h.post(t, s.request(0).Encode()); status != 200 {
		t.Errorf("%d %s", status, body)
	}
	s.grow(3, "entry")
	r := s.request(0)
	r.Proof = append(r.Proof, tlog.Hash{})
	if status, body, _ := h.post(t, r.Encode()); status != 422 {
		t.Errorf("a proof from the empty log: %d %s", status, body)
	}
	if status, body, _ := h.post(t, s.request(0).Encode()); status != 200 {
		t.Errorf("%d %s", status, body)
	}
}

func (h *headquarters) post(t *testing.T, body []byte) (status int, text, kind string) {
	t.Helper()
	response, err := http.Post(h.server.URL+"/add-checkpoint", "", bytes.NewReader(body))
	must(t, err)
	defer response.Body.Close()
	read, err := io.ReadAll(response.Body)
	must(t, err)
	return response.StatusCode, string(read), response.Header.Get("Content-Type")
}

func TestARequestThatIsTooLargeIsRefused(t *testing.T) {
	h := newHeadquarters(t, newStation(t).vkey)
	if status, body, _ := h.post(t, bytes.Repeat([]byte("old 1\n"), 1<<20)); status != http.StatusRequestEntityTooLarge {
		t.Errorf("%d %s", status, body)
	}
}

// Two forks of one log come at the same time, many times. The witness cosigns one of them.
func TestAWitnessNeverCosignsTwoForksAtOnce(t *testing.T) {
	s := newStation(t).grow(10, "entry")
	h := newHeadquarters(t, s.vkey)
	_, err := h.AddCheckpoint(s.request(0))
	must(t, err)
	branches := []*station{s.fork().grow(20, "left"), s.fork().grow(20, "right"), s.fork().grow(15, "middle")}
	cosigned := make([]int, len(branches))
	var mu sync.Mutex
	var work sync.WaitGroup
	for i, branch := range branches {
		for range 8 {
			request := branch.request(10)
			work.Go(func() {
				if _, err := h.AddCheckpoint(request); err == nil {
					mu.Lock()
					cosigned[i]++
					mu.Unlock()
				}
			})
		}
	}
	work.Wait()
	if total := cosigned[0] + cosigned[1] + cosigned[2]; total != 1 {
		t.Errorf("%v checkpoints after entry 10 were cosigned", cosigned)
	}
}

// What was answered before is there after a restart, and what a kill left is removed.
func TestARestartKeepsWhatWasCosigned(t *testing.T) {
	s := newStation(t).grow(10, "entry")
	h := newHeadquarters(t, s.vkey)
	_, err := h.AddCheckpoint(s.request(0))
	must(t, err)
	left := filepath.Join(h.dir, "logs", witness.OriginHash(origin), ".new-1")
	must(t, os.WriteFile(left, []byte("half"), 0o600))
	if _, err := Open(h.dir, time.Now); !errors.Is(err, ErrLocked) {
		t.Fatalf("a second process: %v", err)
	}
	h.close()
	h.open()
	if _, err := os.Stat(left); err == nil {
		t.Error("the half file is still there")
	}
	head, checkpoint, err := h.client().Newest(t.Context(), s.vkey)
	if err != nil || head.Size != 10 {
		t.Errorf("%v %v\n%s", head, err, checkpoint)
	}
	fork := newStation(t)
	fork.key, fork.vkey = s.key, s.vkey
	if _, err := h.AddCheckpoint(fork.grow(12, "other").request(10)); err == nil {
		t.Error("a fork is cosigned after a restart")
	}
}

func TestADamagedDirectoryIsNamed(t *testing.T) {
	s := newStation(t).grow(10, "entry")
	cases := map[string]struct {
		damage func(h *headquarters) error
		want   error
	}{
		"the checkpoint is changed": {func(h *headquarters) error {
			path := filepath.Join(h.dir, "logs", witness.OriginHash(origin), "checkpoint")
			return os.WriteFile(path, []byte("other"), 0o600)
		}, errDamaged},
		"the list has no keys": {func(h *headquarters) error {
			return os.WriteFile(filepath.Join(h.dir, logsFile), []byte("https://example\n"), 0o600)
		}, ErrLogs},
		"the list has a log twice": {func(h *headquarters) error {
			return os.WriteFile(filepath.Join(h.dir, logsFile), []byte(s.vkey+"\n"+s.vkey+"\n"), 0o600)
		}, ErrLogs},
		"the list is a directory": {func(h *headquarters) error {
			path := filepath.Join(h.dir, logsFile)
			return errors.Join(os.Remove(path), os.Mkdir(path, 0o700))
		}, workdir.ErrNotRegular},
		"a public key is too long": {func(h *headquarters) error {
			return os.Truncate(filepath.Join(h.dir, publicName(witnessKey)), 1<<20)
		}, workdir.ErrTooLarge},
		"a private key is too long": {func(h *headquarters) error { return os.Truncate(filepath.Join(h.dir, witnessKey), 1<<20) }, workdir.ErrTooLarge},
		"there is no key":           {func(h *headquarters) error { return os.Remove(filepath.Join(h.dir, witnessKey)) }, ErrNoWitness},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			h := &headquarters{dir: filepath.Join(t.TempDir(), "W")}
			must(t, Init(h.dir, "witness.test/w1", []string{s.vkey}))
			store, err := Open(h.dir, time.Now)
			must(t, err)
			_, err = store.AddCheckpoint(s.request(0))
			must(t, err)
			must(t, store.Close())
			must(t, c.damage(h))
			if _, err := Open(h.dir, time.Now); !errors.Is(err, c.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestAKeyThatOthersCanReadIsRefused(t *testing.T) {
	h := newHeadquarters(t)
	path := filepath.Join(h.dir, witnessKey)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	must(t, os.Chmod(path, 0o644))
	if _, err := readKey(path); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("got %v", err)
	}
	must(t, os.Chmod(path, 0o600))
	must(t, os.WriteFile(filepath.Join(h.dir, publicName(witnessKey)), []byte("other+00000000+AA==\n"), 0o600))
	if _, err := readKey(path); err == nil || !strings.Contains(err.Error(), "is not that of") {
		t.Errorf("got %v", err)
	}
}

func TestPathsThatNobodyServes(t *testing.T) {
	s := newStation(t).grow(3, "entry")
	h := newHeadquarters(t, s.vkey)
	hash := witness.OriginHash(origin)
	for _, path := range []string{"/", "/" + hash + "/checkpoint", "/mirror/" + hash + "/checkpoint", "/mirror/" + hash + "/tile/../log.vkey", "/mirror/" + hash + "/..%2f..%2fwitness.key",
		"/mirror/" + hash + "/tile/..%2f..%2f..%2fwitness.key", "/witness.key", "/" + strings.Repeat("0", 64) + "/checkpoint", "/mirror/" + hash + "/log.vkey"} {
		request, err := http.NewRequest(http.MethodGet, h.server.URL+path, nil)
		must(t, err)
		response, err := http.DefaultTransport.RoundTrip(request)
		must(t, err)
		must(t, response.Body.Close())
		if response.StatusCode == http.StatusOK {
			t.Errorf("%s: %d", path, response.StatusCode)
		}
	}
}

// A folder of the mirror is no tile, and asking for one is no fault of the server.
func TestAFolderOfTheMirrorIsNotFound(t *testing.T) {
	s := newStation(t).grow(3, "entry")
	h := newHeadquarters(t, s.vkey)
	h.send(s, 0)
	for _, path := range []string{"tile/", "tile/0", "tile/entries/000.p"} {
		response, err := http.Get(h.server.URL + "/mirror/" + witness.OriginHash(origin) + "/" + path)
		must(t, err)
		must(t, response.Body.Close())
		if response.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", path, response.StatusCode)
		}
	}
}

func TestAListOfLogsThatNeverEndsIsRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "W")
	c := &Commands{Dir: &dir, Stdout: io.Discard, Stderr: io.Discard}
	if err := c.init("witness.test/w1", []string{"/dev/zero"}); !errors.Is(err, workdir.ErrTooLarge) {
		t.Errorf("got %v", err)
	}
}
