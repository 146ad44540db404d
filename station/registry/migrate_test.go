package registry

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hallmark/fixtures/prerequisite"
	"hallmark/station"
	"hallmark/station/audit"
)

// schema2 makes a registry of schema 2 from testdata. It holds an enrolment of four boards, a
// second visit of two, and a batch that was killed: one Run is open, its certificate delivered.
func schema2(t testing.TB) (path, vkey string) {
	t.Helper()
	return stored(t, "testdata/schema2.sql")
}

// stored makes a registry from testdata.
func stored(t testing.TB, dump string) (path, vkey string) {
	t.Helper()
	statements, err := os.ReadFile(dump)
	must(t, err)
	path = filepath.Join(t.TempDir(), "registry.db")
	db, err := sql.Open("sqlite3", path)
	must(t, err)
	defer func() { must(t, db.Close()) }()
	_, err = db.Exec(string(statements))
	must(t, err)
	var body []byte
	must(t, db.QueryRow(`SELECT body FROM audit_entry WHERE seq = 0`).Scan(&body))
	genesis, err := audit.Decode(body)
	must(t, err)
	return path, genesis.Details["vkey"]
}

func TestARegistryOfSchema2IsMigrated(t *testing.T) {
	path, vkey := schema2(t)
	before, err := os.ReadFile(path)
	must(t, err)
	// 1. A reader reads it as it is, and writes nothing into it.
	reader, err := OpenReader(t.Context(), path)
	must(t, err)
	read, err := reader.VerifyAudit(t.Context(), vkey)
	must(t, err)
	must(t, reader.Close())
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Errorf("reading changed the registry: %v", err)
	}
	// 2. A start migrates it, and keeps a copy.
	r, err := Open(t.Context(), Config{Path: path, Station: "demo"})
	must(t, err)
	report, err := r.VerifyAudit(t.Context(), vkey)
	must(t, err)
	if report.Size <= read.Size {
		t.Errorf("%d entries after the migration, %d before", report.Size, read.Size)
	}
	runs, err := r.SearchRuns(t.Context(), Search{})
	must(t, err)
	counts := map[station.Ending]int{}
	for _, run := range runs {
		counts[run.Ending]++
	}
	if counts[station.Pass] != 10 || counts[station.Fault] != 1 {
		t.Errorf("got %v", counts)
	}
	affected, err := r.Affected(t.Context(), Question{Firmware: "0.1.0"})
	must(t, err)
	if len(affected) != 11 || len(affected[0].FirmwareSHA256) != 64 {
		t.Errorf("%d Runs with the firmware 0.1.0", len(affected))
	}
	migrations := 0
	_, err = r.VerifyEach(t.Context(), vkey, func(e audit.Entry) error {
		if e.Type == typeMigrated && e.Details["from"] == "2" && e.Details["copy"] == "registry.db.schema2" {
			migrations++
		}
		return nil
	})
	must(t, err)
	if migrations != 1 {
		t.Errorf("%d entries about the migration", migrations)
	}
	must(t, r.Shutdown())
	// 3. The copy is whole, and the migrated registry opens again.
	copied, err := OpenReader(t.Context(), path+".schema2")
	must(t, err)
	defer copied.Close()
	if kept, err := copied.VerifyAudit(t.Context(), vkey); err != nil || kept.Head != read.Head {
		t.Errorf("the copy: %+v, %v", kept, err)
	}
	r, err = Open(t.Context(), Config{Path: path, Station: "demo"})
	must(t, err)
	must(t, r.Shutdown())
}

// A start that was killed after the migration and before it made the mark is no reason to refuse the registry.
func TestAMigrationThatWasKilledBeforeTheMarkGoesOn(t *testing.T) {
	path, _ := schema2(t)
	config := Config{Path: path, Station: "demo"}
	must(t, os.MkdirAll(MarkOf(path)+".unfinished/x", 0o700)) // so the mark cannot be made
	if _, err := Open(t.Context(), config); err == nil {
		t.Fatal("it opens")
	}
	must(t, os.RemoveAll(MarkOf(path)+".unfinished"))
	r, err := Open(t.Context(), config)
	must(t, err)
	must(t, r.Shutdown())
}

