package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"hallmark/devices/emulated"
	"hallmark/fixtures"
	"hallmark/fixtures/postgres"
	"hallmark/station/hub"
	"hallmark/station/reason"
)

func TestMain(m *testing.M) {
	code := postgres.Main(m)
	if err := os.RemoveAll(programs); err != nil {
		code = 1
	}
	os.Exit(code)
}

// programs is the directory of the program station, which is built once for all tests.
var programs string

var buildOnce = sync.OnceValue(func() (err error) {
	if programs, err = os.MkdirTemp("", "programs"); err != nil {
		return err
	}
	out, err := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", filepath.Join(programs, "station"), "hallmark/station/cmd/station").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, out)
	}
	return err
})

// A plant is the real programs: `hub` in this process, `station` as it is installed, SoftHSM, posix boards, PostgreSQL and openssl's certificates.
type plant struct {
	t        *testing.T
	dir      string
	station  string // the program
	firmware string
	db       *postgres.Database
	address  string
	end      context.CancelFunc
	ended    chan reason.Exit
	out      lockedBuffer
	said     map[string]string // by the newest batch of each station
	links    map[string]*link  // of each station
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

const profileSHA256 = "74a936bb8ff50e19eec32491882d2a4b57432de24ba2917d8e35eb16705cc7da" // of linaro

func newPlant(t *testing.T, names ...string) *plant {
	t.Helper()
	fixtures.SoftHSM(t)
	migrate := func(database string) error { _, err := hub.Migrate(t.Context(), database, "hub_serve"); return err }
	p := &plant{t: t, dir: t.TempDir(), db: postgres.New(t, migrate), firmware: filepath.Dir(filepath.Dir(fixtures.Firmware(t, "../../..", emulated.Posix, ""))), said: map[string]string{}, links: map[string]*link{}}
	if err := buildOnce(); err != nil {
		t.Fatal(err)
	}
	p.station = filepath.Join(programs, "station")
	listener := fixtures.Must(net.Listen("tcp", "127.0.0.1:0"))(t)
	p.address = listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	p.run("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "order.pem")
	p.run("openssl", "pkey", "-in", "order.pem", "-pubout", "-out", "order.pub")
	p.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "tls.key", "-out", "tls.pem", "-days", "2", "-subj", "/CN=hub", "-addext", "subjectAltName=IP:127.0.0.1")
	p.run("chmod", "600", "order.pem", "tls.key")
	var roots, stations strings.Builder
	for _, name := range names {
		roots.WriteString(p.makes(name, &stations))
	}
	p.write("roots.pem", roots.String())
	p.write("hub.yaml", fmt.Sprintf("database: %s\nlisten: %s\ncertificate: tls.pem\nkey: tls.key\nca: roots.pem\norder_key: order.pem\nmark: hub.mark\npage: 127.0.0.1:0\nstations:\n%s",
		p.db.Database("hub_serve"), p.address, stations.String()))
	return p
}

// makes makes a station, and adds it to the configuration of the hub.
func (p *plant) makes(name string, stations *strings.Builder) (root string) {
	p.t.Helper()
	config := string(fixtures.Must(os.ReadFile("../../../configs/demo.yaml"))(p.t))
	p.write(name+".yaml", strings.Replace(config, "station: demo", "station: "+name, 1))
	p.run(p.station, "init", "--config", name+".yaml", "--dir", name)
	said := p.run(p.station, "renew-hub", "--dir", name, "--operator", "emil")
	key := regexp.MustCompile(`tls_key_sha256: ([0-9a-f]{64})`).FindStringSubmatch(said)
	if key == nil {
		p.t.Fatalf("renew-hub says %q", said)
	}
	log := strings.TrimSpace(string(fixtures.Must(os.ReadFile(p.in(name, "pki/audit.vkey")))(p.t)))
	fmt.Fprintf(stations, "  - {name: %s, log: %q, tls_key_sha256: %s}\n", name, log, key[1])
	made := string(fixtures.Must(os.ReadFile(p.in(name, "station.yaml")))(p.t))
	p.links[name] = newLink(p.t, p.address)
	p.write(name+"/station.yaml", made+fmt.Sprintf("\nhub: {url: \"https://%s\", ca: %s}\norders: {owners: [%s]}\n", p.links[name].listener.Addr(), p.in("tls.pem"), p.in("order.pub")))
	return string(fixtures.Must(os.ReadFile(p.in(name, "pki/root.pem")))(p.t))
}

func (p *plant) in(parts ...string) string {
	return filepath.Join(append([]string{p.dir}, parts...)...)
}

func (p *plant) write(name, text string) {
	p.t.Helper()
	if err := os.WriteFile(p.in(name), []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

func (p *plant) run(program string, args ...string) string {
	p.t.Helper()
	cmd := exec.CommandContext(p.t.Context(), program, args...)
	cmd.Dir = p.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		p.t.Fatalf("%s %v: %v\n%s", program, args, err, out)
	}
	return string(out)
}

// batch runs a batch, whatever its result is.
func (p *plant) batch(name string, args ...string) string {
	p.t.Helper()
	args = append([]string{"batch", "--dir", p.in(name), "--firmware", p.firmware, "--progress", "none"}, args...)
	out, err := exec.CommandContext(p.t.Context(), p.station, args...).CombinedOutput()
	p.said[name] = string(out)
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		p.t.Fatal(err)
	}
	return string(out)
}

// begins starts the hub, and waits until it listens.
func (p *plant) begins() {
	p.t.Helper()
	ctx, end := context.WithCancel(context.Background())
	p.end, p.ended = end, make(chan reason.Exit, 1)
	before := strings.Count(p.out.String(), "listens on")
	go func() {
		p.ended <- run(ctx, []string{"serve", "--config", p.in("hub.yaml")}, &p.out, &p.out)
	}()
	p.until("the hub listens", func() bool { return strings.Count(p.out.String(), "listens on") > before })
	p.t.Cleanup(p.ends)
}

func (p *plant) ends() {
	if p.end == nil {
		return
	}
	p.end()
	p.end = nil
	if code := <-p.ended; code != reason.ExitPass {
		p.t.Errorf("hub serve ends with %d:\n%s", code, p.out.String())
	}
}

func (p *plant) until(what string, so func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(time.Minute); !so(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("waiting until %s\n%s", what, p.out.String())
		}
	}
}

