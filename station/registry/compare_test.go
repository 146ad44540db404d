package registry

import (
	"context"
	"database/sql"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"hallmark/station/audit"
)

// contents gives the octets of all files in the directory of the registry, but for the index of
// the write-ahead log, which readers write, too.
func (b *testRegistry) contents() map[string]string {
	b.t.Helper()
	all := map[string]string{}
	for _, entry := range mustList(b.t, filepath.Dir(b.path)) {
		if strings.HasSuffix(entry.Name(), "-shm") {
			continue
		}
		content, err := os.ReadFile(filepath.Join(filepath.Dir(b.path), entry.Name()))
		b.must(err)
		if len(content) > 0 { // a reader makes an empty write-ahead log
			all[entry.Name()] = string(content)
		}
	}
	return all
}

func mustList(t testing.TB, folder string) []os.DirEntry {
	t.Helper()
	entries, err := os.ReadDir(folder)
	must(t, err)
	return entries
}

// trigger gives the statement that makes a trigger, to make it again after a change.
func (b *testRegistry) trigger(name string) (text string) {
	b.t.Helper()
	db, err := sql.Open("sqlite3", b.path)
	b.must(err)
	defer db.Close()
	b.must(db.QueryRow(`SELECT sql FROM sqlite_schema WHERE name = ?`, name).Scan(&text))
	return text
}

// A start compares the registry before it writes, so a registry that it refuses stays as it was:
// no entry of the start, no end of an open Run, no migration, no new mark.
func TestARegistryThatIsRefusedStaysAsItWas(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(b *testRegistry, older string)
		want   error
	}{
		{"an older one", func(b *testRegistry, older string) { b.must(os.Rename(older, b.path)) }, ErrOlder},
		{"without its mark", func(b *testRegistry, _ string) { b.must(os.Remove(MarkOf(b.path))) }, ErrMarkMissing},
		{"with another trigger", func(b *testRegistry, _ string) { b.tamper(`DROP TRIGGER run_stays`) }, ErrSchemaChanged},
		{"with a Run that was opened again", func(b *testRegistry, _ string) {
			b.tamper(`DROP TRIGGER run_closed_once`, `UPDATE runs SET ending = NULL, closed = NULL, outcome = NULL, last_entry = NULL, reason = '' WHERE ending = 'pass'`,
				b.trigger("run_closed_once"))
		}, ErrReopened},
		{"an older one of an older schema", func(b *testRegistry, _ string) {
			path, _ := schema2(b.t)
			b.must(os.Rename(path, b.path))
		}, ErrOlder},
		{"with another row about the newest start", func(b *testRegistry, _ string) { b.tamper(`UPDATE state SET value = 0 WHERE key = 'startup'`) }, ErrStartup},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newTestRegistry(t)
			b.reopen() // now there is an entry of a start
			b.enrol(b.run())
			older := filepath.Join(t.TempDir(), "older.db")
			b.must(copyTo(t.Context(), b.writer.conn, older))
			for range 60 { // more entries than the registry of schema 2 has
				b.must(b.Event(t.Context(), Event{Type: "doctor.done", Outcome: audit.Success}))
			}
			b.run() // stays open
			b.must(b.Shutdown())
			test.change(b, older)
			before := b.contents()
			if _, err := Open(t.Context(), b.config()); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			if after := b.contents(); !maps.Equal(before, after) {
				t.Errorf("files %q before, %q after, and their octets differ", slices.Sorted(maps.Keys(before)), slices.Sorted(maps.Keys(after)))
			}
		})
	}
}

