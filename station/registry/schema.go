package registry

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"

	"hallmark/station/audit"
	"hallmark/station/reason"
)

// What the database file of a registry says of itself.
const (
	applicationID = 0x486c6d6b // PRAGMA application_id: "Hlmk"
	oldestSchema  = 2          // PRAGMA user_version of the oldest registry that is migrated
	schemaVersion = 12         // PRAGMA user_version of a registry that this version writes
	archiveSchema = 7          // the first schema with archives
	profileSchema = 10         // the first schema whose profiles are adopted
	outsideSchema = 12         // the first schema with audit_entry_outside
)

// schemaFiles has the tables of the oldest schema, and one file for each step to the next.
//
//go:embed schema/*.sql
var schemaFiles embed.FS

// step gives the statements that lead to a schema from the schema before it.
func step(version int) (string, error) {
	text, err := fs.ReadFile(schemaFiles, "schema/"+strconv.Itoa(version)+".sql")
	statements := string(text)
	if version == oldestSchema {
		statements += audit.Schema
	}
	return statements + "PRAGMA user_version = " + strconv.Itoa(version) + ";", err
}

// steps gives the statements that lead from a schema to a newer one. From 0 they make the
// tables of a new file.
func steps(from, to int) (statements string, err error) {
	if from == 0 {
		from, statements = oldestSchema-1, "PRAGMA application_id = "+strconv.Itoa(applicationID)+";"
	}
	for version := from + 1; version <= to; version++ {
		next, err := step(version)
		if err != nil {
			return "", fmt.Errorf("reading the step to schema %d: %w", version, err)
		}
		statements += next
	}
	return statements, nil
}

// makeTables makes the tables of a new file, in one transaction, so that a crash leaves an
// empty file and not a part of a registry. It does nothing if the file has tables.
func makeTables(ctx context.Context, conn *sql.Conn) error {
	empty, err := hasNoTables(ctx, conn)
	if err != nil || !empty {
		return err
	}
	statements, err := steps(0, schemaVersion)
	if err != nil {
		return err
	}
	if _, err = conn.ExecContext(ctx, "BEGIN IMMEDIATE;"+statements+"COMMIT;"); err != nil {
		_, undo := conn.ExecContext(ctx, "ROLLBACK")
		return errors.Join(fmt.Errorf("making the tables: %w", named(err)), undo)
	}
	return nil
}

// isEmpty reports whether a file is a database without tables.
func isEmpty(ctx context.Context, path string) (empty bool, err error) {
	db, err := openForReading(path, nil)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return hasNoTables(ctx, db)
}

func hasNoTables(ctx context.Context, q querier) (bool, error) {
	id, version, err := fileKind(ctx, q)
	if err != nil {
		return false, err
	}
	var tables int
	if err := q.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema`).Scan(&tables); err != nil {
		return false, unread(err)
	}
	return id == 0 && version == 0 && tables == 0, nil
}

// readable refuses a file that is no registry, and a registry of a schema that this version
// does not know.
func readable(id, version int64) error {
	switch {
	case id != applicationID:
		return fmt.Errorf("%w: application id %#x, version %d", ErrSchema, id, version)
	case version > schemaVersion:
		return fmt.Errorf("%w: it has schema %d, this station knows %d; install the newer version of the station that wrote it",
			ErrSchema, version, schemaVersion)
	case version < oldestSchema:
		return fmt.Errorf("%w: it has schema %d, which no release wrote; this station knows %d to %d", ErrSchema, version, oldestSchema, schemaVersion)
	}
	return nil
}

func fileKind(ctx context.Context, conn querier) (id, version int64, err error) {
	if err := conn.QueryRowContext(ctx, "PRAGMA application_id").Scan(&id); err != nil {
		return 0, 0, unread(err)
	}
	if err = conn.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		err = unread(err)
	}
	return id, version, err
}

// checkSchema compares the tables, indexes and triggers of the file with those that the
// steps to its version make, and names each difference. A trigger that is missing lets through what the log never allowed.
func checkSchema(ctx context.Context, q audit.Querier, version int) error {
	got, err := objects(ctx, q)
	if err != nil {
		return err
	}
	want, err := expectedObjects(ctx, version)
	if err != nil {
		return err
	}
	if found := differences(got, want); len(found) > 0 {
		return fmt.Errorf("%w: %s; restore registry.db from its backup", ErrSchemaChanged, strings.Join(found, ", "))
	}
	return nil
}

// differences names what is missing, what was changed, and what does not belong there, each by its kind and name.
func differences(got, want map[string][]string) (found []string) {
	for _, name := range slices.Sorted(maps.Keys(want)) {
		switch sql, there := got[name]; {
		case !there:
			found = append(found, name+" is missing")
		case !slices.Equal(sql, want[name]):
			found = append(found, name+" was changed")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if _, belongs := want[name]; !belongs {
			found = append(found, reason.Printable(name)+" does not belong there")
		}
	}
	return found
}

// noViews refuses a registry with a view or a virtual table, which no registry has. A view in the place of a table can compute for
// ever and show what no row has, so it is refused before the first query of a reader, and of a verification again, because somebody may
// have made it meanwhile. A verification compares the rest of the schema last.
func noViews(ctx context.Context, q audit.Querier) error {
	var name string
	err := q.QueryRowContext(ctx, `SELECT name FROM main.sqlite_schema WHERE type = 'view' OR type = 'table' AND rootpage = 0 LIMIT 1`).Scan(&name) // a virtual table has no page
	if none(err) {
		return nil
	} else if err != nil {
		return unread(err)
	}
	return fmt.Errorf("%w: %s, which is no table, does not belong there; restore registry.db from its backup", ErrSchemaChanged, name)
}

// objects gives what made each table, index and trigger: its table and its statement, by its kind and name. A crafted file can have a
// name twice.
func objects(ctx context.Context, q audit.Querier) (map[string][]string, error) {
	rows, err := q.QueryContext(ctx, `SELECT type || ' ' || name, tbl_name || ': ' || coalesce(sql, '') FROM main.sqlite_schema ORDER BY rowid`)
	if err != nil {
		return nil, fmt.Errorf("reading the schema: %w", named(err))
	}
	type object struct{ name, sql string }
	all, err := collect(rows, func(o *object) []any { return []any{&o.name, &o.sql} })
	made := map[string][]string{}
	for _, o := range all {
		made[o.name] = append(made[o.name], o.sql)
	}
	return made, err
}

func expectedObjects(ctx context.Context, version int) (_ map[string][]string, err error) {
	statements, err := steps(0, version)
	if err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite3", ":memory:")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1) // each connection would have a database of its own
	if _, err := db.ExecContext(ctx, statements); err != nil {
		return nil, fmt.Errorf("making the expected tables: %w", err)
	}
	return objects(ctx, db)
}