// hub runs a command of the program hub beside the server.
func (p *plant) hub(args ...string) string {
	p.t.Helper()
	var out bytes.Buffer
	if code := run(p.t.Context(), append(args, "--config", p.in("hub.yaml")), &out, &out); code != reason.ExitPass {
		p.t.Fatalf("hub %v ends with %d: %s", args, code, out.String())
	}
	return out.String()
}

// is waits until a query gives a text.
func (p *plant) is(query, want string) {
	p.t.Helper()
	var got string
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if got = p.db.Query(query); got == want {
			return
		}
	}
	p.t.Errorf("%s\ngives %q, want %q", query, got, want)
}

// tellAll starts each station until the hub has its whole log. A station that ends does not wait long for a hub, and its next start sends the rest.
func (p *plant) tellAll(names []string) {
	p.t.Helper()
	for _, name := range names {
		// The entry of the end of the station is written after the last message.
		for n := 0; !regexp.MustCompile(`^(0|1) entr`).MatchString(p.run(p.station, "hub", "--dir", name)); n++ {
			if n > 20 {
				p.t.Fatalf("%s never tells all: %s\n%s", name, p.run(p.station, "hub", "--dir", name), p.out.String())
			}
			p.batch(name, "--boards", "posix:1", "--count", "1")
		}
	}
}

// certified asks the stations themselves.
func (p *plant) certified(names []string) (sum int) {
	p.t.Helper()
	for _, name := range names {
		for line := range strings.Lines(p.run(p.station, "order", "list", "--dir", name, "--csv")) {
			var n int
			if cells := strings.Split(line, ","); cells[0] == "WO-1" {
				if _, err := fmt.Sscan(cells[p.column("certified", name)], &n); err != nil {
					p.t.Fatal(err)
				}
				sum += n
			}
		}
	}
	return sum
}

func (p *plant) column(head, name string) int {
	first, _, _ := strings.Cut(p.run(p.station, "order", "list", "--dir", name, "--csv"), "\n")
	for i, cell := range strings.Split(first, ",") {
		if strings.TrimSpace(cell) == head {
			return i
		}
	}
	p.t.Fatalf("no column %s in %s", head, first)
	return 0
}

