package registry

import (
	"database/sql"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"

	"hallmark/devices"
	"hallmark/station/audit"
)

// rewrite changes the bodies of entries below the newest checkpoint, and leaves their hashes, as somebody without the audit key
// must. Then it runs statements.
func (b *testRegistry) rewrite(change func(body string) string, statements ...string) {
	b.t.Helper()
	db, err := sql.Open("sqlite3", b.path)
	b.must(err)
	defer func() { b.must(db.Close()) }()
	db.SetMaxOpenConns(1)
	rows, err := db.Query(`SELECT seq, body FROM audit_entry ORDER BY seq`)
	b.must(err)
	type entry struct {
		seq  int64
		body []byte
	}
	all, err := collect(rows, func(e *entry) []any { return []any{&e.seq, &e.body} })
	b.must(err)
	fixed := b.trigger("audit_entry_fixed")
	_, err = db.Exec(`DROP TRIGGER audit_entry_fixed`)
	b.must(err)
	changed := 0
	for _, e := range all {
		if now := change(string(e.body)); now != string(e.body) {
			changed++
			_, err := db.Exec(`UPDATE audit_entry SET body = ? WHERE seq = ?`, []byte(now), e.seq)
			b.must(err)
		}
	}
	for _, statement := range append(statements, fixed) {
		_, err := db.Exec(statement)
		b.must(err)
	}
	if changed == 0 {
		b.t.Fatal("no entry was changed")
	}
}

