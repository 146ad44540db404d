// Package hub is the plant's side of many stations: it takes the audit log of each station in order, verifies the log, keeps boards, keys, certificates, Runs
// and orders of all of them in PostgreSQL, finds what one station cannot, and gives each station its part of a work order. The registry of a station stays
// the record: a hub that is away, full or restored from an older copy stops no Run.
//
// The package needs neither HSM nor SQLite.
package hub

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"hallmark/station/audit"
	"hallmark/station/reason"
	"hallmark/station/workorder"
)

// Errors of a hub.
var (
	// ErrRights: the role of the server may change or remove evidence.
	ErrRights = reason.New("hub-rights", "the database role of the hub may change evidence")
	// ErrSchema: the database has not the schema of this program.
	ErrSchema = reason.New("hub-schema", "the database has not the schema of this program")
	// ErrDatabase: the database does not answer.
	ErrDatabase = reason.New("hub-database", "the database of the hub does not answer")
	// ErrStation: the configuration and the database disagree about a station.
	ErrStation = reason.New("hub-station", "the station is known with another audit key")
)

// A Store is the database of a hub. It is safe for concurrent use.
type Store struct {
	pool     *pgxpool.Pool
	now      func() time.Time
	log      *slog.Logger
	key      *ecdsa.PrivateKey // signs leases
	owner    workorder.Owner   // its public key
	mark     *mark
	stations map[int16]*Source

	mu    sync.Mutex
	trees map[int16]kept // right edges, so that a Push needs no query for them
}

// A Source is a station of the configuration.
type Source struct {
	ID   int16
	Name string
	Key  string // verifier key of its audit log
}

// kept is the tree of a station after a turn.
type kept struct {
	turn int64
	tree audit.Tree
}

// Options of a Store.
type Options struct {
	Database string // connection string of libpq, without password
	Key      *ecdsa.PrivateKey
	Mark     string // file with the number of leases, beside the database
	Now      func() time.Time
	Log      *slog.Logger
	Stations []Source // without ID
}

// Open connects to the database, and checks its schema and the rights of the role. Only one Store of a hub takes entries. Errors: ErrDatabase, ErrSchema,
// ErrRights, ErrStation, ErrBusy.
func Open(ctx context.Context, o Options) (_ *Store, err error) {
	s := &Store{now: o.Now, log: o.Log, key: o.Key, stations: map[int16]*Source{}, trees: map[int16]kept{}}
	if s.owner, err = workorder.NewOwner(o.Key.Public()); err != nil {
		return nil, reason.Usage(fmt.Errorf("order_key: %w", err))
	}
	if s.mark, err = openMark(o.Mark); err != nil {
		return nil, err
	}
	if s.pool, err = connect(ctx, o.Database); err != nil {
		return nil, errors.Join(err, s.mark.close())
	}
	if err := s.begin(ctx, o.Stations); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if err := s.compareMark(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// OpenBeside connects to the database of a hub that may run. Such a Store takes no entries.
func OpenBeside(ctx context.Context, o Options) (_ *Store, err error) {
	s := &Store{now: o.Now, log: o.Log, stations: map[int16]*Source{}, trees: map[int16]kept{}}
	if s.pool, err = connect(ctx, o.Database); err != nil {
		return nil, err
	}
	if err := s.begin(ctx, o.Stations); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// maxConnections of the pool. More than two for each core of a database do not make it faster.
const maxConnections = 16

// connectTimeout is how long one connection may take.
const connectTimeout = 5 * time.Second

// A password in one of the two forms of a connection string (PostgreSQL, section 34.1.1).
var passwordIn = regexp.MustCompile(`(?i)(^|[\s?&])password\s*=|^[a-z]+://[^/@]*:[^/@]*@`)

func connect(ctx context.Context, database string) (*pgxpool.Pool, error) {
	if passwordIn.MatchString(database) {
		return nil, reason.Usage(errors.New("database: it has a password, which others may read; want a socket with peer, a client certificate, or passfile=FILE"))
	}
	config, err := pgxpool.ParseConfig(database)
	if err != nil {
		return nil, reason.Usage(errors.New("database: want a connection string such as `host=/var/run/postgresql dbname=hub user=hub_serve`"))
	}
	config.MaxConns, config.ConnConfig.ConnectTimeout = maxConnections, connectTimeout
	config.ConnConfig.RuntimeParams["statement_timeout"] = "30000"
	config.ConnConfig.RuntimeParams["lock_timeout"] = "10000"
	config.ConnConfig.RuntimeParams["idle_in_transaction_session_timeout"] = "60000"
	config.ConnConfig.RuntimeParams["synchronous_commit"] = "on"
	config.ConnConfig.RuntimeParams["search_path"] = "public"
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDatabase, err)
	}
	return pool, nil
}

func (s *Store) begin(ctx context.Context, stations []Source) error {
	if err := s.pool.Ping(ctx); err != nil {
		return fmt.Errorf("%w: %w", ErrDatabase, err)
	}
	if err := checkSchema(ctx, s.pool); err != nil {
		return err
	}
	if err := checkRights(ctx, s.pool); err != nil {
		return err
	}
	for _, one := range stations {
		if err := s.know(ctx, one); err != nil {
			return err
		}
	}
	return nil
}

// know finds a station, or adds it. It writes nothing about a station that is there, so that commands that read work while the database takes nothing.
func (s *Store) know(ctx context.Context, one Source) error {
	key, name, err := s.find(ctx, &one)
	if errors.Is(err, pgx.ErrNoRows) {
		if err = s.add(ctx, &one); err == nil {
			key, name, err = s.find(ctx, &one)
		}
	}
	if err != nil {
		return fmt.Errorf("%w: station %s: %w", ErrDatabase, one.Name, err)
	}
	if key != one.Key || name != one.Name {
		return fmt.Errorf("%w: %q has %s", ErrStation, name, key)
	}
	s.stations[one.ID] = &one
	return nil
}

func (s *Store) find(ctx context.Context, one *Source) (key, name string, err error) {
	err = s.pool.QueryRow(ctx, `SELECT id, name, log_key FROM station WHERE name = $1 OR log_key = $2 ORDER BY name = $1 DESC LIMIT 1`, one.Name, one.Key).Scan(&one.ID, &name, &key)
	return key, name, err
}

func (s *Store) add(ctx context.Context, one *Source) error {
	return s.inTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `INSERT INTO station (name, log_key) VALUES ($1, $2) ON CONFLICT DO NOTHING`, one.Name, one.Key); err != nil {
			return err
		}
		for _, statement := range []string{
			`INSERT INTO branch (station, number, base, operator, reason) SELECT id, 0, 0, 'hub', 'the first' FROM station WHERE name = $1 ON CONFLICT DO NOTHING`,
			`INSERT INTO station_state (station) SELECT id FROM station WHERE name = $1 ON CONFLICT DO NOTHING`,
		} {
			if _, err := tx.Exec(ctx, statement, one.Name); err != nil {
				return err
			}
		}
		return nil
	})
}

// Station gives a station by its name, or nil.
func (s *Store) Station(name string) *Source {
	for _, one := range s.stations {
		if one.Name == name {
			return one
		}
	}
	return nil
}

// Close closes the connections.
func (s *Store) Close() error {
	s.pool.Close()
	if s.mark == nil {
		return nil
	}
	return s.mark.close()
}

// inTx runs do in a transaction. It gives up what do did after an error.
func (s *Store) inTx(ctx context.Context, do func(pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, s.pool, do)
}
