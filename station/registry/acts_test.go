package registry

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"

	"hallmark/devices"
	"hallmark/station/audit"
)

// forge appends an entry behind the newest checkpoint, as somebody without the PIN can: its hashes continue the tree, the rows fit, and so
// does the mark.
func (b *testRegistry) forge(e audit.Entry, statements ...string) (seq int64) {
	b.t.Helper()
	db, err := sql.Open("sqlite3", b.path)
	b.must(err)
	defer func() { b.must(db.Close()) }()
	db.SetMaxOpenConns(1)
	conn, err := db.Conn(context.Background())
	b.must(err)
	defer func() { b.must(conn.Close()) }()
	log, err := audit.Open(b.t.Context(), conn, audit.Config{Station: "line-1", Now: b.now, Random: rand.Reader, ClockBound: 100 * time.Hour})
	b.must(err)
	defer func() { b.must(log.Close()) }()
	batch := log.Begin()
	written, err := batch.Append(b.t.Context(), e)
	b.must(err)
	for _, statement := range statements {
		_, err := conn.ExecContext(b.t.Context(), statement, sql.Named("seq", written.Seq), sql.Named("ts", written.Time.String()))
		b.must(err)
	}
	m, err := newMark(MarkOf(b.path), batch.Head())
	b.must(err)
	b.must(m.close(batch.Head()))
	return written.Seq
}

// newest gives the newest entry of a type.
func (b *testRegistry) newest(kind string) (found audit.Entry) {
	b.t.Helper()
	_, err := b.VerifyEach(b.t.Context(), b.vkey, func(e audit.Entry) error {
		if e.Type == kind {
			found = e
		}
		return nil
	})
	b.must(err)
	return found
}

// startedWith opens the registry with facts for the entry of the start.
func (b *testRegistry) startedWith(facts map[string]string) {
	b.t.Helper()
	b.must(b.Shutdown())
	config := b.config()
	config.Startup = facts
	var err error
	b.Registry, err = Open(b.t.Context(), config)
	b.must(err)
	b.t.Cleanup(func() { _ = b.Shutdown() })
}

// withoutTimes writes T for each time.
func withoutTimes(text string) string {
	return regexp.MustCompile(`\d{4}-\d\d-\d\dT[0-9:.]+Z`).ReplaceAllString(text, "T")
}

