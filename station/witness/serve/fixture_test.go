package serve

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"hallmark/station/audit"
	"hallmark/station/witness"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const origin = "hallmark/test"

// A station is a log in memory, which signs checkpoints and stores cosignatures.
type station struct {
	t       testing.TB
	key     *ecdsa.PrivateKey
	vkey    string
	hashes  []tlog.Hash
	bodies  [][]byte
	mu      sync.Mutex
	signed  []byte // newest checkpoint
	size    int64
	lines   map[string]string // cosignatures: size and signer
	highest map[string]int64
}

func newStation(t testing.TB) *station {
	t.Helper()
	s := &station{t: t, lines: map[string]string{}, highest: map[string]int64{}}
	var err error
	s.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	s.vkey, err = audit.VerifierKey(origin, s.key.Public())
	must(t, err)
	return s
}

// fork is the same log up to now, with the same key, which goes on alone.
func (s *station) fork() *station {
	return &station{t: s.t, key: s.key, vkey: s.vkey, hashes: append([]tlog.Hash{}, s.hashes...), bodies: append([][]byte{}, s.bodies...),
		lines: map[string]string{}, highest: map[string]int64{}}
}

// grow appends entries up to a size, and signs a checkpoint.
func (s *station) grow(size int64, word string) *station {
	s.t.Helper()
	for n := int64(len(s.bodies)); n < size; n++ {
		body := fmt.Appendf(nil, "%s %d", word, n)
		hashes, err := tlog.StoredHashes(n, body, s.Hashes(s.t.Context()))
		must(s.t, err)
		s.hashes, s.bodies = append(s.hashes, hashes...), append(s.bodies, body)
	}
	s.sign(size)
	return s
}

func (s *station) sign(size int64) {
	s.t.Helper()
	root, err := tlog.TreeHash(size, s.Hashes(s.t.Context()))
	must(s.t, err)
	s.signed, err = audit.Sign(origin, audit.Head{Size: size, Root: root}, s.key, rand.Reader)
	must(s.t, err)
	s.size = size
}

func (s *station) Hashes(context.Context) tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) (hashes []tlog.Hash, err error) {
		for _, index := range indexes {
			hashes = append(hashes, s.hashes[index])
		}
		return hashes, nil
	})
}

func (s *station) Bodies(_ context.Context, from, to int64) ([][]byte, error) {
	return s.bodies[from:to], nil
}

func (s *station) NewestCheckpoint(context.Context) (int64, []byte, error) {
	return s.size, s.signed, nil
}

func (s *station) ProveTree(ctx context.Context, old, size int64) (tlog.TreeProof, error) {
	if old == 0 {
		return nil, nil
	}
	return tlog.ProveTree(size, old, s.Hashes(ctx))
}

func (s *station) CosignedSize(_ context.Context, key note.Verifier) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.highest[key.Name()], nil
}

func (s *station) Cosign(_ context.Context, size int64, _ string, key note.Verifier, line string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines[fmt.Sprint(size, " ", key.Name())], s.highest[key.Name()] = line, max(size, s.highest[key.Name()])
	return nil
}

// request asks for a cosignature of the newest checkpoint.
func (s *station) request(old int64) *witness.Request {
	s.t.Helper()
	proof, err := s.ProveTree(s.t.Context(), old, max(s.size, old))
	if old > s.size {
		proof, err = nil, nil
	}
	must(s.t, err)
	return &witness.Request{Old: old, Proof: proof, Checkpoint: s.signed}
}

// A headquarters is a witness and its mirror, with a server in this process.
type headquarters struct {
	t   testing.TB
	dir string
	*Store
	server *httptest.Server
}

func newHeadquarters(t testing.TB, logs ...string) *headquarters {
	t.Helper()
	h := &headquarters{t: t, dir: filepath.Join(t.TempDir(), "W")}
	must(t, Init(h.dir, "witness.test/w1", logs))
	h.open()
	t.Cleanup(func() { h.close() })
	return h
}

func (h *headquarters) open() {
	h.t.Helper()
	store, err := Open(h.dir, time.Now)
	must(h.t, err)
	h.Store = store
	h.server = httptest.NewServer(NewServer(store, slog.New(slog.DiscardHandler)).Handler())
}

func (h *headquarters) close() {
	h.server.Close()
	must(h.t, h.Store.Close())
}

func (h *headquarters) config() witness.Config {
	h.t.Helper()
	c := witness.Config{Name: "hq", URL: h.server.URL}
	for file, key := range map[string]*string{witnessKey: &c.Key, mirrorKey: &c.MirrorKey} {
		text, err := os.ReadFile(filepath.Join(h.dir, publicName(file)))
		must(h.t, err)
		*key = strings.TrimSpace(string(text))
	}
	return c
}

func (h *headquarters) client() *witness.Client {
	h.t.Helper()
	client, err := witness.NewClient(h.config())
	must(h.t, err)
	h.t.Cleanup(client.Close)
	return client
}
