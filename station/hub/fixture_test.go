package hub

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"hallmark/fixtures/postgres"
	"hallmark/fixtures/stationlog"
	"hallmark/station/outbox"
	"hallmark/station/workorder"
)

func must[T any](value T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// A plant is a hub over a PostgreSQL, and stations in memory.
type plant struct {
	*Store
	t        testing.TB
	server   *postgres.Database
	options  Options
	stations []*benchStation
	clock    *clock
}

// A clock is set by the test.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// A benchStation is one station with its log.
type benchStation struct {
	*stationlog.Log
	id          int16
	turn, next  int64
	taken, seen int64 // what it remembers
}

// One server for all tests of the package.
func TestMain(m *testing.M) { os.Exit(postgres.Main(m)) }

func newPlant(t testing.TB, names ...string) *plant {
	t.Helper()
	migrate := func(database string) error { _, err := Migrate(t.Context(), database, "hub_serve"); return err }
	p := &plant{t: t, server: postgres.New(t, migrate), clock: &clock{now: time.Now().UTC().Truncate(time.Second)}}
	p.options = Options{Database: p.server.Database("hub_serve"), Key: must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t),
		Mark: filepath.Join(t.TempDir(), "hub.mark"), Now: p.clock.Now, Log: slog.New(slog.DiscardHandler)}
	for _, name := range names {
		log := stationlog.New(name)
		log.Now = p.clock.Now
		p.stations = append(p.stations, &benchStation{Log: log, turn: -1})
		p.options.Stations = append(p.options.Stations, Source{Name: name, Key: log.Key})
	}
	p.open()
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func (p *plant) open() {
	p.t.Helper()
	p.Store = must(Open(context.Background(), p.options))(p.t)
	for _, s := range p.stations {
		s.id = p.Station(s.Name).ID
	}
}

// reopen ends the hub and starts it again.
func (p *plant) reopen() {
	p.t.Helper()
	if err := p.Close(); err != nil {
		p.t.Fatal(err)
	}
	p.open()
}

// pushOf makes the next Push of a station.
func (p *plant) pushOf(s *benchStation) *outbox.Push {
	p.t.Helper()
	ctx := p.t.Context()
	size := must(s.LogSize(ctx))(p.t)
	push := &outbox.Push{Version: outbox.Version, Turn: s.turn, Size: size, From: min(s.next, size), Taken: s.taken, Leases: s.seen}
	if s.turn >= 0 {
		push.Entries = must(s.Bodies(ctx, push.From, min(size, push.From+outbox.MaxEntries)))(p.t)
	}
	root := must(s.RootAt(ctx, push.From))(p.t)
	push.Root = root[:]
	push.Checkpoint = must(s.CheckpointUpTo(ctx, push.From+int64(len(push.Entries))))(p.t)
	return push
}

// push sends one Push, and takes the Answer.
func (p *plant) push(s *benchStation) outbox.Answer {
	p.t.Helper()
	push := p.pushOf(s)
	a, err := p.Take(p.t.Context(), s.id, push)
	for range maxConnections { // as package outbox does: connections that a database has cut are found one by one
		if err != nil {
			a, err = p.Take(p.t.Context(), s.id, push)
		}
	}
	if err != nil {
		p.t.Fatal(err)
	}
	p.heed(s, push, a)
	return a
}

// heed does what an Answer says, as package outbox does.
func (p *plant) heed(s *benchStation, push *outbox.Push, a outbox.Answer) {
	p.t.Helper()
	if a.Taken || push.Turn >= 0 && a.Turn == push.Turn+1 {
		s.taken = a.Next
	}
	s.turn, s.next, s.seen = a.Turn, a.Next, max(s.seen, a.Leases)
	for _, o := range a.Orders {
		order, owner, err := workorder.Signed{File: o.File, Signature: o.Signature}.Verify("lease", []workorder.Owner{p.owner})
		if err != nil {
			p.t.Fatal(err)
		}
		s.OpenOrder(order.ID, order.Product, must(order.Share(s.Key))(p.t), order.Revision, order.Until, owner.SHA256)
	}
}

// tellAll sends until the hub has everything.
func (p *plant) tellAll(s *benchStation) outbox.Answer {
	p.t.Helper()
	for range 1000 {
		a := p.push(s)
		if size := must(s.LogSize(p.t.Context()))(p.t); a.Taken && a.Next == size {
			return a
		}
		if len(a.Findings) > 0 && !a.Taken && s.turn > 0 {
			return a
		}
	}
	p.t.Fatal("the hub never has all entries")
	return outbox.Answer{}
}

// is compares the result of a query with a text.
func (p *plant) is(query, want string) {
	p.t.Helper()
	if got := p.server.Query(query); got != want {
		p.t.Errorf("%s\ngives %q, want %q", query, got, want)
	}
}

// kinds gives the kinds of findings in an Answer.
func kinds(a outbox.Answer) (all []string) {
	for _, f := range a.Findings {
		all = append(all, f.Kind)
	}
	return all
}

func (p *plant) plantOrder(id string, quota, chunk int64, stations ...string) PlantOrder {
	order := PlantOrder{Chunk: chunk, Hours: 8, Stations: stations}
	order.ID, order.Product, order.Quota, order.Until = id, "linaro", quota, p.clock.Now().AddDate(0, 1, 0)
	order.Profiles = [][sha256.Size]byte{sha256.Sum256([]byte("profile"))}
	return order
}

func (p *plant) opensOrder(id string, quota, chunk int64, stations ...string) {
	p.t.Helper()
	if err := p.OpenOrder(p.t.Context(), p.plantOrder(id, quota, chunk, stations...), "lead", "lot 7"); err != nil {
		p.t.Fatal(err)
	}
}
