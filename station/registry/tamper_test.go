package registry

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"hallmark/devices"
	"hallmark/station"
	"hallmark/station/audit"
)

// evidence has each column of each table. The test fails when a column is missing here.
var evidence = map[string][]string{
	"state":            {"key", "value"},
	"work_orders":      {"id", "product", "quota", "counted", "opened", "closed"},
	"boards":           {"id", "hardware_id", "type", "first_seen", "scrapped"},
	"keys":             {"spki_sha256", "board_id", "purpose", "algorithm"},
	"runs":             {"id", "board_id", "purpose", "hardware_id", "bay", "operator", "work_order", "rework", "begun", "admitted", "closed", "ending", "reason", "outcome", "first_entry", "last_entry", "board_type", "firmware", "firmware_sha256", "huk", "probe", "target", "flashed_sha256"},
	"locks":            {"board_id", "run", "probe", "target", "kind", "recipe_sha256", "key", "state", "changed"},
	"certificates":     {"serial", "board_id", "purpose", "spki_sha256", "issuer_sha256", "profile", "profile_sha256", "tbs_sha256", "csr_sha256", "not_before", "not_after", "rework", "run", "work_order", "intended", "changed", "status", "reason", "sha256", "der"},
	"bays":             {"name", "stopped", "reason", "board_id", "run"},
	"holds":            {"board_id", "since", "reason"},
	"reworks":          {"board_id", "purpose", "since", "reason", "entry"},
	"audit_entry":      {"seq", "body", "hashes"},
	"audit_checkpoint": {"size", "note"},
	"timestamps":       {"size", "sha256", "answer"},
	"cosignatures":     {"size", "signer", "line"},
	"archives":         {"until", "first", "entry", "root", "sha256", "sums_sha256", "removed_sha256"},
}

// namedErrors has the errors that VerifyAudit may give for a change.
var namedErrors = []error{
	ErrDiffers, audit.ErrEntry, audit.ErrGap, audit.ErrHash, audit.ErrRoot, audit.ErrNoGenesis,
	audit.ErrOtherKey, audit.ErrRolledBack, audit.ErrCheckpointSignature, audit.ErrCheckpointText, audit.ErrCheckpointMissing, ErrOlder, ErrOther, ErrArchiveOther,
}

// TestEveryTamperingShows changes one value in each column of each row, by one octet where
// the value has octets, and then removes each row. Each time VerifyAudit must refuse.
func TestEveryTamperingShows(t *testing.T) {
	b := newTestRegistry(t)
	b.everything()
	b.must(b.Shutdown())
	b.everyTampering()
}

// everything fills each table.
func (b *testRegistry) everything() {
	t := b.t
	t.Helper()
	b.must(b.OpenOrder(t.Context(), NewOrder{ID: "WO-1", Product: "sensor", Quota: 5}, "ann"))
	run := b.run()
	b.enrol(run)
	ordered := again(run, "repair")
	ordered.Order, ordered.Operator = "WO-1", "ann"
	b.must(b.Admit(t.Context(), ordered))
	b.enrol(ordered)
	locked := b.run()
	b.toLock(locked)
	locked.Lock.State, locked.Ending = station.LockLocked, station.Pass
	b.must(b.LockRead(t.Context(), locked))
	b.must(b.closeRun(t.Context(), locked))
	b.stopBay(b.run())
	b.wantsLabel("1")
	b.readsLabel("1")
	b.wantsLabel("2")
	b.holds(Which{BoardID: locked.Identity.ID})
	b.holds(Which{BoardID: run.Identity.ID})
	b.releases(Which{BoardID: run.Identity.ID})
	b.marks(Which{BoardID: run.Identity.ID})
	spent := b.run()
	b.enrol(spent)
	b.marks(Which{BoardID: spent.Identity.ID})
	b.workedOff(spent)
	b.must(b.Checkpoint(t.Context(), origin, b.key))
	b.cosign()
	size, _, err := b.NewestCheckpoint(t.Context())
	b.must(err)
	b.must(b.StoreTimestamp(t.Context(), size, time.Unix(0, 0), []byte("answer")))
}

// wantsLabel passes a board in a bay, which then waits for the board's label.
func (b *testRegistry) wantsLabel(bay string) {
	b.t.Helper()
	run := newRun(devices.BoardID(uuid.New()), "hardware")
	run.Bay, run.ScanBack = bay, true
	b.must(b.Admit(b.t.Context(), run))
	b.enrol(run)
}

// readsLabel has the right label scanned.
func (b *testRegistry) readsLabel(bay string) {
	b.t.Helper()
	b.must(b.Event(b.t.Context(), Event{Type: typeLabelRead, Outcome: audit.Success, Operator: "ann", Details: map[string]string{"bay": bay}}))
}

// unlabelled gives the bays that wait for a label.
func (b *testRegistry) unlabelled(r *Reader) (bays string) {
	b.t.Helper()
	entries, err := r.WantedLabels(b.t.Context())
	b.must(err)
	for _, e := range entries {
		bays += e.Details["bay"] + " "
	}
	return bays
}

// everyTampering tampers with each column of each row, and with each row.
func (b *testRegistry) everyTampering() {
	t := b.t
	t.Helper()
	columns := 0
	for table, names := range evidence {
		b.columns(table, names)
		stripped := filepath.Join(t.TempDir(), "stripped.db")
		b.copyOf(b.path, stripped)
		rows := b.strip(stripped, table)
		for _, name := range names {
			columns++
			b.everyRow(stripped, rows, fmt.Sprintf(`UPDATE %s SET %s = %s WHERE rowid_ = `, table, name, changed(name)))
		}
		b.everyRow(stripped, rows, fmt.Sprintf(`DELETE FROM %s WHERE rowid_ = `, table))
	}
	if columns < 50 {
		t.Errorf("only %d columns were tampered with", columns)
	}
}