// An act that gives rights is believed only under a checkpoint: a start that finds one behind the newest checkpoint signs nothing, names the act, and says
// what to do. An operator may accept the act, on record.
func TestAnActBehindTheNewestCheckpointIsNotBelieved(t *testing.T) {
	ann, order := actor("ann"), &audit.WorkOrder{ID: "WO-1", Product: "sensor", Quota: 5}
	raised := &audit.WorkOrder{ID: "WO-1", Product: "sensor", Quota: 5000}
	for _, test := range []struct {
		name       string
		act        func(t *testing.T, held devices.BoardID) audit.Entry
		statements []string
		words      string
	}{
		{"a work order that nobody opened", func(*testing.T, devices.BoardID) audit.Entry {
			return audit.Entry{Category: audit.CategoryConfig, Type: audit.TypeOrderOpened, WorkOrder: &audit.WorkOrder{ID: "WO-2", Product: "sensor", Quota: 700}}
		}, []string{`INSERT INTO work_orders (id, product, quota, opened) VALUES ('WO-2', 'sensor', 700, :ts)`}, "order.opened by ann at T, work order WO-2 for 700 boards"},
		{"a quota that nobody raised", func(*testing.T, devices.BoardID) audit.Entry {
			return audit.Entry{Category: audit.CategoryConfig, Type: audit.TypeOrderRaised, WorkOrder: raised, Details: map[string]string{"from": "5"}}
		}, []string{`UPDATE work_orders SET quota = 5000`}, "order.raised by ann at T, work order WO-1 for 5000 boards"},
		{"a revision that no owner signed", func(*testing.T, devices.BoardID) audit.Entry {
			return audit.Entry{Category: audit.CategoryConfig, Type: audit.TypeOrderRevised, WorkOrder: raised}
		}, []string{`UPDATE work_orders SET quota = 5000`}, "order.revised by ann at T, work order WO-1 for 5000 boards"},
		{"a profile that nobody adopted", func(t *testing.T, held devices.BoardID) audit.Entry {
			return audit.Entry{Category: audit.CategoryConfig, Type: typeProfileAdopted, Details: Profiles{TLS: profileNamed(t, "two")}.details()}
		}, []string{`INSERT INTO state VALUES ('profiles', :seq) ON CONFLICT (key) DO UPDATE SET value = :seq`}, "profile.adopted by ann at T, profile two with the digest"},
		{"a bay that nobody acknowledged", func(*testing.T, devices.BoardID) audit.Entry {
			return audit.Entry{Category: audit.CategoryLine, Type: typeBayAcknowledged, Details: map[string]string{"bay": "bay-1"}}
		}, []string{`UPDATE bays SET stopped = NULL WHERE name = 'bay-1'`}, "bay.acknowledged by ann at T, bay bay-1"},
		{"a board that nobody released", func(t *testing.T, held devices.BoardID) audit.Entry {
			return holdEntry(typeReleased, held, "checked", "ann")
		}, []string{`UPDATE holds SET since = NULL, reason = 'checked'`}, "board.released by ann at T, board "},
		{"a board that nobody marked for a rework", func(t *testing.T, held devices.BoardID) audit.Entry {
			e := holdEntry(typeMarked, held, "antenna", "ann")
			e.Details = map[string]string{detailPurpose: devices.PurposeTLS.String()}
			return e
		}, []string{`INSERT INTO reworks (board_id, purpose, since, reason, entry) SELECT board_id, 'tls', :ts, 'antenna', :seq FROM holds`}, "board.rework.marked by ann at T, board "},
		{"a registry that nobody accepted", func(*testing.T, devices.BoardID) audit.Entry {
			return audit.Entry{Category: audit.CategoryLog, Type: typeAccepted, Reason: "anchor-other", Details: map[string]string{"mark_size": "2", "mark_root": strings.Repeat("0", 64)}}
		}, nil, "log.accepted by ann at T, anchor-other"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newTestRegistry(t)
			b.must(b.OpenOrder(t.Context(), NewOrder{ID: order.ID, Product: order.Product, Quota: order.Quota}, "ann"))
			b.stopBay(b.run())
			held := b.enrol(b.run()).BoardID
			b.holds(Which{BoardID: held})
			b.must(b.Checkpoint(t.Context(), origin, b.key))
			b.must(b.Shutdown())
			e := test.act(t, held)
			e.Actor, e.Outcome = ann, audit.Success
			seq := b.forge(e, test.statements...)
			b.open() // a command that signs nothing works
			err := b.CheckActs(t.Context())
			if !errors.Is(err, ErrActsUnsigned) || !strings.Contains(withoutTimes(err.Error()), test.words) {
				t.Errorf("got %v", err)
			}
			if err := b.Checkpoint(t.Context(), origin, b.key); !errors.Is(err, ErrActsUnsigned) {
				t.Errorf("a checkpoint: got %v", err)
			}
			if next := WaysOut(err); !slices.ContainsFunc(next, func(way string) bool { return strings.Contains(way, "station accept-registry") }) {
				t.Errorf("the ways out are %q", next)
			}
			b.must(b.Shutdown())
			config := b.config()
			config.AcceptRegistry = "bob"
			b.Registry, err = Open(t.Context(), config)
			b.must(err)
			b.must(b.CheckActs(t.Context()))
			b.must(b.Checkpoint(t.Context(), origin, b.key))
			b.verify()
			if accepted := b.newest(typeAccepted); accepted.Actor.ID != "bob" || accepted.Reason != "acts-unsigned" || accepted.Details["entries"] != strconv.FormatInt(seq, 10) {
				t.Errorf("the entry is %+v", accepted)
			}
			b.reopen()
			b.must(b.CheckActs(t.Context()))
		})
	}
}

// The acts of a process are signed by its next checkpoint. A start after a crash between both names them.
func TestAnActIsCoveredByTheNextCheckpointOfItsProcess(t *testing.T) {
	b := newTestRegistry(t)
	if b.ActsUncovered() {
		t.Error("a new registry has an act")
	}
	b.must(b.OpenOrder(t.Context(), NewOrder{ID: "WO-1", Product: "sensor", Quota: 5}, "ann"))
	select {
	case <-b.Acts():
	default:
		t.Error("nobody is told of the act")
	}
	if !b.ActsUncovered() {
		t.Error("the act needs no checkpoint")
	}
	b.must(b.CheckActs(t.Context()))
	b.must(b.Checkpoint(t.Context(), origin, b.key))
	if b.ActsUncovered() {
		t.Error("the checkpoint does not cover the act")
	}
	b.enrol(b.run())
	if len(b.Acts()) != 0 || b.ActsUncovered() {
		t.Error("a Run is an act of a person")
	}
	b.must(b.CloseOrder(t.Context(), "WO-1", "ann"))
	if !b.ActsUncovered() {
		t.Error("a closed order needs no checkpoint")
	}
	b.reopen()
	b.must(b.CheckActs(t.Context())) // the act takes rights
}