func TestAMigrationThatEndsInTheMiddleChangesNothing(t *testing.T) {
	path, vkey := schema2(t)
	db, err := sql.Open("sqlite3", path)
	must(t, err)
	_, err = db.Exec(`CREATE TABLE bays (x)`) // the step makes a table of this name
	must(t, errors.Join(err, db.Close()))
	if _, err := Open(t.Context(), Config{Path: path, Station: "demo"}); err == nil {
		t.Fatal("it opens")
	}
	db, err = sql.Open("sqlite3", path)
	must(t, err)
	_, err = db.Exec(`DROP TABLE bays`)
	must(t, errors.Join(err, db.Close()))
	r, err := Open(t.Context(), Config{Path: path, Station: "demo"})
	must(t, err)
	_, err = r.VerifyAudit(t.Context(), vkey)
	must(t, errors.Join(err, r.Shutdown()))
}

// markAsNewest writes the mark that belongs to a registry.
func markAsNewest(t *testing.T, path string) {
	t.Helper()
	db, err := openForReading(path, nil)
	must(t, err)
	size, err := audit.Size(t.Context(), db)
	must(t, err)
	root, err := audit.RootAt(t.Context(), db, size)
	must(t, errors.Join(err, db.Close()))
	mark := encodeSlot(audit.Head{Size: size, Root: root})
	must(t, os.WriteFile(MarkOf(path), append(mark, mark...), 0o600))
}

// The work orders of the registry go on: an open one takes a board, a closed one stays closed. The Run that was open ends.
func TestARegistryOfSchema8IsMigrated(t *testing.T) {
	path, vkey := stored(t, "testdata/schema8.sql")
	markAsNewest(t, path)
	r, err := Open(t.Context(), Config{Path: path, Station: "demo"})
	must(t, err)
	must(t, r.RaiseOrder(t.Context(), "WO-1", 4, "ann"))
	if err := r.CloseOrder(t.Context(), "WO-2", "ann"); !errors.Is(err, station.ErrOrderClosed) {
		t.Errorf("closing a closed order: %v", err)
	}
	orders, err := r.Orders(t.Context(), Filter{})
	must(t, err)
	if len(orders) != 2 || orders[0].Boards != (OrderSums{Certified: 2, Unresolved: 1, Unused: 1}) || orders[1].Boards != (OrderSums{Certified: 1, Unused: 1}) {
		t.Errorf("%+v", orders)
	}
	_, err = r.VerifyAudit(t.Context(), vkey)
	must(t, errors.Join(err, r.Shutdown()))
}

