package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"

	"hallmark/station/audit"
	"hallmark/station/reason"
	"hallmark/station/workdir"
)

// typeMigrated is the entry about a migration, in the same transaction as the steps.
const typeMigrated = "log.migrated"

// migrate brings a registry of an older schema to the newest one: a copy of the file, then
// all steps and their audit entry in one transaction. The copy stays beside the registry.
func (r *Registry) migrate(ctx context.Context) error {
	if r.version == schemaVersion {
		return nil
	}
	conn, from := r.writer.conn, int(r.version)
	todo, err := plan(ctx, conn, r.config.Path, from)
	if err != nil {
		return err
	}
	if err := todo.HasRoom(); err != nil {
		return err
	}
	r.progress("copying registry.db to " + todo.Copy)
	if err := copyTo(ctx, conn, todo.Copy); err != nil {
		return fmt.Errorf("copying the registry before its migration: %w", err)
	}
	if err := r.doSteps(ctx, conn, todo); err != nil {
		return fmt.Errorf("migrating from schema %d to %d; nothing was changed: %w", from, schemaVersion, named(err))
	}
	if err := checkSchema(ctx, conn, schemaVersion); err != nil {
		return err
	}
	// The Reader has read a copy with the newest schema until now.
	err = r.Reader.Close()
	return errors.Join(err, r.openReader(ctx))
}

func (r *Registry) progress(what string) {
	if r.config.Migrating != nil {
		r.config.Migrating(what)
	}
}

// doSteps does the steps in one transaction.
func (r *Registry) doSteps(ctx context.Context, conn *sql.Conn, todo *Migration) error {
	// Foreign keys cannot be switched off inside of a transaction
	// (https://sqlite.org/foreignkeys.html#fk_enable), and a step may make a table anew.
	for _, statement := range []string{"PRAGMA foreign_keys = 0", "BEGIN IMMEDIATE"} {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("beginning: %w", err)
		}
	}
	if err := r.steps(ctx, conn, todo); err != nil {
		_, undo := conn.ExecContext(ctx, "ROLLBACK")
		return errors.Join(err, undo)
	}
	_, err := conn.ExecContext(ctx, "PRAGMA foreign_keys = 1")
	return err
}

// steps does the steps inside of the open transaction, and commits.
func (r *Registry) steps(ctx context.Context, conn *sql.Conn, todo *Migration) error {
	for _, one := range todo.Steps {
		statements, err := step(one.Schema)
		if err != nil {
			return err
		}
		r.progress(fmt.Sprintf("step to schema %d: %s", one.Schema, one.What))
		if _, err := conn.ExecContext(ctx, statements); err != nil {
			return fmt.Errorf("step to schema %d: %w", one.Schema, err)
		}
	}
	r.progress("checking that each row names rows that are there")
	if err := foreignKeysHold(ctx, conn); err != nil {
		return err
	}
	batch := r.log.Begin()
	_, err := batch.Append(ctx, audit.Entry{Actor: audit.Itself(), Category: audit.CategoryLog, Type: typeMigrated, Outcome: audit.Success,
		Details: map[string]string{"from": strconv.Itoa(todo.From), "to": strconv.Itoa(schemaVersion), "copy": text(filepath.Base(todo.Copy))}})
	if err != nil {
		return err
	}
	if _, err := conn.ExecContext(ctx, "COMMIT"); err != nil {
		return err
	}
	batch.Committed()
	return nil
}

func foreignKeysHold(ctx context.Context, conn *sql.Conn) error {
	var broken int
	if err := conn.QueryRowContext(ctx, `SELECT count(*) FROM pragma_foreign_key_check`).Scan(&broken); err != nil {
		return err
	}
	if broken > 0 {
		return fmt.Errorf("%w: %s rows that are not there", ErrSchema, reason.Count(broken, "row names", "rows name"))
	}
	return nil
}

// copyTo writes a whole copy of the database, and replaces an older copy of an interrupted
// migration. The copy holds what is in the write-ahead log, too.
func copyTo(ctx context.Context, conn *sql.Conn, path string) error {
	unfinished := path + ".unfinished"
	if err := os.RemoveAll(unfinished); err != nil {
		return err
	}
	if _, err := conn.ExecContext(ctx, `VACUUM INTO ?`, unfinished); err != nil {
		return errors.Join(named(err), os.RemoveAll(unfinished)) // half a copy would keep the disk full
	}
	if err := os.Chmod(unfinished, 0o600); err != nil {
		return err
	}
	return workdir.Rename(unfinished, path)
}

// execute opens a database for one statement, or for several that take no arguments.
func execute(ctx context.Context, path string, query url.Values, statement string, args ...any) error {
	dsn, err := source(path, query)
	if err != nil {
		return err
	}
	db, err := sql.Open("sqlite3", dsn)
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, statement, args...)
	return errors.Join(err, db.Close())
}

// migratedCopy makes a copy of an older registry, brings the copy to the newest schema and
// returns its path. A reader may not write to the registry itself. from are the parameters of
// the URI of the registry.
func migratedCopy(ctx context.Context, registry string, from url.Values, version int64) (dir, path string, err error) {
	statements, err := steps(int(version), schemaVersion)
	if err != nil {
		return "", "", err
	}
	if dir, err = os.MkdirTemp("", "registry-"); err != nil {
		return "", "", err
	}
	path = filepath.Join(dir, "registry.db")
	err = execute(ctx, registry, from, `VACUUM INTO ?`, path)
	if err == nil {
		err = execute(ctx, path, nil, statements) // the driver does not enforce foreign keys by default
	}
	if err != nil {
		return "", "", errors.Join(fmt.Errorf("reading a registry of schema %d: %w", version, err), os.RemoveAll(dir))
	}
	return dir, path, nil
}
