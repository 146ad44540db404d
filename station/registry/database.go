package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"github.com/mattn/go-sqlite3"
	"golang.org/x/sys/unix"
)

// lock takes the lock that lets only one process write. The system releases the lock
// when the process ends.
func lock(path string) (*os.File, error) {
	file, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		if noSpace(err) {
			err = fmt.Errorf("%w: %w", ErrDiskFull, err)
		}
		return nil, fmt.Errorf("taking the lock: %w", err)
	}
	err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = ErrLocked
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("taking the lock: %w", err), file.Close())
	}
	return file, nil
}

// unlock gives the lock back. Closing the file is not enough: a child process that was forked, and has not
// yet begun its program, has the file open, too.
func unlock(file *os.File) error {
	return errors.Join(unix.Flock(int(file.Fd()), unix.LOCK_UN), file.Close())
}

// A setting is a PRAGMA. It is set when the database is opened, and read back, because
// SQLite ignores a value that it cannot take, and because the driver's defaults are
// not durable.
type setting struct {
	pragma string
	want   string // as SQLite gives it back
}

// settings are those of the connection that writes. synchronous 2 is FULL: SQLite
// syncs the file before a commit returns.
var settings = []setting{
	{"journal_mode", "wal"},
	{"synchronous", "2"},
	{"foreign_keys", "1"},
	{"busy_timeout", "5000"},
	{"mmap_size", "0"},
	{"cell_size_check", "1"},
	{"cache_size", "-65536"},       // 64 MiB
	{"cache_spill", "0"},           // pages are written in COMMIT only: the watch relies on that
	{"wal_autocheckpoint", "4000"}, // pages; SQLite's 1000 would sync the database file more often
}

// source gives the URI of the file, for the driver. path may contain any character.
func source(path string, query url.Values) (string, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	u := url.URL{Scheme: "file", OmitHost: true, Path: absolute, RawQuery: query.Encode()}
	return u.String(), nil
}

// connect opens the one connection that writes, and makes the tables when the file is
// new. It refuses a file that is not a registry, a registry of a newer station, and a
// database that did not take a setting. A second call does nothing.
func (r *Registry) connect(ctx context.Context) error {
	if r.pool != nil {
		return nil
	}
	dsn, err := source(r.config.Path, url.Values{})
	if err != nil {
		return err
	}
	if r.pool, err = sql.Open("sqlite3", dsn); err != nil {
		return err
	}
	r.pool.SetMaxOpenConns(1)
	conn, err := r.pool.Conn(ctx)
	if err != nil {
		return named(err)
	}
	return errors.Join(prepare(ctx, conn), conn.Close()) // the pool keeps the connection
}

func prepare(ctx context.Context, conn *sql.Conn) error {
	for _, s := range settings {
		if err := s.apply(ctx, conn); err != nil {
			return err
		}
	}
	return makeTables(ctx, conn)
}

func (s setting) apply(ctx context.Context, conn execQuerier) error {
	if _, err := conn.ExecContext(ctx, "PRAGMA "+s.pragma+" = "+s.want); err != nil {
		return fmt.Errorf("setting %s: %w", s.pragma, named(err))
	}
	var got string
	if err := conn.QueryRowContext(ctx, "PRAGMA "+s.pragma).Scan(&got); err != nil {
		return fmt.Errorf("reading %s back: %w", s.pragma, named(err))
	}
	if got != s.want {
		return fmt.Errorf("%w: %s is %q, want %q", ErrSettings, s.pragma, got, s.want)
	}
	return nil
}

// querier is a *sql.DB or a *sql.Conn.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// execQuerier is a querier that also executes.
type execQuerier interface {
	querier
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// refusedByRow reports whether the error is a constraint violation: the caller's
// mistake, not disk trouble.
func refusedByRow(err error) bool {
	var e sqlite3.Error
	return errors.As(err, &e) && e.Code == sqlite3.ErrConstraint
}

// ofDatabase reports whether the error came from SQLite and is not a constraint
// violation: disk trouble, not the caller's mistake.
func ofDatabase(err error) bool {
	var e sqlite3.Error
	return errors.As(err, &e) && e.Code != sqlite3.ErrConstraint
}

// damaged reports whether the content of the file is in doubt after the error. Then
// nothing more may be written until the file is opened again.
func damaged(err error) bool {
	var e sqlite3.Error
	if !errors.As(err, &e) {
		return true
	}
	switch e.Code {
	case sqlite3.ErrFull, sqlite3.ErrBusy, sqlite3.ErrLocked, sqlite3.ErrConstraint, sqlite3.ErrInterrupt:
		return false
	}
	return true
}

// noSpace reports whether the disk is full, or the quota of the user.
func noSpace(err error) bool {
	var e sqlite3.Error
	if errors.As(err, &e) && (e.Code == sqlite3.ErrFull || e.SystemErrno == unix.ENOSPC || e.SystemErrno == unix.EDQUOT) {
		return true
	}
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)
}

// unread adds our sentinel to the error of the first look at a file. A disk that is full or bad says nothing about the file.
func unread(err error) error {
	var e sqlite3.Error
	switch {
	case noSpace(err):
		return fmt.Errorf("%w: %w", ErrDiskFull, err)
	case errors.As(err, &e) && e.Code == sqlite3.ErrIoErr:
		return fmt.Errorf("%w: %w", ErrUnread, err)
	}
	return fmt.Errorf("%w: %w", ErrSchema, err)
}

// named adds our sentinel to an error of the database.
func named(err error) error {
	var e sqlite3.Error
	switch {
	case errors.As(err, &e) && e.Code == sqlite3.ErrNotADB:
		return fmt.Errorf("%w: %w", ErrSchema, err)
	case ofDatabase(err):
		return fmt.Errorf("%w: %w", ErrNotDurable, err)
	}
	return err
}