// columns checks that evidence has all columns of the database.
func (b *testRegistry) columns(table string, names []string) {
	b.t.Helper()
	db, err := sql.Open("sqlite3", b.path)
	b.must(err)
	defer db.Close()
	var n int
	b.must(db.QueryRow(`SELECT count(*) FROM pragma_table_info(?) WHERE name != 'id' OR ? != 'certificates'`, table, table).Scan(&n))
	if n != len(names) {
		b.t.Errorf("%s has %d columns, the test knows %d", table, n, len(names))
	}
}

// changed gives another value of the same type. In a text or blob only the last octet
// differs.
func changed(column string) string {
	return fmt.Sprintf(`CASE typeof(%[1]s)
		WHEN 'integer' THEN %[1]s + 1
		WHEN 'null' THEN 'x'
		WHEN 'text' THEN substr(%[1]s, 1, length(%[1]s) - 1) || CASE substr(%[1]s, -1) WHEN '1' THEN '2' ELSE '1' END
		ELSE CAST(substr(%[1]s, 1, length(%[1]s) - 1) || CASE substr(%[1]s, -1) WHEN x'01' THEN x'02' ELSE x'01' END AS BLOB) END`, column)
}

// everyRow tampers with one row at a time, each time in a new copy of the file.
func (b *testRegistry) everyRow(from string, rows int64, statement string) {
	b.t.Helper()
	path := filepath.Join(b.t.TempDir(), "copy.db")
	for row := int64(1); row <= rows; row++ {
		b.copyOf(from, path)
		db := b.openStripped(path)
		result, err := db.Exec(statement + fmt.Sprint(row))
		b.must(err)
		n, err := result.RowsAffected()
		b.must(err)
		b.must(db.Close())
		if n != 1 {
			b.t.Fatalf("%s%d changes %d rows", statement, row, n)
		}
		b.mustShow(path, statement+fmt.Sprint(row))
	}
}

// copyOf copies a closed registry with its mark.
func (b *testRegistry) copyOf(from, to string) {
	b.t.Helper()
	for from, to := range map[string]string{from: to, MarkOf(from): MarkOf(to)} {
		content, err := os.ReadFile(from)
		b.must(err)
		b.must(os.WriteFile(to, content, 0o600))
	}
}

// openStripped opens a file that no test reads after a loss of power, so no write waits for the disk.
func (b *testRegistry) openStripped(path string) *sql.DB {
	b.t.Helper()
	db, err := sql.Open("sqlite3", "file:"+path+"?_synchronous=OFF")
	b.must(err)
	db.SetMaxOpenConns(1)
	return db
}

// strip drops all triggers and constraints of one table, as an attacker would, and gives the number of its rows.
func (b *testRegistry) strip(path, table string) (rows int64) {
	b.t.Helper()
	db := b.openStripped(path)
	defer func() { b.must(db.Close()) }()
	for _, q := range []string{
		`CREATE TABLE copy_ AS SELECT row_number() OVER () AS rowid_, * FROM ` + table,
		`DROP TRIGGER IF EXISTS audit_entry_fixed`, `DROP TABLE ` + table, `ALTER TABLE copy_ RENAME TO ` + table,
	} {
		_, err := db.Exec(q)
		b.must(err)
	}
	b.must(db.QueryRow(`SELECT count(*) FROM ` + table).Scan(&rows))
	return rows
}

func (b *testRegistry) mustShow(path, statement string) {
	b.t.Helper()
	reader, err := OpenReader(b.t.Context(), path)
	b.must(err)
	defer reader.Close()
	if b.bodies != nil {
		reader.Restore(b.bodies, b.until)
	}
	_, err = reader.VerifyAudit(b.t.Context(), b.vkey)
	for _, named := range namedErrors {
		if errors.Is(err, named) {
			return
		}
	}
	b.t.Errorf("%s\ngives %v", statement, err)
}

func TestACopyWithoutTamperingDiffersOnlyInItsSchema(t *testing.T) {
	b := newTestRegistry(t)
	b.enrol(b.run())
	b.must(b.Shutdown())
	path := filepath.Join(t.TempDir(), "copy.db")
	b.copyOf(b.path, path)
	for table := range evidence {
		b.strip(path, table)
	}
	reader, err := OpenReader(t.Context(), path)
	b.must(err)
	defer reader.Close()
	if _, err = reader.VerifyAudit(t.Context(), b.vkey); !errors.Is(err, ErrSchemaChanged) {
		t.Errorf("the constraints are gone, and nothing else: %v", err)
	}
}

func TestARowWithATextThatIsNoBoardIDIsNotRead(t *testing.T) {
	b := newTestRegistry(t)
	in := b.enrol(b.run())
	b.must(b.Shutdown())
	b.tamper(`DROP TRIGGER certificate_intent_fixed`, `UPDATE certificates SET board_id = upper(board_id)`)
	reader, err := OpenReader(t.Context(), b.path)
	b.must(err)
	defer reader.Close()
	var not *devices.NotBoardIDError
	if _, err := reader.Lookup(t.Context(), in.Serial); !errors.As(err, &not) {
		t.Errorf("looking up: %v", err)
	}
	if _, err := reader.Certificates(t.Context(), Filter{}); !errors.As(err, &not) {
		t.Errorf("listing: %v", err)
	}
}