func TestOneBoardOnTwoStationsIsFoundAndHeld(t *testing.T) {
	p := newPlant(t, "bench-1", "bench-2")
	p.begins()
	p.batch("bench-1", "--boards", "posix:1", "--count", "1")
	// A clone: the same fuses, and an empty flash.
	fuses := fixtures.Must(os.ReadFile(p.in("bench-1/bays/posix-1/1/fuses.bin")))(t)
	if err := os.MkdirAll(p.in("bench-2/bays/posix-1/1"), 0o700); err != nil {
		t.Fatal(err)
	}
	p.write("bench-2/bays/posix-1/1/fuses.bin", string(fuses))
	p.batch("bench-2", "--boards", "posix:1", "--count", "1")
	p.is(`SELECT kind || ' ' || (SELECT name FROM station WHERE id = other) FROM finding`, "board-twice bench-1")
	for _, name := range []string{"bench-1", "bench-2"} { // at its next start each station puts the board on hold
		p.batch(name, "--boards", "posix:1", "--count", "1")
		p.tellAll([]string{name})
		if out := p.batch(name, "--boards", "posix:1", "--count", "1"); !regexp.MustCompile(`reject +held`).MatchString(out) {
			t.Errorf("%s: the board that is on two stations has a Run:\n%s", name, out)
		}
	}
	if out := p.hub("findings"); !strings.Contains(out, "board-twice") {
		t.Errorf("hub findings: %s", out)
	}
	p.hub("finding-close", "1", "--operator", "lena", "--reason", "the clone is scrapped")
	if out := p.run(p.station, "audit", "verify", "--dir", "bench-1"); !strings.Contains(out, "verified") {
		t.Errorf("the log with findings and orders of the hub does not verify: %s", out)
	}
}

func TestAStationThatWasRestoredFromABackupIsStopped(t *testing.T) {
	p := newPlant(t, "bench-1")
	p.begins()
	p.batch("bench-1", "--boards", "posix:1", "--count", "1")
	p.run("cp", "-a", "bench-1", "yesterday")
	p.batch("bench-1", "--boards", "posix:1", "--count", "3")
	p.run("rm", "-rf", "bench-1")
	p.run("mv", "yesterday", "bench-1")
	p.batch("bench-1", "--boards", "posix:1", "--count", "1") // the hub finds it
	p.is(`SELECT kind IN ('log-fork', 'log-rollback') FROM finding`, "t")
	if out := p.batch("bench-1", "--boards", "posix:1", "--count", "1"); !strings.Contains(out, "a finding of the hub stops this station") {
		t.Errorf("the station goes on:\n%s", out)
	}
	p.hub("accept", "bench-1", "--operator", "lena", "--reason", "restored after a broken disk")
	p.batch("bench-1", "--boards", "posix:1", "--count", "1") // it hears that a person has accepted
	if out := p.batch("bench-1", "--boards", "posix:1", "--count", "1"); !strings.Contains(out, "1 pass") {
		t.Errorf("the station does not go on:\n%s", out)
	}
	p.is(`SELECT size = next FROM station_state`, "t")
	p.is(`SELECT count(*) > 0 FROM entry WHERE branch = 1`, "t")
}

func TestAStrangerReachesNothing(t *testing.T) {
	p := newPlant(t, "bench-1")
	p.begins()
	p.batch("bench-1", "--boards", "posix:1", "--count", "1")
	// The certificate of a board is of the same CA, and its key is in no list. Without a certificate the handshake fails.
	p.run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "stranger.key")
	p.run("openssl", "req", "-x509", "-key", "stranger.key", "-out", "stranger.pem", "-days", "2", "-subj", "/CN=bench-1")
	for _, args := range [][]string{{}, {"-cert", "stranger.pem", "-key", "stranger.key"}} {
		cmd := exec.CommandContext(t.Context(), "openssl", append([]string{"s_client", "-quiet", "-connect", p.address, "-CAfile", "tls.pem"}, args...)...)
		cmd.Dir, cmd.Stdin = p.dir, strings.NewReader("POST /v1/push HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
		out, _ := cmd.CombinedOutput() // openssl ends with an error when the server ends the connection
		if strings.Contains(string(out), "HTTP/1.1") {
			t.Errorf("%v: a stranger gets an answer: %s", args, out)
		}
	}
	if out := p.hub("stations"); !strings.Contains(out, "live") {
		t.Errorf("hub stations: %s", out)
	}
}

func TestAPersonGetsAToken(t *testing.T) {
	var out bytes.Buffer
	if code := run(t.Context(), []string{"person", "lena", "--role", "lead"}, &out, &out); code != reason.ExitPass || !regexp.MustCompile(`token of lena: [A-Z2-7]{26}\n`).MatchString(out.String()) || !strings.Contains(out.String(), `{name: "lena", role: lead, token_sha256: `) {
		t.Errorf("%d: %s", code, out.String())
	}
	if code := run(t.Context(), []string{"person", "lena", "--role", "boss"}, &out, &out); code != reason.ExitUsage || !strings.Contains(out.String(), "viewer, auditor or lead") {
		t.Errorf("%d: %s", code, out.String())
	}
}
