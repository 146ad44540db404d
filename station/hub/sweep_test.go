package hub

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"hallmark/fixtures/stationlog"
	"hallmark/station/outbox"
	"hallmark/station/workdir"
	"hallmark/station/workorder"
)

// A cutter is a socket in front of PostgreSQL. It cuts the connection at one message of the hub: before PostgreSQL has it (lost), or when PostgreSQL has answered and
// the hub does not hear it (applied).
type cutter struct {
	dir    string
	server string
	stop   func() // when all connections have ended

	mu      sync.Mutex
	number  int // messages so far
	cutAt   int // 0: never
	applied bool
}

func newCutter(t *testing.T, server string) *cutter {
	t.Helper()
	c := &cutter{dir: must(os.MkdirTemp("", "cut"))(t), server: filepath.Join(server, ".s.PGSQL.5432")} // a path of a socket has at most 107 octets
	listener := must(net.Listen("unix", filepath.Join(c.dir, ".s.PGSQL.5432")))(t)
	var work sync.WaitGroup
	work.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			work.Go(func() { c.forward(conn) })
		}
	})
	c.stop = func() {
		_ = listener.Close()
		work.Wait()
		_ = os.RemoveAll(c.dir)
	}
	return c
}

func (c *cutter) forward(hub net.Conn) {
	defer hub.Close()
	server, err := net.Dial("unix", c.server)
	if err != nil {
		return
	}
	defer server.Close()
	chunk := make([]byte, 1<<20)
	var back sync.WaitGroup
	defer back.Wait()
	defer server.Close()
	var mute sync.Mutex // held while the answer is not for the hub
	back.Go(func() {
		answer := make([]byte, 64<<10)
		for {
			n, err := server.Read(answer)
			mute.Lock()
			if n > 0 {
				_, _ = hub.Write(answer[:n])
			}
			mute.Unlock()
			if err != nil {
				_ = hub.Close()
				return
			}
		}
	})
	for {
		n, err := hub.Read(chunk)
		if err != nil {
			return
		}
		cut, applied := c.next()
		if !cut {
			_, _ = server.Write(chunk[:n])
			continue
		}
		if applied {
			mute.Lock()
			_ = hub.Close() // so a write of the answer goes nowhere
			mute.Unlock()
			_, _ = server.Write(chunk[:n])
			if unix, is := server.(*net.UnixConn); is {
				_ = unix.CloseWrite() // PostgreSQL does what it has, and ends the session
				back.Wait()
			}
		}
		return
	}
}

func (c *cutter) next() (cut, applied bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.number++
	return c.number == c.cutAt, c.applied
}

// begin counts from now on, and cuts at a message; 0: at none.
func (c *cutter) begin(at int, applied bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.number, c.cutAt, c.applied = 0, at, applied
}

func (c *cutter) messages() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.number
}

// A sweep is a plant in which one effect of each try goes wrong. Both sides are the real ones: outbox, HTTP, Store and PostgreSQL.
type sweep struct {
	*plant
	cutter *cutter
	boxes  []*sweepBox
	number int // effects so far in this try
	failAt int
	how    string

	messages int // to PostgreSQL in the newest try
}

type sweepBox struct {
	*benchStation
	dir     string
	outbox  *outbox.Outbox
	config  outbox.Config
	noted   []int64
	failing string // "order lost" and so on, for this exchange
}

var errFault = errors.New("a fault of the test")