// The row about the newest start must name the newest entry of a start: the next start would
// compare its facts with those of another one, and hide the change.
func TestAChangedRowAboutTheNewestStartIsRefused(t *testing.T) {
	for _, statement := range []string{
		`UPDATE state SET value = (SELECT min(seq) FROM audit_entry WHERE instr(body, CAST('"type":"log.startup"' AS BLOB))) WHERE key = 'startup'`,
		`UPDATE state SET value = '0' WHERE key = 'startup'`,
		`UPDATE state SET value = '999999' WHERE key = 'startup'`,
		`UPDATE state SET value = '0' || value WHERE key = 'startup'`,
		`UPDATE state SET value = 'x' WHERE key = 'startup'`,
		`DELETE FROM state WHERE key = 'startup'`,
	} {
		t.Run(statement, func(t *testing.T) {
			b := newTestRegistry(t)
			b.reopen()
			b.reopen()
			b.must(b.Checkpoint(t.Context(), origin, b.key))
			b.must(b.Shutdown())
			b.tamper(statement)
			if _, err := Open(t.Context(), b.config()); !errors.Is(err, ErrStartup) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// Who deletes a checkpoint can append an entry that tells of an older one.
func TestAnEntryAboutAnOlderCheckpointHidesNoDeletedOne(t *testing.T) {
	b := newTestRegistry(t)
	first, _, err := audit.Newest(t.Context(), b.db)
	b.must(err)
	b.enrol(b.run())
	b.must(b.Checkpoint(t.Context(), origin, b.key))
	made := checkpointEntry(audit.TypeCheckpoint, audit.Success)
	made.Details = map[string]string{"size": "1", "notes": "0"}
	b.must(b.note(t.Context(), made))
	b.must(b.Shutdown())
	stays := b.trigger("audit_checkpoint_stays")
	b.tamper(`DROP TRIGGER audit_checkpoint_stays`, `DELETE FROM audit_checkpoint WHERE size > `+strconv.FormatInt(first, 10), stays)
	if _, err := Open(t.Context(), b.config()); !errors.Is(err, audit.ErrCheckpointMissing) {
		t.Errorf("got %v", err)
	}
}

// The checkpoint on the token has refusals of its own, and what it refuses stays as it was.
func TestTheCheckpointOnTheTokenIsComparedBeforeTheRegistryBegins(t *testing.T) {
	for name, test := range map[string]struct {
		seen  func(head audit.Head) audit.Head
		want  error
		words string
	}{
		"of a longer log":    {func(h audit.Head) audit.Head { h.Size += 3; return h }, ErrOlderThanToken, "registry.db is older than the checkpoint on the token"},
		"of another log":     {func(h audit.Head) audit.Head { return audit.Head{Size: h.Size} }, ErrOtherThanToken, "registry.db and the checkpoint on the token are not of one log"},
		"that is not stored": {func(h audit.Head) audit.Head { return h }, audit.ErrCheckpointMissing, "the token has one over"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newTestRegistry(t)
			b.run() // stays open
			b.must(b.Shutdown())
			before := b.contents()
			r, err := Compare(t.Context(), b.config())
			b.must(err)
			err = r.Covers(t.Context(), test.seen(r.log.Head()))
			if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.words) || strings.Contains(err.Error(), "mark") {
				t.Errorf("got %v, want %v", err, test.want)
			}
			if err := r.AcknowledgeBay(t.Context(), "bay-1", "ann"); !errors.Is(err, test.want) {
				t.Errorf("a call that writes: %v", err)
			}
			b.must(r.Shutdown())
			if !maps.Equal(before, b.contents()) {
				t.Error("the registry was changed")
			}
		})
	}
}

// An older registry.db that was put back beside the write-ahead log of a killed station is refused,
// and the write-ahead log, which may hold the only copy of the newest entries, stays.
func TestTheWriteAheadLogStaysBesideARegistryThatIsRefused(t *testing.T) {
	b := newTestRegistry(t)
	older := filepath.Join(t.TempDir(), "older.db")
	b.must(copyTo(t.Context(), b.writer.conn, older))
	for range 40 {
		b.enrol(b.run())
	}
	_, err := b.writer.conn.ExecContext(t.Context(), "PRAGMA wal_checkpoint(TRUNCATE)")
	b.must(err)
	b.must(b.files.remember()) // SQLite has written outside of a COMMIT
	b.enrol(b.run())
	killed := &testRegistry{t: t, path: filepath.Join(t.TempDir(), "registry.db"), key: b.key, now: b.now, vkey: b.vkey}
	for _, suffix := range []string{".db-wal", ".mark"} {
		content, err := os.ReadFile(strings.TrimSuffix(b.path, ".db") + suffix)
		b.must(err)
		b.must(os.WriteFile(strings.TrimSuffix(killed.path, ".db")+suffix, content, 0o600))
	}
	b.must(os.Rename(older, killed.path))
	before := killed.contents()
	if _, err := Open(t.Context(), killed.config()); err == nil {
		t.Fatal("it opens")
	}
	if after := killed.contents(); len(before) < 3 || !maps.Equal(before, after) {
		t.Errorf("files %q before, %q after", slices.Sorted(maps.Keys(before)), slices.Sorted(maps.Keys(after)))
	}
}

// A call that the operator stopped leaves a registry that the next call begins.
func TestARegistryBeginsAfterACallThatWasStopped(t *testing.T) {
	b := newTestRegistry(t)
	b.run() // stays open
	b.must(b.Shutdown())
	r, err := Compare(t.Context(), b.config())
	b.must(err)
	defer func() { b.must(r.Shutdown()) }()
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if err := r.AcknowledgeBay(stopped, "bay-1", "ann"); !errors.Is(err, context.Canceled) || !r.Waits() {
		t.Errorf("a call that was stopped: %v", err)
	}
	if err := r.Begin(t.Context()); err != nil || r.Waits() {
		t.Errorf("the next call: %v", err)
	}
}
