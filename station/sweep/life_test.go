package sweep_test

import (
	"context"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"
	"time"

	"hallmark/devices"
	"hallmark/devices/emulated"
	"hallmark/fixtures"
	"hallmark/station"
	"hallmark/station/issuance"
	"hallmark/station/registry"
	"hallmark/station/verifier"
)

// A world is one bench with one board, over several lives of the station.
type world struct {
	*factory
	t     *testing.T
	state string // directory of the registry; a new one for each life
	board string // directory of the board's fuses and flash

	power       *emulated.Board                  // of the life under way
	disturbance *disturbed                       // of the next life, may be nil
	neverSeal   bool                             // leave the lock step out
	network     bool                             // the board dials the verifier by itself
	purpose     devices.Purpose                  // of the Runs; for COSE the station certifies both keys
	nonces      map[[devices.NonceSize]byte]bool // of all lives (I5)
	signatures  int                              // made by the HSM, in all lives
}

func newWorld(t *testing.T, f *factory) *world {
	t.Helper()
	w := &world{factory: f, t: t, purpose: devices.PurposeTLS, state: t.TempDir(), board: filepath.Join(t.TempDir(), "board"), nonces: map[[devices.NonceSize]byte]bool{}}
	r := must(registry.Open(t.Context(), w.registryConfig()))(t)
	f.Genesis(t, r)
	if err := r.Shutdown(); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) database() string { return filepath.Join(w.state, "registry.db") }

func (w *world) registryConfig() registry.Config {
	return registry.Config{Path: w.database(), Now: time.Now, Station: "sweep"}
}

// life is the station from start to end: one Run, or the part of it until the
// plug is pulled. A death leaves the files as they were at that moment.
func (w *world) life(p *plug, rework string) *station.Run {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	r := must(registry.Open(ctx, w.registryConfig()))(w.t)
	w.noOpenIntent(r)
	v, served := w.Verifier(ctx, w.t, pluggedKnown{p, r})
	visited := w.Visits(ctx, w.t, v)
	client, off := w.switchOn(ctx)
	s := w.station(p, r, v)

	run := must(s.NewRun("bay 1", "sweep"))(w.t)
	run.Rework, run.Purpose = rework, w.purpose
	board := station.Board(client)
	if w.disturbance != nil {
		w.disturbance.Client, board = client, w.disturbance
	}
	if err := s.Enrol(ctx, pluggedBoard{p, board}, run); err != nil {
		w.t.Fatal(err)
	}

	if p.pulled {
		w.deathMask()
	} else {
		w.end(r.Checkpoint(ctx, fixtures.Origin, w.AuditKey))
	}
	w.end(off())
	cancel()
	w.end(<-served, <-visited, r.Shutdown())
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
	for _, entry := range must(os.ReadDir(w.state))(w.t) {
		text := must(os.ReadFile(filepath.Join(w.state, entry.Name())))(w.t)
		if err := os.WriteFile(filepath.Join(next, entry.Name()), text, 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
	w.state = next
}

func (w *world) station(p *plug, r *registry.Registry, v *verifier.Server) *station.Station {
	w.t.Helper()
	issue := w.IssuerConfig(pluggedStore{p, r})
	issue.Signer = pluggedSigner{p, w.IssuingKey, w.aboutToSign}
	config := w.StationConfig()
	config.Issuer = pluggedIssuer{p, must(issuance.New(issue))(w.t), w.freshNonce}
	config.Registry, config.Known, config.Verifier = pluggedRegistry{p, r}, pluggedKnown{p, r}, pluggedVerifier{p, v}
	config.Seal = !w.neverSeal
	if w.network {
		config.Visits = pluggedVisits{p, v}
	}
	if w.purpose == devices.PurposeCOSE {
		config.Keys = append(config.Keys, station.KeyOf(w.COSE))
	}
	return must(station.New(config))(w.t)
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
