// Package faults_test does to a whole line what happens on a bench: bad cables,
// boards that lie, tokens that go away, a full disk, a clock that is moved.
// Every part is real: firmware as a process with fuses and flash in files, the
// SMP client, the engine, the registry in SQLite, keys in SoftHSM, and the
// verifier on a TCP port. Whatever happened, the Run has a named reason, the
// registry is in a legal state, its log verifies, and the bay passes a good board.
package faults_test

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"io"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"hallmark/devices"
	"hallmark/devices/emulated"
	"hallmark/fixtures"
	"hallmark/hsm"
	"hallmark/station"
	"hallmark/station/instance"
	"hallmark/station/issuance"
	"hallmark/station/registry"
	"hallmark/station/workdir"
)

// An environment is a station with all its parts.
type environment struct {
	*fixtures.Factory
	image   string // of the posix board
	token   *hsm.Token
	state   string // the station directory
	now     func() time.Time
	ahead   func() // called when a signature is about to be asked for
	demo    bool   // publicly known identities are issued, too
	network bool   // boards dial the verifier by themselves
	both    bool   // the COSE key is certified, too
	changed func(*station.Config)

	instance *instance.Instance
	registry *registry.Registry
	verifier station.Verifier
	station  *station.Station
	asked    atomic.Int64 // signatures that the token was asked for
}

// newEnvironment makes an environment that is closed when the test ends; change may set what
// it is made of.
func newEnvironment(t *testing.T, change func(*environment)) *environment {
	t.Helper()
	l := &environment{
		image: fixtures.Firmware(t, "../..", emulated.Posix, ""),
		state: t.TempDir(), now: time.Now, ahead: func() {}, changed: func(*station.Config) {},
	}
	if change != nil {
		change(l)
	}
	if l.token == nil {
		l.token = fixtures.NewToken(t).Open(t)
	}
	l.Factory = fixtures.NewFactory(t, l.token)
	dir := l.Clone(t, l.state)
	if l.demo {
		fixtures.Configure(t, dir, "allow_dummy_identities: false", "allow_dummy_identities: true")
	}
	if l.network {
		fixtures.Configure(t, dir, "handshake: uart", "handshake: network")
	}
	l.open(t)
	t.Cleanup(func() {
		if err := l.close(); err != nil {
			t.Errorf("closing the line: %v", err)
		}
	})
	return l
}

func (l *environment) database() string { return filepath.Join(l.state, "registry.db") }

// open is what a station does when it starts.
func (l *environment) open(t *testing.T) {
	t.Helper()
	options := l.Options(instance.Hooks{
		Issuance: func(c *issuance.Config) { c.Signer = counted{c.Signer, l} },
		Engine:   l.engine,
	})
	options.Now = l.now
	opened := must(instance.Open(context.Background(), workdir.Dir(l.state), options))(t) // until close, which may come after the test's own
	l.instance, l.registry, l.verifier = opened, opened.Registry, opened.Endpoint.Server
	l.station = must(opened.Engine(nil))(t)
}

// close ends what open began.
func (l *environment) close() error { return l.instance.Close() }

// engine changes what the configuration cannot say.
func (l *environment) engine(config *station.Config) {
	cose := config.Keys[1:]
	fixtures.OnlyFuses(config)
	if l.both {
		config.Keys = append(config.Keys, cose...)
	}
	if l.demo {
		config.AllowedHUK = append(config.AllowedHUK, devices.HUKTFMDummy)
	}
	l.changed(config)
}

// counted counts what the token is asked for.
type counted struct {
	crypto.Signer
	line *environment
}

func (c counted) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	c.line.asked.Add(1)
	c.line.ahead()
	return c.Signer.Sign(random, digest, opts)
}

// checkInvariants demands what holds whenever no Run is under way.
func (l *environment) checkInvariants(t *testing.T) {
	t.Helper()
	if err := l.instance.Checkpoint(); err != nil {
		t.Error(err)
	}
	if _, err := l.registry.VerifyAudit(t.Context(), l.AuditKeyText(t)); err != nil {
		t.Error(err)
	}
	db := fixtures.OpenDatabase(t, l.database())
	defer db.Close()
	fixtures.CheckInvariants(t, db)
	intents := len(fixtures.Texts(t, db, `SELECT hex(serial) FROM certificates`))
	certain := len(fixtures.Texts(t, db, `SELECT hex(serial) FROM certificates WHERE der IS NOT NULL`))
	if asked := int(l.asked.Load()); asked > intents || asked < certain {
		t.Errorf("the token was asked %d times; the registry knows %d intents and %d certificates", asked, intents, certain)
	}
}

// certificates counts those that were signed for a board.
func (l *environment) certificates(t *testing.T, id devices.BoardID) int {
	t.Helper()
	db := fixtures.OpenDatabase(t, l.database())
	defer db.Close()
	return len(fixtures.Texts(t, db, `SELECT hex(serial) FROM certificates WHERE board_id = ? AND der IS NOT NULL`, id.String()))
}

