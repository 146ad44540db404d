package registry

import (
	"context"
	"crypto"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"hallmark/devices"
	"hallmark/station"
	"hallmark/station/audit"
)

// A certificate becomes active only with the proofs of I6 and I7, whoever calls (I12).
func TestACertificateBecomesActiveOnlyWithItsProofs(t *testing.T) {
	other := [sha256.Size]byte{1}
	for _, test := range []struct {
		name   string
		change func(*station.Run)
		want   error
	}{
		{"without the hash of the certificate that was read back", func(r *station.Run) { r.ReadBack = nil }, ErrNotReadBack},
		{"with the hash of another certificate", func(r *station.Run) { r.ReadBack = &other }, ErrNotReadBack},
		{"without a handshake", func(r *station.Run) { r.Handshake = nil }, ErrNotPresented},
		{"with the handshake of another certificate", func(r *station.Run) { r.Handshake = &station.Presented{CertificateSHA256: other} }, ErrNotPresented},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newTestRegistry(t)
			run := b.run()
			b.issue(run)
			b.must(b.Delivered(t.Context(), proven(run)))
			test.change(run)
			if err := b.Activate(t.Context(), run); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			run.Ending = station.Pass
			if _, err := b.Close(t.Context(), run); !errors.Is(err, ErrWrongStatus) {
				t.Errorf("a Pass is recorded without an active certificate: %v", err)
			}
			b.verify()
		})
	}
}

