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

// A world is one bench with one board, over several lives of the station.
type world struct {
	*factory
	t     *testing.T
	state string // the station directory; a new one for each life
	board string // directory of the board's fuses and flash

	power       *emulated.Board                  // of the life under way
	disturbance *disturbed                       // of the next life, may be nil
	neverSeal   bool                             // leave the lock step out
	purpose     devices.Purpose                  // of the Runs; for COSE the station certifies both keys
	nonces      map[[devices.NonceSize]byte]bool // of all lives (I5)
	signatures  int                              // made by the HSM, in all lives
}

func newWorld(t *testing.T, f *factory) *world {
	t.Helper()
	w := &world{factory: f, t: t, purpose: devices.PurposeTLS, state: t.TempDir(), board: filepath.Join(t.TempDir(), "board"), nonces: map[[devices.NonceSize]byte]bool{}}
	f.Clone(t, w.state)
	return w
}

// clone gives a world of its own to a test, with what has happened so far.
func (w *world) clone(t *testing.T) *world {
	t.Helper()
	clone := *w
	clone.t, clone.nonces = t, maps.Clone(w.nonces)
	clone.state, clone.board = t.TempDir(), filepath.Join(t.TempDir(), "board")
	fixtures.CopyDirectory(t, w.state, clone.state)
	if _, err := os.Stat(w.board); err == nil { // else no board was switched on
		fixtures.CopyDirectory(t, w.board, clone.board)
	}
	return &clone
}

func (w *world) database() string { return filepath.Join(w.state, "registry.db") }

// life is the station from start to end: one Run, or the part of it until the
// plug is pulled. A death leaves the files as they were at that moment.
func (w *world) life(p *plug, rework string) *station.Run {
	w.t.Helper()
	files := must(instance.OpenFiles(workdir.Dir(w.state), w.Options(w.hooks(p))))(w.t)
	record := must(files.OpenRecord(w.t.Context()))(w.t)
	w.noOpenIntent(record.Registry)
	opened := must(record.OpenAll(w.t.Context()))(w.t)
	client, off := w.switchOn(w.t.Context())
	s := must(opened.Engine(nil))(w.t)

	run := must(s.NewRun("bay 1", "sweep"))(w.t)
	run.Rework, run.Purpose = rework, w.purpose
	board := station.Board(client)
	if w.disturbance != nil {
		w.disturbance.Client, board = client, w.disturbance
	}
	if err := s.Enrol(w.t.Context(), pluggedBoard{p, board}, run); err != nil {
		w.t.Fatal(err)
	}

	if p.pulled {
		w.deathMask()
	} else {
		w.end(opened.Checkpoint())
	}
	w.end(off(), files.Close())
	return run
}

// end reports what went wrong at the end of a life. Parts that were disturbed may complain.
func (w *world) end(errs ...error) {
	w.t.Helper()
	for _, err := range errs {
		if err != nil && w.disturbance == nil {
			w.t.Error(err)
		}
	}
}

// deathMask copies the state as the dead process leaves it. The registry in
// this process is then closed, over files that nobody reads any more.
func (w *world) deathMask() {
	w.t.Helper()
	next := w.t.TempDir()
	fixtures.CopyDirectory(w.t, w.state, next)
	w.state = next
}

// hooks put the plug before each part of the station.
func (w *world) hooks(p *plug) instance.Hooks {
	return instance.Hooks{
		Known: func(inner verifier.Known) verifier.Known { return pluggedKnown{p, inner} },
		Issuance: func(c *issuance.Config) {
			c.Store, c.Signer = pluggedStore{p, c.Store}, pluggedSigner{p, c.Signer, w.aboutToSign}
		},
		Engine: func(c *station.Config) { w.engine(p, c) },
	}
}

func (w *world) engine(p *plug, c *station.Config) {
	cose := c.Keys[1:]
	fixtures.OnlyFuses(c)
	if w.purpose == devices.PurposeCOSE {
		c.Keys = append(c.Keys, cose...)
	}
	c.Issuer = pluggedIssuer{p, c.Issuer, w.freshNonce}
	c.Registry, c.Known, c.Verifier = pluggedRegistry{p, c.Registry}, pluggedKnown{p, c.Known}, pluggedVerifier{p, c.Verifier}
	c.Seal = !w.neverSeal
	if c.NetworkSessions != nil {
		c.NetworkSessions = pluggedNetworkSessions{p, c.NetworkSessions}
	}
}

// freshNonce is the station's half of I5.
func (w *world) freshNonce(nonce [devices.NonceSize]byte) {
	if w.nonces[nonce] || nonce == [devices.NonceSize]byte{} {
		w.t.Errorf("I5: nonce %x is not fresh", nonce)
	}
	w.nonces[nonce] = true
}

// aboutToSign is I1, asked on another connection at the last moment: the
// intent and its audit entry are committed, with this digest.
func (w *world) aboutToSign(digest []byte) {
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
