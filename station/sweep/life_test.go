package sweep_test

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"database/sql"
	"encoding/hex"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"hallmark/devices"
	"hallmark/devices/emulated"
	"hallmark/station"
	"hallmark/station/audit"
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
	nonces      map[[devices.NonceSize]byte]bool // of all lives (I5)
	signatures  int                              // made by the HSM, in all lives
}

func newWorld(t *testing.T, f *factory) *world {
	t.Helper()
	w := &world{factory: f, t: t, state: t.TempDir(), board: filepath.Join(t.TempDir(), "board"), nonces: map[[devices.NonceSize]byte]bool{}}
	r := must(registry.Open(t.Context(), w.registryConfig()))(t)
	if err := w.genesis(r); err != nil {
		t.Fatal(err)
	}
	if err := r.Shutdown(); err != nil {
		t.Fatal(err)
	}
	return w
}

const origin = "hallmark.test/sweep"

func (w *world) database() string { return filepath.Join(w.state, "registry.db") }

func (w *world) registryConfig() registry.Config {
	return registry.Config{Path: w.database(), Now: time.Now, Station: "sweep"}
}

func (w *world) auditKeyText() string {
	return must(audit.VerifierKey(origin, w.auditKey.Public()))(w.t)
}

// life is the station from start to end: one Run, or the part of it until the
// plug is pulled. A death leaves the files as they were at that moment.
func (w *world) life(p *plug, rework string) *station.Run {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	r := must(registry.Open(ctx, w.registryConfig()))(w.t)
	w.noOpenIntent(r)
	v, served := w.verifier(ctx, p, r)
	client, off := w.switchOn(ctx)
	s := w.station(p, r, v)

	run := must(s.NewRun("bay 1", "sweep"))(w.t)
	run.Rework = rework
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
		w.end(r.Checkpoint(ctx, origin, w.auditKey))
	}
	w.end(off())
	cancel()
	w.end(<-served, r.Shutdown())
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

func (w *world) verifier(ctx context.Context, p *plug, r *registry.Registry) (*verifier.Server, <-chan error) {
	w.t.Helper()
	v := must(verifier.New(verifier.Config{
		Certificate: w.server, Root: w.root, Intermediates: []*x509.Certificate{w.issuing}, Known: pluggedKnown{p, r},
		Now: time.Now, Log: slog.New(slog.DiscardHandler), ServerName: serverName,
	}))(w.t)
	listener := must(net.Listen("tcp", "127.0.0.1:0"))(w.t)
	served := make(chan error, 1)
	go func() { served <- v.Serve(ctx, listener) }()
	return v, served
}

func (w *world) station(p *plug, r *registry.Registry, v *verifier.Server) *station.Station {
	w.t.Helper()
	issuer := must(issuance.New(issuance.Config{
		Profile: w.profile, Issuer: w.issuing, Root: w.root, Signer: pluggedSigner{p, w.issuingKey, w.aboutToSign},
		Ledger: pluggedLedger{p, r}, Now: time.Now, Random: rand.Reader,
	}))(w.t)
	return must(station.New(station.Config{
		Issuer: pluggedIssuer{p, issuer, w.freshNonce}, Registry: pluggedRegistry{p, r}, Known: pluggedKnown{p, r}, Verifier: pluggedVerifier{p, v},
		Subject: devices.Subject{Organization: w.profile.Organization(), OrganizationalUnit: w.profile.OrganizationalUnit()},
		Anchor:  w.root.Raw, Chain: w.issuing.Raw, AllowedHUK: []devices.HUKSource{devices.HUKFuses}, Seal: !w.neverSeal,
		Now: time.Now, Random: rand.Reader,
	}))(w.t)
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
	db := w.open()
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

// genesis is what the ceremony writes.
func (w *world) genesis(r *registry.Registry) error {
	_, err := r.Genesis(w.t.Context(), registry.Genesis{
		Origin: origin, AuditKey: w.auditKey.Public(), Profile: w.profile,
		Certificates: map[string]*x509.Certificate{"root": w.root, "issuing": w.issuing},
	})
	return err
}

// open gives a second connection that only reads.
func (w *world) open() *sql.DB {
	return must(sql.Open("sqlite3", "file:"+w.database()+"?mode=ro"))(w.t)
}