func TestThePassOfABoardHasItsOutcome(t *testing.T) {
	b := newTestRegistry(t)
	first := b.run()
	b.issue(first)
	pass := func(run *station.Run, want station.Outcome) {
		t.Helper()
		b.must(b.Delivered(t.Context(), proven(run)))
		b.must(b.Activate(t.Context(), run))
		run.Ending = station.Pass
		if got, err := b.Close(t.Context(), run); got != want || err != nil {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
	// 1. The Run that had the certificate signed ends before it passes. The next Run tells of the certificate.
	b.must(b.Delivered(t.Context(), proven(first)))
	b.must(b.Activate(t.Context(), first))
	first.Ending = station.Fault
	b.must(b.closeRun(t.Context(), first))
	next := func(rework string) *station.Run {
		run := again(first, rework)
		b.must(b.Admit(t.Context(), run))
		run.Certificate = first.Certificate
		return run
	}
	pass(next(""), station.Issued)
	pass(next(""), station.Confirmed)
	// 2. A rework replaces the certificate, once.
	rework := next("antenna")
	b.issue(rework)
	pass(rework, station.Reworked)
	first = rework
	pass(next(""), station.Confirmed)
	found, err := b.SearchRuns(t.Context(), Search{})
	b.must(err)
	var outcomes []string
	for _, run := range slices.Backward(found) {
		outcomes = append(outcomes, string(run.Outcome))
	}
	if got := strings.Join(outcomes, " "); got != " issued confirmed reworked confirmed" {
		t.Errorf("on record: %q", got)
	}
	b.verify()
}

// Each Run that met a board is on record, also a Run that was refused (I14).
func TestARefusedRunIsOnRecord(t *testing.T) {
	b := newTestRegistry(t)
	known := b.run()
	b.enrol(known)
	clone := newRun(known.Identity.ID, "other hardware")
	if err := b.Admit(t.Context(), clone); !errors.Is(err, station.ErrClone) {
		t.Fatal(err)
	}
	b.stopBay(clone)
	silent := &station.Run{ID: uuid.New(), Bay: "bay-2", Purpose: devices.PurposeTLS, Ending: station.Reject, Reason: devices.ErrNoHUK.Word(), Order: "WO-unknown",
		Wire: devices.WireCount{Sent: 12, Received: 34}, Steps: []station.StepTime{{Name: "identify", Took: 5000000}}}
	b.must(b.closeRun(t.Context(), silent))
	b.verify()
	b.reopen()
	b.verify()
	found, err := b.SearchRuns(t.Context(), Search{Ending: station.Reject})
	b.must(err)
	if len(found) != 2 || found[0].ID != silent.ID.String() || !found[0].BoardID.IsZero() || found[1].BoardID != known.Identity.ID || found[1].HardwareID == found[0].HardwareID {
		t.Fatalf("got %+v", found)
	}
	entries, err := b.EntriesOf(t.Context(), silent.ID.String())
	b.must(err)
	if len(entries) != 1 || entries[0].Details["wire_received"] != "34" || len(entries[0].Run.Steps) != 1 {
		t.Errorf("the Run has lost its counters and steps: %+v", entries)
	}
}

// A bay that was stopped stays stopped over a restart, until somebody acknowledges (I13).
func TestAStoppedBayStaysStopped(t *testing.T) {
	b := newTestRegistry(t)
	run := b.run()
	b.stopBay(run)
	b.reopen()
	stopped, err := b.StoppedBays(t.Context())
	b.must(err)
	if len(stopped) != 1 || stopped[0].Name != "bay-1" || stopped[0].Reason != station.ErrClone.Word() || stopped[0].BoardID != run.Identity.ID {
		t.Fatalf("got %+v", stopped)
	}
	b.must(b.AcknowledgeBay(t.Context(), "bay-1", "ann"))
	if err := b.AcknowledgeBay(t.Context(), "bay-1", "ann"); !errors.Is(err, ErrBayFree) {
		t.Errorf("a second time: %v", err)
	}
	b.verify()
	b.reopen()
	if stopped, err := b.StoppedBays(t.Context()); len(stopped) != 0 || err != nil {
		t.Errorf("after the acknowledgement: %+v, %v", stopped, err)
	}
	b.verify()
}

// deadSigner has a key and signs nothing.
type deadSigner struct{ crypto.Signer }

var errDeadSigner = errors.New("the signer is dead")

func (deadSigner) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errDeadSigner
}

// An entry that tells of a checkpoint is written after its signature (I15).
func TestADeadSignerLeavesNoEntryAboutACheckpoint(t *testing.T) {
	b := newTestRegistry(t)
	before, err := b.LastCheckpoint(t.Context())
	b.must(err)
	b.must(b.Event(t.Context(), Event{Type: "doctor.done", Outcome: audit.Success}))
	if err := b.Checkpoint(t.Context(), origin, deadSigner{b.key}); !errors.Is(err, errDeadSigner) {
		t.Fatal(err)
	}
	b.verify()
	counts := map[string]int{}
	_, err = b.VerifyEach(t.Context(), b.vkey, func(e audit.Entry) error { counts[e.Type]++; return nil })
	b.must(err)
	if counts[audit.TypeCheckpoint] != 1 || counts["log.checkpoint.failed"] != 1 {
		t.Errorf("got %v", counts)
	}
	if after, err := b.LastCheckpoint(t.Context()); string(after) != string(before) || err != nil {
		t.Errorf("there is another checkpoint: %v", err)
	}
}

// Each start records what it started with, and what changed since the start before.
func TestAStartSaysWhatChanged(t *testing.T) {
	b := newTestRegistry(t)
	start := func(facts map[string]string, want string) {
		t.Helper()
		b.must(b.Shutdown())
		config := b.config()
		config.Startup = facts
		r, err := Open(t.Context(), config)
		b.must(err)
		b.Registry = r
		var newest audit.Entry
		_, err = b.VerifyEach(t.Context(), b.vkey, func(e audit.Entry) error {
			if e.Type == typeStartup {
				newest = e
			}
			return nil
		})
		b.must(err)
		if got := newest.Details[changedDetail]; got != want || newest.Details["version"] != facts["version"] {
			t.Errorf("got %q in %v, want %q", got, newest.Details, want)
		}
		b.must(b.Checkpoint(t.Context(), origin, b.key))
	}
	start(map[string]string{"version": "1", "profile_sha256": "aa"}, "")
	start(map[string]string{"version": "1", "profile_sha256": "aa"}, "")
	start(map[string]string{"version": "2", "profile_sha256": "bb", "cose_profile_sha256": "cc"}, "cose_profile_sha256 profile_sha256 version")
	start(map[string]string{"version": "2", "profile_sha256": "bb"}, "cose_profile_sha256")
	b.must(b.Shutdown())
}

// A registry whose pages are damaged is refused with a next action. So looks a registry.db that
// was put back beside the write-ahead log of a newer one.
func TestADamagedRegistryIsRefusedWithAWayOut(t *testing.T) {
	b := newTestRegistry(t)
	b.enrol(b.run())
	b.must(b.Shutdown())
	content, err := os.ReadFile(b.path)
	b.must(err)
	clear(content[len(content)/4:])
	b.must(os.WriteFile(b.path, content, 0o600))
	if _, err := Open(t.Context(), b.config()); err == nil || len(WaysOut(err)) != 1 {
		t.Errorf("opening: %v, ways out %q", err, WaysOut(err))
	}
}

// The whole schema is that of the program's steps. A start and a verification name each difference.
func TestAChangedSchemaIsRefused(t *testing.T) {
	for _, test := range []struct {
		name       string
		statements []string
		words      string
	}{
		{"a trigger was dropped", []string{`DROP TRIGGER run_closed_once`}, "changed: trigger run_closed_once is missing; restore"},
		{"an index was dropped", []string{`DROP INDEX certificate_active`}, "changed: index certificate_active is missing; restore"},
		{"a table was added", []string{`CREATE TABLE extra (x)`}, "changed: table extra does not belong there; restore"},
		{"a trigger was added", []string{`CREATE TRIGGER extra AFTER INSERT ON boards BEGIN SELECT 1; END`}, "changed: trigger extra does not belong there; restore"},
		{"an index was changed", []string{`DROP INDEX certificate_active`, `CREATE INDEX certificate_active ON certificates (board_id, purpose) WHERE status = 'active'`},
			"changed: index certificate_active was changed; restore"},
		{"a trigger was changed", []string{`DROP TRIGGER run_stays`, `CREATE TRIGGER run_stays BEFORE DELETE ON runs WHEN OLD.ending IS NULL BEGIN SELECT RAISE(ABORT, 'a Run stays'); END`},
			"changed: trigger run_stays was changed; restore"},
		{"a column was added", []string{`ALTER TABLE boards ADD COLUMN extra TEXT`}, "changed: table boards was changed; restore"},
		{"the text of a table was changed", []string{`PRAGMA writable_schema = ON`,
			`UPDATE sqlite_schema SET sql = replace(sql, 'NOT NULL', '') WHERE name = 'holds'`, `PRAGMA writable_schema = OFF`}, "changed: table holds was changed; restore"},
		{"all at once", []string{`DROP TRIGGER run_closed_once`, `DROP INDEX certificate_active`, `ALTER TABLE boards ADD COLUMN extra TEXT`, `CREATE TABLE extra (x)`},
			"changed: index certificate_active is missing, table boards was changed, trigger run_closed_once is missing, table extra does not belong there; restore"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newTestRegistry(t)
			b.must(b.Shutdown())
			b.tamper(test.statements...)
			refused := func(what string, err error) {
				t.Helper()
				if !errors.Is(err, ErrSchemaChanged) || len(WaysOut(err)) != 1 || !strings.Contains(err.Error(), test.words) {
					t.Errorf("%s: %v, ways out %q", what, err, WaysOut(err))
				}
			}
			_, err := Open(t.Context(), b.config())
			refused("opening", err)
			reader, err := OpenReader(t.Context(), b.path)
			b.must(err)
			defer reader.Close()
			_, err = reader.VerifyAudit(t.Context(), b.vkey)
			refused("verifying", err)
		})
	}
}

