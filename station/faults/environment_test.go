// Package faults_test tests a whole station under the faults of real production: bad cables,
// boards that lie, tokens that disappear, a full disk, a clock that is changed.
// Every part is real: firmware as a process with fuses and flash in files, the
// SMP client, the engine, the registry in SQLite, keys in SoftHSM, and the
// verifier on a TCP port. After each fault the Run has a named reason, the
// registry keeps its invariants, its log verifies, and a good board passes in the bay.
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
	image    string // firmware image of the posix board
	token    *hsm.Token
	state    string // the station directory
	now      func() time.Time
	ahead    func() // called directly before each signature
	demo     bool   // the station also accepts publicly known identities
	network  bool   // boards dial the verifier over their own network
	both     bool   // the station also certifies the COSE key
	receipts bool   // boards must give a receipt
	changed  func(*station.Config)

	instance *instance.Instance
	registry *registry.Registry
	verifier station.Verifier
	station  *station.Station
	asked    atomic.Int64 // signatures that the token was asked for
}

// newEnvironment makes an environment, and closes it when the test ends. change, if not nil, sets
// fields of the environment before the station is opened.
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
	if l.receipts {
		fixtures.Configure(t, dir, "  allow_emulated: true", "  allow_emulated: true\n  require_receipt: true")
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

// open starts the station.
func (l *environment) open(t *testing.T) {
	t.Helper()
	options := l.Options(instance.Hooks{
		Issuance: func(c *issuance.Config) { c.Signer = counted{c.Signer, l} },
		Engine:   l.engine,
	})
	options.Now = l.now
	opened := must(instance.Open(context.Background(), workdir.Dir(l.state), options))(t) // not the context of the test, because close may come after the end of the test
	l.instance, l.registry, l.verifier = opened, opened.Registry, opened.Endpoint.Server
	l.station = must(opened.Engine(nil))(t)
}

// close ends the station.
func (l *environment) close() error { return l.instance.Close() }

// engine changes the engine's configuration where station.yaml has no key for the change.
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

// counted counts the signatures that the token is asked for.
type counted struct {
	crypto.Signer
	environment *environment
}

func (c counted) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	c.environment.asked.Add(1)
	c.environment.ahead()
	return c.Signer.Sign(random, digest, opts)
}

// checkInvariants checks the invariants that hold while no Run is under way.
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

// certificates counts the certificates that were signed for a board.
func (l *environment) certificates(t *testing.T, id devices.BoardID) int {
	t.Helper()
	db := fixtures.OpenDatabase(t, l.database())
	defer db.Close()
	return len(fixtures.Texts(t, db, `SELECT hex(serial) FROM certificates WHERE board_id = ? AND der IS NOT NULL`, id.String()))
}

// onceEach checks that each signature led to an active certificate.
func (l *environment) onceEach(t *testing.T) {
	t.Helper()
	db := fixtures.OpenDatabase(t, l.database())
	defer db.Close()
	active := len(fixtures.Texts(t, db, `SELECT hex(serial) FROM certificates WHERE status = 'active'`))
	if asked := int(l.asked.Load()); asked != active {
		t.Errorf("%d signatures for %d active certificates", asked, active)
	}
}

// A plugged is an emulated board with a connected client.
type plugged struct {
	*devices.Client
	power *emulated.Board
}

func (p plugged) Close() error { return errors.Join(p.Client.Close(), p.power.Close()) }

// longTimeout are options for emulated boards on a busy machine.
var longTimeout = devices.Options{Answer: 20 * time.Second, Timeout: 20 * time.Second}

// plug starts the board of a directory and connects a client. cable, if not nil, wraps the transport.
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

// good starts a new board with a good cable.
func (l *environment) good(t *testing.T) plugged {
	t.Helper()
	return l.plug(t, emulated.Config{}, longTimeout, nil)
}

// A bay is a bay of the environment's station.
type bay struct {
	*environment
	place *station.Bay
}

func (l *environment) bay(name string) *bay { return &bay{l, &station.Bay{Name: name}} }

// enrol does one Run in the bay in the same way as a batch, and closes p. The station uses
// board, which is p itself or a wrapper around p.
func (b *bay) enrol(t *testing.T, board station.Board, p io.Closer) *station.Run {
	t.Helper()
	b.place.Next = func(context.Context) (station.Board, io.Closer, error) { return board, p, nil }
	return b.station.EnrolIn(t.Context(), b.place, station.Request{Operator: "test"})[0]
}

// ends checks how a Run ended.
func ends(t *testing.T, run *station.Run, ending station.Ending, reason string) {
	t.Helper()
	if run.Ending != ending || run.Reason != reason {
		t.Errorf("the Run ends as %s %q, want %s %q: %v", run.Ending, run.Reason, ending, reason, run.Err)
	}
}

// passes checks that a new board passes in the bay.
func (b *bay) passes(t *testing.T) {
	t.Helper()
	board := b.good(t)
	ends(t, b.enrol(t, board, board), station.Pass, "")
}

// named checks that a Run ended as Pass, or as a Fault with a specific reason.
func named(t *testing.T, run *station.Run) {
	t.Helper()
	unnamed := run.Reason == "" || run.Reason == "fault" || run.Reason == "panic"
	if run.Ending != station.Pass && (run.Ending != station.Fault || unnamed || run.Err == nil) {
		t.Errorf("the Run ends as %s %q: %v", run.Ending, run.Reason, run.Err)
	}
}

// troubled calls happens before a Run, and in the middle of another Run. Each Run must end as a
// Fault with this reason and without a signature. After over, boards must pass in the bay.
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
			board := b.plug(t, emulated.Config{Dir: dir}, longTimeout, nil)
			run := b.enrol(t, test.when(board.Client), board)
			ends(t, run, station.Fault, reason)
			if signed := b.asked.Load() - asked; signed != 0 {
				t.Errorf("%d signatures", signed)
			}
			over()
			b.passesAgain(t, b, dir, run)
			b.passes(t)
			b.checkInvariants(t)
		})
	}
}

// same checks that the board has the same certificate in both Runs.
func same(t *testing.T, before, after *station.Run) {
	t.Helper()
	if before.Certificate != nil && (after.Certificate == nil || !after.Certificate.Stored || !bytes.Equal(before.Certificate.DER, after.Certificate.DER)) {
		t.Errorf("I9: the board got another certificate: %+v", after.Certificate)
	}
}

func must[T any](value T, err error) func(testing.TB) T { return fixtures.Must(value, err) }