// A start does not read the whole log. It believes no entry whose hash is not in the tree: otherwise somebody without the PIN
// writes what the station then signs by.
func TestAnEntryThatIsNotInTheTreeIsNotBelieved(t *testing.T) {
	replaced := func(old, now string) func(string) string {
		return func(body string) string { return strings.Replace(body, old, now, 1) }
	}
	one, two := profileNamed(t, "one"), profileNamed(t, "two")
	digest := func(p interface{ SHA256() [32]byte }) string {
		sum := p.SHA256()
		return hex.EncodeToString(sum[:])
	}
	for _, test := range []struct {
		name       string
		change     func(body string) string
		statements []string
		use        func(b *testRegistry) error
	}{
		{"the adopted profile", replaced(digest(one), digest(two)), nil,
			func(b *testRegistry) error { return b.Adopted(b.t.Context(), Profiles{TLS: two}) }},
		{"the facts of the newest start", replaced(`"type":"log.startup"`, `"type":"log.startup" `), nil, nil},
		{"the quota of a work order", replaced(`"quota":5`, `"quota":9`),
			[]string{`UPDATE work_orders SET quota = 9`},
			func(b *testRegistry) error {
				run := newRun(devices.BoardID(uuid.New()), "hardware")
				run.Order = "WO-1"
				return b.Admit(b.t.Context(), run)
			}},
		{"the images of a work order", replaced(`"lot":"L7"`, `"lot":"L8"`), nil,
			func(b *testRegistry) error {
				run := newRun(devices.BoardID(uuid.New()), "hardware")
				run.Order = "WO-1"
				return b.Admit(b.t.Context(), run)
			}},
		{"an acknowledgement of a bay", func(body string) string {
			if !strings.Contains(body, `"details":{"bay":"bay-7"}`) {
				return body
			}
			return strings.Replace(body, `"bay-7"`, `"bay-1"`, 1)
		}, []string{`UPDATE bays SET stopped = NULL WHERE name = 'bay-1'`}, nil},
		{"a bay that was stopped", func(body string) string {
			if !strings.Contains(body, `"bay":"bay-1"`) {
				return body
			}
			return strings.Replace(body, `"type":"bay.stopped"`, `"type":"bay.stoppee"`, 1)
		}, []string{`DELETE FROM bays WHERE name = 'bay-1'`}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newTestRegistry(t)
			b.restart(Profiles{TLS: one})
			b.must(b.OpenOrder(t.Context(), NewOrder{ID: "WO-1", Product: "sensor", Quota: 5, Lot: "L7"}, "ann"))
			other := newRun(devices.BoardID(uuid.New()), "hardware")
			other.Bay = "bay-7"
			b.must(b.Admit(t.Context(), other))
			b.stopBay(other)
			b.stopBay(b.run())
			b.must(b.AcknowledgeBay(t.Context(), "bay-7", "ann"))
			b.must(b.Checkpoint(t.Context(), origin, b.key))
			b.must(b.Shutdown())
			b.rewrite(test.change, test.statements...)
			config := b.config()
			var err error
			if b.Registry, err = Open(t.Context(), config); err == nil {
				if test.use != nil {
					err = test.use(b)
				}
				b.must(b.Shutdown())
			}
			if !errors.Is(err, audit.ErrEntry) && !errors.Is(err, audit.ErrHash) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// An acceptance that nobody wrote makes no anchor fit.
func TestAnAcceptanceThatIsNotInTheTreeIsNotBelieved(t *testing.T) {
	b := newTestRegistry(t)
	b.must(b.note(t.Context(), audit.Entry{Actor: audit.Itself(), Category: audit.CategoryLog, Type: typeAccepted, Outcome: audit.Success,
		Details: map[string]string{"mark_size": "10000", "mark_root": strings.Repeat("0", 64)}}))
	b.must(b.Checkpoint(t.Context(), origin, b.key))
	b.must(b.Shutdown())
	seen := audit.Head{Size: 20000, Root: tlog.Hash{1}}
	b.rewrite(func(body string) string {
		return strings.Replace(strings.Replace(body, `"10000"`, `"20000"`, 1), strings.Repeat("0", 64), hex.EncodeToString(seen.Root[:]), 1)
	})
	b.open()
	if err := b.FitsAnchor(t.Context(), seen); !errors.Is(err, audit.ErrHash) {
		t.Errorf("got %v", err)
	}
}

// A log has the roots of its newest checkpoint and of its mark, and does not continue the one with the other: the hashes that
// the checkpoint needs are those of the old log, the hashes behind it those of a new one. The station would sign the new log.
func TestALogThatDoesNotContinueItsCheckpointIsRefused(t *testing.T) {
	b := newTestRegistry(t)
	for b.log.Head().Size != 7 { // one short of a full tree: its root is one stored hash
		b.must(b.note(t.Context(), audit.Entry{Actor: audit.Itself(), Category: audit.CategorySystem, Type: "hsm.open", Outcome: audit.Success}))
	}
	b.must(b.Shutdown()) // the entry of the shutdown is the last one
	db, err := sql.Open("sqlite3", b.path)
	b.must(err)
	var size int64
	b.must(db.QueryRow(`SELECT count(*) FROM audit_entry`).Scan(&size))
	b.must(db.Close())
	if size != 8 {
		t.Fatalf("%d entries", size)
	}
	forged := tlog.Hash{7}
	b.tamper(`DROP TRIGGER audit_entry_fixed`, `UPDATE audit_entry SET hashes = CAST(substr(hashes, 1, 96) || x'`+hex.EncodeToString(forged[:])+`' AS BLOB) WHERE seq = 7`, b.trigger("audit_entry_fixed"))
	m, err := newMark(MarkOf(b.path), audit.Head{Size: size, Root: forged})
	b.must(err)
	b.must(m.file.Close())
	r, err := Open(t.Context(), b.config())
	if err == nil {
		b.must(r.Shutdown())
	}
	if !errors.Is(err, audit.ErrRoot) {
		t.Errorf("got %v", err)
	}
}

// The number of checkpoints in an entry is held against those that are stored, by a verification too.
func TestAVerificationCountsTheCheckpoints(t *testing.T) {
	b := newTestRegistry(t)
	made := checkpointEntry(audit.TypeCheckpoint, audit.Success)
	size, _, err := audit.Newest(t.Context(), b.db)
	b.must(err)
	made.Details = map[string]string{"size": strconv.FormatInt(size, 10), "notes": "7"}
	b.must(b.note(t.Context(), made))
	if _, err := b.VerifyAudit(t.Context(), b.vkey); !errors.Is(err, audit.ErrCheckpointMissing) {
		t.Errorf("got %v", err)
	}
}