// A Run, or an intent, that somebody opened again is refused. To close it again would make
// a log with two ends.
func TestARowThatWasOpenedAgainIsRefused(t *testing.T) {
	for name, test := range map[string]struct{ trigger, update string }{
		"a Run":     {"run_closed_once", `UPDATE runs SET ending = NULL, closed = NULL, outcome = NULL, last_entry = NULL, reason = ''`},
		"an intent": {"certificate_life", `UPDATE certificates SET status = 'intended'`},
	} {
		t.Run(name, func(t *testing.T) {
			b := newTestRegistry(t)
			b.enrol(b.run())
			b.must(b.Shutdown())
			b.tamper(`DROP TRIGGER `+test.trigger, test.update, b.trigger(test.trigger))
			if _, err := Open(t.Context(), b.config()); !errors.Is(err, ErrReopened) || len(WaysOut(err)) != 1 {
				t.Errorf("opening: %v, ways out %q", err, WaysOut(err))
			}
			reader, err := OpenReader(t.Context(), b.path)
			b.must(err)
			defer reader.Close()
			if _, err := reader.VerifyAudit(context.Background(), b.vkey); !errors.Is(err, ErrDiffers) || len(WaysOut(err)) != 1 {
				t.Errorf("verifying: %v, ways out %q", err, WaysOut(err))
			}
		})
	}
}