func newSweep(t *testing.T) *sweep {
	t.Helper()
	w := &sweep{plant: newPlant(t, "bench-1", "bench-2")}
	dir := strings.TrimPrefix(strings.Fields(w.options.Database)[0], "host=")
	w.cutter = newCutter(t, dir)
	w.options.Database = strings.Replace(w.options.Database, dir, w.cutter.dir, 1)
	w.reopen()
	t.Cleanup(func() { w.pool.Close(); w.cutter.stop() })
	for _, s := range w.stations {
		box := &sweepBox{benchStation: s, dir: t.TempDir()}
		server := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { w.serve(rw, r, box) }))
		server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
		t.Cleanup(server.Close)
		box.config = outbox.Config{URL: server.URL, CAs: x509.NewCertPool()}
		box.config.CAs.AddCert(server.Certificate())
		w.boxes = append(w.boxes, box)
		w.restart(box)
		t.Cleanup(func() {
			if err := box.outbox.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	return w
}

// serve takes a Push as Server does, and loses the request or the answer.
func (w *sweep) serve(rw http.ResponseWriter, r *http.Request, box *sweepBox) {
	body, err := io.ReadAll(r.Body)
	if err != nil || box.failing == "request lost" {
		panic(http.ErrAbortHandler)
	}
	push, err := outbox.DecodePush(body)
	if err != nil {
		w.t.Error(err)
	}
	answer, err := w.Take(r.Context(), box.id, &push)
	if err != nil || box.failing == "answer lost" {
		panic(http.ErrAbortHandler)
	}
	text, err := outbox.Encode(answer)
	if err != nil {
		w.t.Error(err)
	}
	rw.Header().Set("Content-Type", outbox.TypeMessage)
	_, _ = rw.Write(text)
}

// restart opens the outbox of a station again, with what is on its disk.
func (w *sweep) restart(box *sweepBox) {
	w.t.Helper()
	if box.outbox != nil {
		if err := box.outbox.Close(); err != nil {
			w.t.Fatal(err)
		}
	}
	fails := func(effect string, do func()) error {
		if box.failing != effect+" lost" {
			do()
		}
		if strings.HasPrefix(box.failing, effect) {
			return errFault
		}
		return nil
	}
	handlers := outbox.Handlers{
		Order: func(_ context.Context, o outbox.Order) error {
			return fails("order", func() {
				order, owner, err := workorder.Signed{File: o.File, Signature: o.Signature}.Verify("lease", []workorder.Owner{w.owner})
				if err != nil {
					w.t.Error(err)
				}
				box.OpenOrder(order.ID, order.Product, must(order.Share(box.Key))(w.t), order.Revision, order.Until, owner.SHA256)
			})
		},
		Finding: func(_ context.Context, f outbox.Finding) error {
			return fails("finding", func() { box.noted = append(box.noted, f.ID) })
		},
	}
	box.outbox = must(outbox.Open(workdir.Dir(box.dir), box.Log, box.config, handlers, slog.New(slog.DiscardHandler)))(w.t)
}

// sends is one Send of a station, the effect that may go wrong.
func (w *sweep) sends(box *sweepBox) {
	w.t.Helper()
	box.failing = ""
	if w.number++; w.number == w.failAt {
		box.failing = w.how
	}
	memory := outbox.Path(workdir.Dir(box.dir))
	before, _ := os.ReadFile(memory) // at first there is none
	var mark []byte
	if box.failing == "mark lost" { // a directory in its place cannot be written
		mark, _ = os.ReadFile(w.options.Mark)
		_ = os.Remove(w.options.Mark)
		w.check(os.MkdirAll(filepath.Join(w.options.Mark, "x"), 0o700))
	}
	_ = box.outbox.Send(w.t.Context()) // the next one goes on
	switch box.failing {
	case "mark lost":
		w.check(os.RemoveAll(w.options.Mark))
		w.check(os.WriteFile(w.options.Mark, mark, 0o600))
		w.reopen() // the hub ends as well
	case "memory lost":
		w.check(box.outbox.Close())
		w.check(os.WriteFile(memory, before, 0o600))
		if before == nil {
			w.check(os.Remove(memory))
		}
		box.outbox = nil
		w.restart(box)
	case "memory applied":
		w.restart(box)
	case "hub restart":
		w.reopen()
	}
	box.failing = ""
}

func (w *sweep) check(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

const sweepQuota = 5

// try works off one order over both stations, and looks at what must be true whatever went wrong. One board is at both stations.
func (w *sweep) try(order string) {
	w.t.Helper()
	w.number = 0
	open := w.plantOrder(order, sweepQuota, 2)
	if err := w.OpenOrder(w.t.Context(), open, "lead", "lot 7"); err != nil { // the connection is cut; the person tries again
		w.check(w.OpenOrder(w.t.Context(), open, "lead", "lot 7"))
	}
	clone := stationlog.NewBoard()
	for round := range 12 {
		for i, box := range w.boxes {
			if round == i {
				box.Run(clone, "")
			}
			box.Run(stationlog.NewBoard(), order)
			w.sends(box)
		}
	}
	w.failAt = 0
	w.messages = w.cutter.messages()
	w.cutter.begin(0, false)
	for range 3 {
		for _, box := range w.boxes {
			w.check(box.outbox.Send(w.t.Context()))
		}
	}
	if sum := w.certified(order); sum != sweepQuota {
		w.t.Errorf("%d boards, want %d", sum, sweepQuota)
	}
	for _, box := range w.boxes {
		size := must(box.LogSize(w.t.Context()))(w.t)
		w.is(fmt.Sprintf(`SELECT count(*), max(seq) + 1, (SELECT next FROM station_state WHERE station = %d) FROM entry WHERE station = %d`, box.id, box.id), fmt.Sprintf("%d|%d|%d", size, size, size))
		if len(box.noted) == 0 {
			w.t.Errorf("%s has not noted the clone", box.Name)
		}
		box.noted = nil
	}
	w.is(`SELECT string_agg(kind, ' ') FROM finding_open WHERE board_id = '`+clone.ID+`'`, "board-twice")
	w.is(`SELECT count(*) FROM finding_open WHERE kind NOT IN ('board-twice')`, "0")
	w.is(`SELECT count(*) FROM lease_freeze`, "0")
	for _, id := range strings.Fields(w.server.Query(`SELECT id FROM finding_open`)) {
		var number int64
		must(fmt.Sscan(id, &number))(w.t)
		w.check(w.CloseFinding(w.t.Context(), number, "lead", "seen"))
	}
	w.check(w.CloseOrder(w.t.Context(), order, "lead", "delivered"))
	for _, box := range w.boxes { // the findings are closed
		w.check(box.outbox.Send(w.t.Context()))
	}
}

// Each effect of outbox and hub goes wrong once: it is lost, or applied and nobody hears it. Nothing is lost, nothing is there twice, and the order is never exceeded.
func TestFaultSweepOverOutboxAndHub(t *testing.T) {
	w := newSweep(t)
	w.cutter.begin(0, false)
	w.try("clean")
	effects, messages := w.number, w.messages
	t.Logf("%d exchanges, %d messages to PostgreSQL", effects, messages)
	if effects < 20 || messages < 50 {
		t.Fatal("the sweep would be of too little")
	}
	tries := 0
	try := func(how string, at int) {
		tries++
		if name := fmt.Sprintf("%s %d", how, at); !t.Run(name, func(t *testing.T) {
			before := w.t
			w.plant.t = t
			defer func() { w.plant.t = before }()
			w.try(name)
		}) {
			t.Fatal("the tries after this one would fail as well")
		}
	}
	for _, w.how = range []string{"request lost", "answer lost", "order lost", "order applied", "finding lost", "finding applied", "memory lost", "memory applied", "mark lost", "hub restart"} {
		for at := 1; at <= effects; at += sweepStep(effects) {
			w.failAt = at
			try(w.how, at)
		}
	}
	for how, applied := range map[string]bool{"database lost": false, "database applied": true} {
		for at := 1; at <= messages; at += sweepStep(messages) {
			w.cutter.begin(at, applied)
			try(how, at)
		}
	}
	t.Logf("%d tries", tries)
}

// sweepStep leaves effects out, so that the test takes half a minute; each kind stays. With FAULT_SWEEP=all it leaves none out.
func sweepStep(n int) int {
	if os.Getenv("FAULT_SWEEP") == "all" {
		return 1
	}
	return max(1, n/6)
}
