package manage

import (
	"bytes"
	"database/sql"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hallmark/fixtures"
	"hallmark/station/audit"
	"hallmark/station/instance"
	"hallmark/station/registry"
	"hallmark/station/workdir"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// upgraded makes the directory of a station whose registry an older program has written.
func upgraded(t *testing.T, dump string) workdir.Dir {
	t.Helper()
	dir := fixtures.NewDirectory(t)
	for _, suffix := range []string{"", "-wal", "-shm"} {
		must(t, os.RemoveAll(dir.Registry()+suffix))
	}
	must(t, os.RemoveAll(registry.MarkOf(dir.Registry())))
	db := fixtures.Must(sql.Open("sqlite3", dir.Registry()))(t)
	_, err := db.Exec(string(fixtures.Must(os.ReadFile(dump))(t)))
	must(t, err)
	var body []byte
	must(t, db.QueryRow(`SELECT body FROM audit_entry WHERE seq = 0`).Scan(&body))
	must(t, db.Close())
	must(t, os.Chmod(dir.Registry(), 0o600))
	genesis := fixtures.Must(audit.Decode(body))(t)
	key := strings.SplitN(genesis.Details["vkey"], "+", 3)[2]
	spki := fixtures.Must(base64.StdEncoding.DecodeString(key))(t)[1:] // behind the octet of the algorithm
	must(t, os.WriteFile(dir.AuditPublic(), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}), 0o644))
	return dir
}

// commandsFor gives the commands for a directory, and what they print.
func commandsFor(dir workdir.Dir) (*Commands, *bytes.Buffer) {
	text, out := string(dir), &bytes.Buffer{}
	return &Commands{Dir: &text, Stdout: out}, out
}

func says(t *testing.T, out *bytes.Buffer, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(out.String(), text) {
			t.Errorf("%q is missing in:\n%s", text, out)
		}
	}
	out.Reset()
}

func TestMigrateBringsARegistryToTheNewestSchema(t *testing.T) {
	dir := upgraded(t, "../registry/testdata/schema2.sql")
	c, out := commandsFor(dir)
	before := fixtures.Must(os.ReadFile(dir.Registry()))(t)
	// 1. A dry run says what would be done, and does nothing.
	must(t, c.migrateIn(t.Context(), true))
	says(t, out, "registry.db has schema 2, and this program works with schema 12: 10 steps", "\n   3  every Run that met a board has a row", "MiB are free", dir.Registry()+".schema2", "way back")
	if after := fixtures.Must(os.ReadFile(dir.Registry()))(t); !bytes.Equal(before, after) || len(fixtures.Must(filepath.Glob(dir.Registry()+".schema*"))(t)) > 0 {
		t.Error("a dry run changed the directory")
	}
	// 2. The command does it, on record.
	must(t, c.migrateIn(t.Context(), false))
	says(t, out, "10 steps", " s  copying registry.db to "+dir.Registry()+".schema2\n", " s  step to schema 3: every Run that met a board has a row",
		" s  step to schema 12: ", " s  checking that each row names rows that are there\n", "registry.db has schema 12 now")
	if log := string(fixtures.Must(os.ReadFile(dir.LogFile()))(t)); !strings.Contains(log, "step to schema 12") {
		t.Errorf("the log says nothing of the steps:\n%s", log)
	}
	if !fixtures.HasEntry(t, dir, "log.migrated", "station", map[string]string{"from": "2", "to": "12", "copy": "registry.db.schema2"}) {
		t.Error("no entry about the migration")
	}
	if info, err := os.Stat(dir.Registry() + ".schema2"); err != nil || info.Mode() != 0o600 {
		t.Errorf("the copy: %v, %v", info, err)
	}
	// 3. A second one does nothing.
	size := len(fixtures.Entries(t, dir))
	must(t, c.migrateIn(t.Context(), false))
	says(t, out, "there is nothing to migrate")
	if now := len(fixtures.Entries(t, dir)); now != size {
		t.Errorf("%d entries, %d before", now, size)
	}
}

func TestMigrateRefusesAStationThatRunsAndANewerRegistry(t *testing.T) {
	dir := upgraded(t, "../registry/testdata/schema2.sql")
	c, out := commandsFor(dir)
	files := fixtures.Must(instance.OpenFiles(dir, instance.Options{}))(t)
	record := fixtures.Must(files.OpenRecord(t.Context()))(t) // a station that has not begun yet
	if err := c.migrateIn(t.Context(), false); !errors.Is(err, registry.ErrLocked) {
		t.Errorf("got %v", err)
	}
	must(t, c.migrateIn(t.Context(), true))
	out.Reset()
	must(t, record.Begin(t.Context()))
	must(t, files.Close())

	db := fixtures.Must(sql.Open("sqlite3", dir.Registry()))(t)
	_, err := db.Exec(`PRAGMA user_version = 99`)
	must(t, errors.Join(err, db.Close()))
	for _, dry := range []bool{true, false} {
		if err := c.migrateIn(t.Context(), dry); !errors.Is(err, registry.ErrSchema) || !strings.Contains(err.Error(), "it has schema 99, this station knows 12; install the newer version") || out.Len() > 0 {
			t.Errorf("got %v", err)
		}
	}
}

func TestMigrateNeedsARegistry(t *testing.T) {
	dir := upgraded(t, "../registry/testdata/schema2.sql")
	must(t, os.Remove(dir.Registry()))
	c, _ := commandsFor(dir)
	if err := c.migrateIn(t.Context(), true); err == nil || !strings.Contains(err.Error(), "registry.db is missing; restore it") {
		t.Errorf("got %v", err)
	}
}