// Whoever opens a row again can also change where the row says that its Run begins, or of which Run
// it is, so that no end is found there.
func TestARowThatWasOpenedAgainIsRefusedWhateverElseItSays(t *testing.T) {
	reopened := `UPDATE runs SET ending = NULL, closed = NULL, outcome = NULL, last_entry = NULL, reason = ''`
	intended := `UPDATE certificates SET status = 'intended', der = NULL, sha256 = NULL`
	other := ` = (SELECT id FROM runs WHERE id NOT IN (SELECT run FROM certificates))`
	for name, updates := range map[string][]string{
		"a Run that begins later":              {reopened + `, first_entry = 1000000 WHERE outcome = 'issued'`},
		"a Run that begins behind its end":     {reopened + `, first_entry = last_entry + 1 WHERE outcome = 'issued'`},
		"an intent whose Run begins later":     {intended, `UPDATE runs SET first_entry = 1000000`},
		"an intent of another Run":             {intended + `, run` + other},
		"an intent of a Run that is not there": {intended, `DELETE FROM runs WHERE outcome = 'issued'`},
		"an intent with another number":        {intended + `, serial = zeroblob(16)`},
	} {
		t.Run(name, func(t *testing.T) {
			b := newTestRegistry(t)
			b.enrol(b.run())
			other := b.run()
			other.Ending, other.Reason = station.Reject, station.ErrClone.Word()
			b.must(b.closeRun(t.Context(), other))
			b.must(b.Shutdown())
			var dropped, made []string
			for _, trigger := range []string{"run_closed_once", "run_stays", "certificate_life", "certificate_intent_fixed", "certificate_der_fixed"} {
				dropped, made = append(dropped, `DROP TRIGGER `+trigger), append(made, b.trigger(trigger))
			}
			b.tamper(slices.Concat(dropped, updates, made)...)
			if _, err := Open(t.Context(), b.config()); !errors.Is(err, ErrDiffers) && !errors.Is(err, ErrReopened) {
				t.Errorf("opening: %v", err)
			}
		})
	}
}

// Without any checkpoint a log is not signed by anybody.
func TestALogWithoutCheckpointsIsRefused(t *testing.T) {
	for _, which := range []string{"", " WHERE size = (SELECT max(size) FROM audit_checkpoint)", " WHERE size = (SELECT min(size) FROM audit_checkpoint)"} {
		t.Run("DELETE FROM audit_checkpoint"+which, func(t *testing.T) {
			b := newTestRegistry(t)
			b.enrol(b.run())
			b.must(b.Checkpoint(t.Context(), origin, b.key))
			b.must(b.Shutdown())
			trigger := `CREATE TRIGGER audit_checkpoint_stays BEFORE DELETE ON audit_checkpoint
	BEGIN SELECT RAISE(ABORT, 'checkpoints are append-only'); END`
			b.tamper(`DROP TRIGGER audit_checkpoint_stays`, `DELETE FROM audit_checkpoint`+which, trigger)
			if _, err := Open(t.Context(), b.config()); !errors.Is(err, audit.ErrCheckpointMissing) || len(WaysOut(err)) != 1 {
				t.Errorf("opening: %v, ways out %q", err, WaysOut(err))
			}
			reader, err := OpenReader(t.Context(), b.path)
			b.must(err)
			defer reader.Close()
			if _, err := reader.VerifyAudit(t.Context(), b.vkey); !errors.Is(err, audit.ErrCheckpointMissing) || len(WaysOut(err)) != 1 {
				t.Errorf("verifying: %v, ways out %q", err, WaysOut(err))
			}
		})
	}
}

// A work order whose row was changed is not used: with a greater quota, boards would be signed
// that nobody ordered.
func TestAWorkOrderThatWasChangedIsNotUsed(t *testing.T) {
	for name, update := range map[string]string{
		"a greater quota": `UPDATE work_orders SET quota = 99`,
		"a smaller count": `UPDATE work_orders SET counted = 0`,
		"another product": `UPDATE work_orders SET product = 'other'`,
	} {
		t.Run(name, func(t *testing.T) {
			b := newTestRegistry(t)
			b.must(b.OpenOrder(t.Context(), NewOrder{ID: "OP-1", Product: "widget", Quota: 2}, "OP-1")) // as the operator's id, which stands in each entry
			board := func() *station.Run {
				run := newRun(devices.BoardID(uuid.New()), "hardware")
				run.Order = "OP-1"
				return run
			}
			run := board()
			b.must(b.Admit(t.Context(), run))
			b.enrol(run)
			b.must(b.Shutdown())
			b.deletes("work_order_fixed", update)
			b.open()
			if err := b.Admit(t.Context(), board()); !errors.Is(err, ErrDiffers) {
				t.Errorf("admitting a board for the work order: %v", err)
			}
			if err := b.OpenOrder(t.Context(), NewOrder{ID: "OP-1", Product: "widget", Quota: 2}, "OP-1"); !errors.Is(err, ErrDiffers) {
				t.Errorf("opening the work order again: %v", err)
			}
		})
	}
}
