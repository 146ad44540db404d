package sweep_test

import (
	"encoding/hex"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"hallmark/devices"
	"hallmark/devices/emulated"
	"hallmark/fixtures"
	"hallmark/station"
	"hallmark/station/instance"
	"hallmark/station/issuance"
	"hallmark/station/verifier"
	"hallmark/station/workdir"
)

// An environment is a station directory with one board. The station is started several times in it.
type environment struct {
	*factory
	t     *testing.T
	state string // the station directory; after a crash a copy of it
	board string // directory of the board's fuses and flash

	power       *emulated.Board                  // the running board
	disturbance *disturbed                       // for the next Run, may be nil
	probe       bool                             // the board is behind a debug probe: Runs flash it and lock its debug port
	neverSeal   bool                             // leave out the step lock
	purpose     devices.Purpose                  // purpose of the Runs; for COSE the station certifies both keys
	nonces      map[[devices.NonceSize]byte]bool // all nonces so far (I5)
	signatures  int                              // all signatures of the HSM so far
}

func newEnvironment(t *testing.T, f *factory) *environment {
	t.Helper()
	w := &environment{factory: f, t: t, purpose: devices.PurposeTLS, state: t.TempDir(), board: filepath.Join(t.TempDir(), "board"), nonces: map[[devices.NonceSize]byte]bool{}}
	f.Clone(t, w.state)
	return w
}

// clone returns a copy of the environment, with copies of its directories, for another test.
func (w *environment) clone(t *testing.T) *environment {
	t.Helper()
	clone := *w
	clone.t, clone.nonces = t, maps.Clone(w.nonces)
	clone.state, clone.board = t.TempDir(), filepath.Join(t.TempDir(), "board")
	fixtures.CopyDirectory(t, w.state, clone.state)
	if _, err := os.Stat(w.board); err == nil { // the directory is missing if no board was started yet
		fixtures.CopyDirectory(t, w.board, clone.board)
	}
	return &clone
}

func (w *environment) database() string { return filepath.Join(w.state, "registry.db") }

// runStation starts the station, does one Run and ends the station. A crash ends the Run early
// and leaves the files as they are at that moment.
func (w *environment) runStation(p *crashPoint, rework string) *station.Run {
	w.t.Helper()
	files := must(instance.OpenFiles(workdir.Dir(w.state), w.Options(w.hooks(p))))(w.t)
	record := must(files.OpenRecord(w.t.Context()))(w.t)
	opened := must(record.OpenAll(w.t.Context()))(w.t)
	w.noOpenIntent(record.Registry)
	client, off := w.switchOn(w.t.Context())
	s := must(opened.Engine(nil))(w.t)

	run := must(s.NewRun("bay 1", "sweep"))(w.t)
	run.Rework, run.Purpose = rework, w.purpose
	board := station.Board(client)
	if w.disturbance != nil {
		w.disturbance.Client, board = client, w.disturbance
	}
	var port station.DebugPort
	if w.probe {
		board, port = blankUntilFlashed{client, probedBoard{w, client}}, crashingPort{p, probedBoard{w, client}}
	}
	if err := s.EnrolWith(w.t.Context(), crashingBoard{p, board}, port, run); err != nil {
		w.t.Fatal(err)
	}

	if p.crashed {
		w.copyStateAfterCrash()
	} else {
		w.end(opened.Checkpoint())
	}
	w.end(off(), files.Close())
	return run
}

// end reports errors at the end of the station. After a disturbance, errors are expected.
func (w *environment) end(errs ...error) {
	w.t.Helper()
	for _, err := range errs {
		if err != nil && w.disturbance == nil {
			w.t.Error(err)
		}
	}
}

// copyStateAfterCrash copies the station directory as a crashed process leaves it. Closing the
// registry afterwards only changes the old files, which the test does not read any more.
func (w *environment) copyStateAfterCrash() {
	w.t.Helper()
	next := w.t.TempDir()
	fixtures.CopyDirectory(w.t, w.state, next)
	w.state = next
}

// hooks put the crash point in front of each part of the station.
func (w *environment) hooks(p *crashPoint) instance.Hooks {
	return instance.Hooks{
		Known: func(inner verifier.Known) verifier.Known { return crashingKnown{p, inner} },
		Issuance: func(c *issuance.Config) {
			c.Store, c.Signer = crashingStore{p, c.Store}, crashingSigner{p, c.Signer, w.aboutToSign}
		},
		Engine: func(c *station.Config) { w.engine(p, c) },
	}
}

func (w *environment) engine(p *crashPoint, c *station.Config) {
	cose := c.Keys[1:]
	fixtures.OnlyFuses(c)
	if w.purpose == devices.PurposeCOSE {
		c.Keys = append(c.Keys, cose...)
	}
	c.Issuer = crashingIssuer{p, c.Issuer, w.freshNonce}
	c.Registry, c.Known, c.Verifier = crashingRegistry{p, c.Registry}, crashingBoards{crashingKnown{p, c.Known}, c.Known}, crashingVerifier{p, c.Verifier}
	c.Seal = !w.neverSeal
	if w.probe {
		c.Flash, c.LockDebugPort = true, true
	}
	if c.NetworkSessions != nil {
		c.NetworkSessions = crashingNetworkSessions{p, c.NetworkSessions}
	}
}

// freshNonce checks that the station uses no nonce twice (I5).
func (w *environment) freshNonce(nonce [devices.NonceSize]byte) {
	if w.nonces[nonce] || nonce == [devices.NonceSize]byte{} {
		w.t.Errorf("I5: nonce %x is not fresh", nonce)
	}
	w.nonces[nonce] = true
}

// aboutToSign checks I1 directly before a signature, on another connection to the database: the
// intent with this digest and its audit entry are committed.
func (w *environment) aboutToSign(digest []byte) {
	w.signatures++
	db := fixtures.OpenDatabase(w.t, w.database())
	defer db.Close()
	for what, query := range map[string]string{
		"intent":      `SELECT count(*) FROM certificates WHERE status = 'intended' AND lower(hex(tbs_sha256)) = ?`,
		"audit entry": `SELECT count(*) FROM audit_entry WHERE json_extract(CAST(body AS TEXT), '$.type') = 'cert.issue.intent' AND json_extract(CAST(body AS TEXT), '$.cert.tbs_sha256') = ?`,
	} {
		var found int
		if err := db.QueryRow(query, hex.EncodeToString(digest)).Scan(&found); err != nil || found != 1 {
			w.t.Errorf("I1: a signature is about to be made, and its %s is there %d times (%v)", what, found, err)
		}
	}
}