func TestARegistryOfANewerSchemaIsRefusedInWords(t *testing.T) {
	b := newTestRegistry(t)
	b.must(b.Shutdown())
	b.tamper(`PRAGMA user_version = 99`)
	for name, open := range map[string]func() error{
		"start":  func() error { _, err := Open(t.Context(), b.config()); return err },
		"reader": func() error { _, err := OpenReader(t.Context(), b.path); return err },
	} {
		if err := open(); !errors.Is(err, ErrSchema) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Schema 2 had no mark. Each later schema has one, so whoever takes the mark away takes away what the registry is compared with.
func TestARegistryOfAnOlderSchemaWithoutItsMarkIsRefused(t *testing.T) {
	for _, dump := range []string{"testdata/schema6.sql", "testdata/schema8.sql", "testdata/schema9.sql", "testdata/schema10.sql", "testdata/schema11.sql"} {
		t.Run(dump, func(t *testing.T) {
			path, vkey := stored(t, dump)
			reader, err := OpenReader(t.Context(), path)
			must(t, err)
			_, verified := reader.VerifyAudit(t.Context(), vkey)
			note, err := reader.LastCheckpoint(t.Context())
			must(t, err)
			_, anchored := reader.VerifyAudit(t.Context(), vkey, note)
			must(t, reader.Close())
			_, opened := Open(t.Context(), Config{Path: path, Station: "demo"})
			_, copied := Backup(t.Context(), path, filepath.Join(t.TempDir(), "registry.db"), noPause)
			for name, err := range map[string]error{"verifying": verified, "opening": opened, "copying": copied} {
				if !errors.Is(err, ErrMarkMissing) {
					t.Errorf("%s: %v", name, err)
				}
			}
			if anchored != nil {
				t.Errorf("an anchor says more than the mark: %v", anchored)
			}
			markAsNewest(t, path)
			_, err = Backup(t.Context(), path, filepath.Join(t.TempDir(), "registry.db"), noPause)
			must(t, err)
		})
	}
}

// The copy that a migration keeps lies beside the registry. Whoever puts it back puts back an older registry.
func TestARegistryOfAnOlderSchemaThatIsOlderThanItsMarkIsRefused(t *testing.T) {
	for _, dump := range []string{"testdata/schema2.sql", "testdata/schema9.sql", "testdata/schema10.sql", "testdata/schema11.sql"} {
		t.Run(dump, func(t *testing.T) {
			path, vkey := stored(t, dump)
			if !strings.Contains(dump, "schema2") {
				markAsNewest(t, path)
			}
			config := Config{Path: path, Station: "demo"}
			r, err := Open(t.Context(), config)
			must(t, err)
			must(t, r.Shutdown())
			kept, err := filepath.Glob(path + ".schema*")
			must(t, err)
			must(t, os.Rename(kept[0], path))
			reader, err := OpenReader(t.Context(), path)
			must(t, err)
			defer reader.Close()
			if _, err := reader.VerifyAudit(t.Context(), vkey); !errors.Is(err, ErrOlder) && !errors.Is(err, ErrOther) {
				t.Errorf("verifying: %v", err)
			}
			if _, err := Open(t.Context(), config); !errors.Is(err, ErrOlder) {
				t.Errorf("opening: %v", err)
			}
		})
	}
}

// The stored databases of all schemas, from the oldest on.
var storedSchemas = []string{"schema2", "schema6", "schema8", "schema9", "schema9_profiles", "schema10", "schema11"}

func sizeOf(t *testing.T, paths ...string) (sum uint64) {
	t.Helper()
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil {
			sum += uint64(info.Size())
		}
	}
	return sum
}

// What the plan says is what the start does: the steps, the copy, and no more space than it names.
func TestAMigrationDoesWhatItsPlanSays(t *testing.T) {
	for _, name := range storedSchemas {
		t.Run(name, func(t *testing.T) {
			path, _ := stored(t, "testdata/"+name+".sql")
			markAsNewest(t, path)
			before, err := os.ReadFile(path)
			must(t, err)
			todo, err := PlanMigration(t.Context(), path)
			must(t, err)
			if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
				t.Errorf("planning changed the registry: %v", err)
			}
			if todo.To != schemaVersion || len(todo.Steps) != todo.To-todo.From || todo.Size != uint64(len(before)) || todo.Free < todo.Required {
				t.Errorf("%+v", todo)
			}
			for i, step := range todo.Steps {
				if step.Schema != todo.From+1+i || step.What == "" || strings.Contains(step.What, ". ") {
					t.Errorf("%+v", step)
				}
			}
			r, err := Open(t.Context(), Config{Path: path, Station: "demo"})
			must(t, err)
			used := sizeOf(t, path, path+"-wal", todo.Copy) - todo.Size
			must(t, r.Shutdown())
			if copied := sizeOf(t, todo.Copy); copied == 0 || used > todo.Required {
				t.Errorf("the copy has %d octets; %d octets more than before, %d were announced", copied, used, todo.Required)
			}
			again, err := PlanMigration(t.Context(), path)
			must(t, err)
			if again.From != schemaVersion || len(again.Steps) != 0 || again.Required != 0 || !strings.Contains(again.Text(), "nothing to migrate") {
				t.Errorf("%+v", again)
			}
		})
	}
}

func TestAPlanRefusesWhatAStartRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change, says string
		want         error
	}{
		"a newer registry":   {`PRAGMA user_version = 99`, "install the newer version of the station", ErrSchema},
		"a changed schema":   {`DROP INDEX runs_admitted`, "runs_admitted is missing", ErrSchemaChanged},
		"another's database": {`PRAGMA application_id = 7`, "application id", ErrSchema},
	} {
		t.Run(name, func(t *testing.T) {
			path, _ := schema2(t)
			db, err := sql.Open("sqlite3", path)
			must(t, err)
			_, err = db.Exec(c.change)
			must(t, errors.Join(err, db.Close()))
			if _, err := PlanMigration(t.Context(), path); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// A disk without room for the copy is named before anything is written, and nothing is left on it.
func TestAMigrationWithoutRoomChangesNothing(t *testing.T) {
	path, _ := schema2(t)
	small := filepath.Join(prerequisite.SmallDisk(t, "1m"), "registry.db")
	must(t, copyFile(path, small))
	_, err := Open(t.Context(), Config{Path: small, Station: "demo"})
	if !errors.Is(err, ErrDiskFull) || !strings.Contains(err.Error(), "MiB are free") {
		t.Errorf("got %v", err)
	}
	if left, err := filepath.Glob(small + ".schema*"); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	todo, err := PlanMigration(t.Context(), small)
	must(t, err)
	if todo.From != oldestSchema || !errors.Is(todo.HasRoom(), ErrDiskFull) {
		t.Errorf("%+v", todo)
	}
}