// An entry behind the newest checkpoint that only names a work order gives no quota.
func TestOnlyAnActGivesAQuota(t *testing.T) {
	b := newTestRegistry(t)
	b.must(b.OpenOrder(t.Context(), NewOrder{ID: "WO-1", Product: "sensor", Quota: 5}, "ann"))
	b.must(b.Checkpoint(t.Context(), origin, b.key))
	b.must(b.Shutdown())
	b.forge(audit.Entry{Actor: audit.Itself(), Category: audit.CategoryIssuance, Type: "cert.issue.denied", Outcome: audit.Denied,
		WorkOrder: &audit.WorkOrder{ID: "WO-1", Product: "sensor", Quota: 5000}}, `UPDATE work_orders SET quota = 5000`)
	b.open()
	run := newRun(devices.BoardID(uuid.New()), "hardware")
	run.Order = "WO-1"
	if err := b.Admit(t.Context(), run); !errors.Is(err, ErrDiffers) || !strings.Contains(err.Error(), "quota of 5000, and the newest entry that a person gave it one has 5") {
		t.Errorf("got %v", err)
	}
}

// An acceptance behind the newest checkpoint makes no anchor fit.
func TestAnAcceptanceBehindTheNewestCheckpointDoesNotCount(t *testing.T) {
	b := newTestRegistry(t)
	seen := audit.Head{Size: 20000, Root: tlog.Hash{1}}
	b.must(b.Shutdown())
	b.forge(audit.Entry{Actor: actor("ann"), Category: audit.CategoryLog, Type: typeAccepted, Outcome: audit.Success,
		Details: map[string]string{"mark_size": "20000", "mark_root": hex.EncodeToString(seen.Root[:])}})
	b.open()
	if err := b.FitsAnchor(t.Context(), seen); !errors.Is(err, ErrAnchorOlder) {
		t.Errorf("got %v", err)
	}
	b.must(b.Shutdown())
	config := b.config()
	config.AcceptRegistry = "ann"
	var err error
	b.Registry, err = Open(t.Context(), config)
	b.must(err)
	b.must(b.CheckActs(t.Context()))
	b.must(b.Checkpoint(t.Context(), origin, b.key))
	b.must(b.FitsAnchor(t.Context(), seen))
}

// A start compares its facts with those of a start that a checkpoint covers: an entry behind the checkpoint could hide a change.
func TestAnEntryBehindTheNewestCheckpointHidesNoChange(t *testing.T) {
	b := newTestRegistry(t)
	b.startedWith(map[string]string{"badges_sha256": "old"})
	b.must(b.Checkpoint(t.Context(), origin, b.key))
	b.must(b.Shutdown())
	b.forge(audit.Entry{Actor: audit.Itself(), Category: audit.CategoryLog, Type: typeStartup, Outcome: audit.Success,
		Details: map[string]string{"badges_sha256": "new"}}, `UPDATE state SET value = :seq WHERE key = 'startup'`)
	b.startedWith(map[string]string{"badges_sha256": "new"})
	if started := b.newest(typeStartup); started.Details["changed"] != "badges_sha256" {
		t.Errorf("the start says %v", started.Details)
	}
	b.must(b.Checkpoint(t.Context(), origin, b.key))
	b.verify()
}

// An accepted step of the clock behind the newest checkpoint does not set the time back, and no entry there does.
func TestNoEntryBehindTheNewestCheckpointSetsTheTimeBack(t *testing.T) {
	for name, e := range map[string]audit.Entry{
		"an accepted step": {Category: audit.CategorySystem, Type: audit.TypeClockStep, Outcome: audit.Success},
		"another entry":    {Category: audit.CategorySystem, Type: "hsm.open", Outcome: audit.Success},
	} {
		t.Run(name, func(t *testing.T) {
			b := newTestRegistry(t)
			b.must(b.Shutdown())
			behind := time.Now().Add(-24 * time.Hour)
			b.now = func() time.Time { return behind }
			e.Actor = actor("ann")
			step := audit.Entry{Actor: e.Actor, Category: audit.CategorySystem, Type: audit.TypeClockStep, Outcome: audit.Success}
			b.forge(step)
			if e.Type != step.Type {
				b.forge(e)
			}
			if _, err := Open(t.Context(), b.config()); !errors.Is(err, audit.ErrClockBack) {
				t.Errorf("got %v", err)
			}
		})
	}
}
