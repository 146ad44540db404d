package hub

import (
	"context"
	"crypto/sha256"
	"embed"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"hallmark/station/reason"
)

// A step of the schema is one file with the next number. A database knows the steps that it has by their numbers and digests.
//
//go:embed schema/*.sql
var steps embed.FS

// Tables that follow from evidence. The server may update them.
var stateTables = []string{"station_state", "station_order"}

const stepTable = `CREATE TABLE IF NOT EXISTS schema_step (number integer PRIMARY KEY, sha256 bytea NOT NULL, done timestamptz NOT NULL DEFAULT now())`

// A step of the schema.
type step struct {
	number int
	text   string
	sha256 [sha256.Size]byte
}

func allSteps() (all []step, err error) {
	files, err := steps.ReadDir("schema")
	if err != nil {
		return nil, err
	}
	for i, file := range files { // in the order of their names
		text, err := steps.ReadFile("schema/" + file.Name())
		if err != nil {
			return nil, err
		}
		all = append(all, step{i + 1, string(text), sha256.Sum256(text)})
	}
	return all, nil
}

// A querier asks the database.
type querier interface {
	Query(ctx context.Context, query string, args ...any) (pgx.Rows, error)
}

// stepsDone gives the digests of the steps that a database has.
func stepsDone(ctx context.Context, q querier) ([][]byte, error) {
	rows, err := q.Query(ctx, `SELECT sha256 FROM schema_step ORDER BY number`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[[]byte])
}

// missing gives the steps that a database lacks. It refuses a database with other steps than those of this program, or more.
func missing(done [][]byte) ([]step, error) {
	all, err := allSteps()
	if err != nil {
		return nil, err
	}
	for i, sum := range done {
		switch {
		case i >= len(all):
			return nil, fmt.Errorf("%w: it has schema %d, this program knows %d", ErrSchema, len(done), len(all))
		case string(sum) != string(all[i].sha256[:]):
			return nil, fmt.Errorf("%w: step %d is another one", ErrSchema, i+1)
		}
	}
	return all[len(done):], nil
}

func checkSchema(ctx context.Context, q querier) error {
	done, err := stepsDone(ctx, q)
	if err != nil {
		return fmt.Errorf("%w: reading its steps: %w", ErrSchema, err)
	}
	lacks, err := missing(done)
	if err == nil && len(lacks) > 0 {
		err = fmt.Errorf("%w: it has schema %d, want %d", ErrSchema, len(done), len(done)+len(lacks))
	}
	return err
}

// roleName is what a role may be called, so that its name needs no quotes.
var roleName = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`)

// Migrate brings a database to the schema of this program, each step in a transaction, and gives the role of the server its rights. database names
// the owner of the database. It returns how many steps were done.
func Migrate(ctx context.Context, database, role string) (int, error) {
	if !roleName.MatchString(role) {
		return 0, reason.Usage(fmt.Errorf("role %q: want letters, digits and underscores in lower case", role))
	}
	pool, err := connect(ctx, database)
	if err != nil {
		return 0, err
	}
	defer pool.Close()
	made := 0
	if err := pool.Ping(ctx); err != nil {
		return 0, fmt.Errorf("%w: %w", ErrDatabase, err)
	}
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		// Two programs that migrate at once wait for each other. The lock ends with the transaction.
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(1208925819614629174)`); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, stepTable); err != nil {
			return err
		}
		done, err := stepsDone(ctx, tx)
		if err != nil {
			return err
		}
		lacks, err := missing(done)
		if err != nil {
			return err
		}
		for _, s := range lacks {
			if _, err := tx.Exec(ctx, s.text); err != nil {
				return fmt.Errorf("step %d: %w", s.number, err)
			}
			if _, err := tx.Exec(ctx, `INSERT INTO schema_step (number, sha256) VALUES ($1, $2)`, s.number, s.sha256[:]); err != nil {
				return err
			}
			made++
		}
		return grant(ctx, tx, role)
	})
	if err != nil {
		return 0, fmt.Errorf("migrating the database of the hub: %w", err)
	}
	return made, nil
}

// grant gives the role of the server what it needs: it inserts evidence, and never changes or removes it.
func grant(ctx context.Context, tx pgx.Tx, role string) error {
	var known bool
	if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = $1)`, role).Scan(&known); err != nil {
		return err
	}
	if !known {
		return reason.Usage(fmt.Errorf("role %q: want a role of this PostgreSQL; `createuser %s` makes it", role, role))
	}
	for _, statement := range []string{
		`REVOKE ALL ON SCHEMA public FROM PUBLIC`,
		`REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC, ` + role,
		`GRANT USAGE ON SCHEMA public TO ` + role,
		`GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO ` + role,
		`GRANT UPDATE ON ` + strings.Join(stateTables, ", ") + ` TO ` + role,
		`REVOKE INSERT ON schema_step FROM ` + role,
	} {
		if _, err := tx.Exec(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

// checkRights refuses a role that may change or remove evidence, so that an administrator's role is not used by mistake.
func checkRights(ctx context.Context, pool *pgxpool.Pool) error {
	rows, err := pool.Query(ctx, `SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
		AND has_table_privilege(oid, 'UPDATE, DELETE, TRUNCATE')`)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDatabase, err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDatabase, err)
	}
	tables = slices.DeleteFunc(tables, func(name string) bool { return slices.Contains(stateTables, name) })
	if len(tables) > 0 {
		return fmt.Errorf("%w: it may change %s", ErrRights, strings.Join(tables, ", "))
	}
	return nil
}
