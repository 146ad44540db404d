package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"hallmark/fixtures"
)

// A link is the network between one station and the hub. It can be cut: connections end, and new ones are closed at once.
type link struct {
	listener net.Listener
	hub      string

	mu    sync.Mutex
	isCut bool
	open  map[net.Conn]bool
	work  sync.WaitGroup
}

func newLink(t *testing.T, hub string) *link {
	t.Helper()
	l := &link{listener: fixtures.Must(net.Listen("tcp", "127.0.0.1:0"))(t), hub: hub, open: map[net.Conn]bool{}}
	l.work.Go(func() {
		for {
			conn, err := l.listener.Accept()
			if err != nil {
				return
			}
			l.work.Go(func() { l.forward(conn) })
		}
	})
	t.Cleanup(func() {
		_ = l.listener.Close()
		l.cut(true)
		l.work.Wait()
	})
	return l
}

// cut cuts the link, or joins it again.
func (l *link) cut(cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.isCut = cut
	for conn := range l.open {
		_ = conn.Close()
	}
}

// keep notes a connection, which ends with the link.
func (l *link) keep(conn net.Conn) (ends func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open[conn] = true
	if l.isCut {
		_ = conn.Close()
	}
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.open, conn)
		_ = conn.Close()
	}
}

func (l *link) forward(station net.Conn) {
	defer l.keep(station)()
	hub, err := net.Dial("tcp", l.hub)
	if err != nil {
		return // the hub does not run
	}
	defer l.keep(hub)()
	ended := make(chan struct{}, 2)
	for _, way := range [][2]net.Conn{{station, hub}, {hub, station}} {
		l.work.Go(func() {
			_, _ = io.Copy(way[0], way[1]) // both ends go with one
			ended <- struct{}{}
		})
	}
	<-ended
}

// An order of 100 over three stations, with kills of a station, of the hub and of PostgreSQL, and with cut links, gives exactly 100 certificates.
func TestAPlantWorksOffOneOrderThroughKillsAndCutLinks(t *testing.T) {
	const quota = 100
	names := []string{"bench-1", "bench-2", "bench-3"}
	p := newPlant(t, names...)
	p.begins()
	p.hub("order-open", "WO-1", "--product", "linaro", "--quota", fmt.Sprint(quota), "--until", "2099-01-01", "--profile", profileSHA256, "--lease", "14", "--operator", "lena", "--reason", "lot 7")
	for n := 0; p.db.Query(`SELECT count(*) FROM station_order`) != "3" && n < 20; n++ { // each station opens its lease, usually in its first start
		for _, name := range names {
			p.batch(name, "--boards", "posix:1", "--count", "1")
		}
	}
	p.is(`SELECT count(*), sum(share) FROM lease`, "3|42")
	for round := range 12 {
		name := names[round%3]
		switch round {
		case 1: // a station without a hub works off its lease
			p.ends()
		case 3:
			p.begins()
		case 4: // the other two go on
			p.links[name].cut(true)
		case 5: // the database is killed, and is back after the batch
			p.db.Kill()
		case 8: // in the middle of a batch
			timer := time.AfterFunc(300*time.Millisecond, func() { p.links[name].cut(true) })
			defer timer.Stop()
		case 9:
			p.db.Stop()
			p.db.Open()
		}
		p.newBoards(name)
		if round == 7 {
			p.killed(name)
		} else {
			p.batch(name, "--boards", "posix:4", "--count", "10", "--order", "WO-1")
		}
		if round == 5 {
			p.db.Open()
		}
		if given := p.certified(names); given > quota {
			t.Errorf("%d boards after round %d", given, round)
		}
	}
	for _, l := range p.links {
		l.cut(false)
	}
	for round := 0; round < 10 && p.certified(names) < quota; round++ {
		for _, name := range names {
			p.newBoards(name)
			p.batch(name, "--boards", "posix:4", "--count", "10", "--order", "WO-1")
		}
	}
	if given := p.certified(names); given != quota {
		t.Errorf("the stations have certified %d boards, want %d\n%s%s", given, quota, p.hub("orders"), p.said)
	}
	p.tellAll(names)
	p.is(`SELECT sum(counted) FROM station_order`, fmt.Sprint(quota))
	p.is(`SELECT count(DISTINCT board_id), count(*) FROM certificate WHERE work_order = 'WO-1'`, fmt.Sprintf("%d|%d", quota, quota))
	p.is(`SELECT count(*) FROM finding`, "0")
	p.is(`SELECT count(*) FROM station_state WHERE size <> next`, "0")
	p.is(`SELECT count(*) FROM lease_freeze`, "0")
	p.is(`SELECT count(*) FROM certificate_der d JOIN certificate c USING (serial) WHERE c.work_order = 'WO-1'`, p.db.Query(`SELECT count(*) FROM certificate_event e JOIN certificate c USING (serial) WHERE c.work_order = 'WO-1' AND status = 'issued'`))
}

// newBoards takes the boards of a station away, so that a batch meets new ones.
func (p *plant) newBoards(name string) {
	p.t.Helper()
	if err := os.RemoveAll(p.in(name, "bays")); err != nil {
		p.t.Fatal(err)
	}
}

// killed kills a station in the middle of a batch.
func (p *plant) killed(name string) {
	p.t.Helper()
	cmd := exec.CommandContext(p.t.Context(), p.station, "batch", "--dir", p.in(name), "--firmware", p.firmware, "--progress", "none", "--boards", "posix:4", "--count", "500", "--order", "WO-1")
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	time.Sleep(300 * time.Millisecond) // anywhere in it will do
	_ = cmd.Process.Signal(syscall.SIGKILL)
	_ = cmd.Wait() // it was killed
}