// onceEach demands that each signature is a certificate that somebody has.
func (l *environment) onceEach(t *testing.T) {
	t.Helper()
	db := fixtures.OpenDatabase(t, l.database())
	defer db.Close()
	active := len(fixtures.Texts(t, db, `SELECT hex(serial) FROM certificates WHERE status = 'active'`))
	if asked := int(l.asked.Load()); asked != active {
		t.Errorf("%d signatures for %d active certificates", asked, active)
	}
}

// A plugged is a board with the client on its line.
type plugged struct {
	*devices.Client
	power *emulated.Board
}

func (p plugged) Close() error { return errors.Join(p.Client.Close(), p.power.Close()) }

// patience is for boards that are processes of a machine with other work.
var patience = devices.Options{Timeout: 5 * time.Second}

// plug switches on the board of a directory. cable, if not nil, is put between.
func (l *environment) plug(t *testing.T, board emulated.Config, options devices.Options, cable func(devices.Transport) devices.Transport) plugged {
	t.Helper()
	if board.Kind == 0 {
		board.Kind, board.Image = emulated.Posix, l.image
	}
	if board.Dir == "" {
		board.Dir = t.TempDir()
	}
	power := must(emulated.Start(t.Context(), board))(t)
	wire := power.Transport()
	if cable != nil {
		wire = cable(wire)
	}
	return plugged{devices.NewClient(wire, options), power}
}

// good is a new board on a good line.
func (l *environment) good(t *testing.T) plugged {
	t.Helper()
	return l.plug(t, emulated.Config{}, patience, nil)
}

// A bay is a place on the bench of a line, for one board after the other.
type bay struct {
	*environment
	place *station.Bay
}

func (l *environment) bay(name string) *bay { return &bay{l, &station.Bay{Name: name}} }

// enrol does one Run in the bay as a batch does, and closes what was plugged in.
// board is what the station sees of it: p itself, or something in front.
func (b *bay) enrol(t *testing.T, board station.Board, p io.Closer) *station.Run {
	t.Helper()
	b.place.Next = func(context.Context) (station.Board, io.Closer, error) { return board, p, nil }
	return b.station.EnrolIn(t.Context(), b.place, station.Request{Operator: "test"})[0]
}

// ends demands how a Run ended.
func ends(t *testing.T, run *station.Run, ending station.Ending, reason string) {
	t.Helper()
	if run.Ending != ending || run.Reason != reason {
		t.Errorf("the Run ends as %s %q, want %s %q: %v", run.Ending, run.Reason, ending, reason, run.Err)
	}
}

// passes demands that a bay works: a new board passes in it.
func (b *bay) passes(t *testing.T) {
	t.Helper()
	board := b.good(t)
	ends(t, b.enrol(t, board, board), station.Pass, "")
}

// named demands that a Run ended well, or badly through no fault of the board,
// and with a word of its own.
func named(t *testing.T, run *station.Run) {
	t.Helper()
	unnamed := run.Reason == "" || run.Reason == "fault" || run.Reason == "panic"
	if run.Ending != station.Pass && (run.Ending != station.Fault || unnamed || run.Err == nil) {
		t.Errorf("the Run ends as %s %q: %v", run.Ending, run.Reason, run.Err)
	}
}

// troubled has something happen before a Run and in the middle of one. The Run
// must end as a Fault with this reason and without a signature, and the bay must
// work when it is over.
func (b *bay) troubled(t *testing.T, reason string, happens, over func()) {
	t.Helper()
	for _, test := range []struct {
		name string
		when func(*devices.Client) station.Board
	}{
		{"before a Run", func(board *devices.Client) station.Board { happens(); return board }},
		{"in the middle of a Run", func(board *devices.Client) station.Board {
			return liar{board, changed(func(der []byte) []byte { happens(); return der })}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir, asked := t.TempDir(), b.asked.Load()
			board := b.plug(t, emulated.Config{Dir: dir}, patience, nil)
			run := b.enrol(t, test.when(board.Client), board)
			ends(t, run, station.Fault, reason)
			if signed := b.asked.Load() - asked; signed != 0 {
				t.Errorf("%d signatures", signed)
			}
			over()
			b.inPeace(t, b, dir, run)
			b.passes(t)
			b.checkInvariants(t)
		})
	}
}

// same demands that the board kept its certificate from one Run to the next.
func same(t *testing.T, before, after *station.Run) {
	t.Helper()
	if before.Certificate != nil && (after.Certificate == nil || !after.Certificate.Stored || !bytes.Equal(before.Certificate.DER, after.Certificate.DER)) {
		t.Errorf("I9: the board got another certificate: %+v", after.Certificate)
	}
}

func must[T any](value T, err error) func(testing.TB) T { return fixtures.Must(value, err) }
