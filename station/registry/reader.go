package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"

	"github.com/mattn/go-sqlite3"
	"golang.org/x/sys/unix"

	"hallmark/station"
	"hallmark/station/audit"
	"hallmark/station/reason"
	"hallmark/station/workdir"
)

// Reader reads a registry, even while a station has it open for writing. Its methods
// are safe for concurrent use.
type Reader struct {
	db       *sql.DB
	lookup   *sql.Stmt
	mark     string     // path of the mark; empty for a copy, whose mark is seen
	seen     audit.Head // what the mark of a registry of an older schema had seen before the copy
	unmarked error      // why the mark of a registry of an older schema could not be read, or nil
	copied   string     // directory of the copy of a registry of an older schema, or empty
	frozen   bool       // SQLite takes it for a file that nobody changes

	dsn      string // of db
	restorer restorer
}

// OpenReader opens an existing registry without taking its lock.
func OpenReader(ctx context.Context, path string) (*Reader, error) {
	r, err := openReader(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("opening registry %s for reading: %w", path, err)
	}
	return r, nil
}

func openReader(ctx context.Context, path string) (_ *Reader, err error) {
	r := &Reader{mark: MarkOf(path)}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.Close())
		}
	}()
	path, from, version, err := r.open(ctx, path)
	if err != nil {
		return nil, err
	}
	if err := noViews(ctx, r.db); err != nil {
		return nil, err
	}
	if version < schemaVersion {
		if err := r.readCopy(ctx, path, from, version); err != nil {
			return nil, err
		}
	}
	if err := r.viewArchives(ctx); err != nil {
		return nil, err
	}
	if r.lookup, err = r.db.PrepareContext(ctx, lookupQuery); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSchema, err)
	}
	return r, nil
}

// open opens the database as it is. It gives the path of what it opened, the parameters that
// open it, and the version of its schema.
func (r *Reader) open(ctx context.Context, path string) (opened string, from url.Values, version int64, err error) {
	if err := mayRead(path); err != nil {
		return "", nil, 0, err
	}
	if err = r.connect(path, nil); err != nil {
		return "", nil, 0, err
	}
	from = url.Values{"mode": {"ro"}}
	id, version, err := fileKind(ctx, r.db)
	if cannotWriteBeside(err) {
		if path, from, err = r.readOnly(path); err == nil {
			id, version, err = fileKind(ctx, r.db)
		}
	}
	if err == nil {
		err = readable(id, version)
	}
	return path, from, version, err
}

// connect opens a database. more are further parameters of the URI.
func (r *Reader) connect(path string, more url.Values) (err error) {
	if r.dsn, err = readingSource(path, more); err == nil {
		r.db, err = openForReading(path, more)
	}
	return err
}

func readingSource(path string, more url.Values) (string, error) {
	query := url.Values{"mode": {"ro"}, "_query_only": {"1"}, "_busy_timeout": {"5000"}}
	maps.Copy(query, more)
	return source(path, query)
}

// openForReading opens a database. more are further parameters of the URI.
func openForReading(path string, more url.Values) (*sql.DB, error) {
	dsn, err := readingSource(path, more)
	if err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite3", dsn)
	if err == nil {
		db.SetMaxIdleConns(4)
	}
	return db, err
}

// readCopy goes on with a copy that has the newest schema. The registry itself is migrated
// by the next start of the station. from are the parameters of the URI of the registry.
func (r *Reader) readCopy(ctx context.Context, registry string, from url.Values, version int64) error {
	// The mark comes first: the copy is not older than it. Schema 2 had no mark, and each later start makes one.
	seen, unmarked := readMark(r.mark)
	if version == oldestSchema {
		unmarked = nil
	}
	dir, path, err := migratedCopy(ctx, registry, from, version)
	if err != nil {
		return err
	}
	err = r.Close() // a copy that readOnly made, too
	r.copied, r.mark, r.seen, r.unmarked = dir, "", seen, unmarked
	if err == nil {
		err = r.connect(path, nil)
	}
	return err
}

// mayRead names what stands in the way: a path that is wrong, or rights that are missing. It does not
// open the file, because closing it would release the locks of this process.
func mayRead(path string) error {
	if err := unix.Faccessat(unix.AT_FDCWD, path, unix.R_OK, unix.AT_EACCESS); err != nil {
		return &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return regularFiles(path)
}

// regularFiles refuses a database if it, or a file that SQLite keeps beside it, is there and is no regular file. SQLite
// would wait for the writer of a pipe, and no signal ends that.
func regularFiles(path string) error {
	for _, suffix := range []string{"", "-journal", "-wal", "-shm"} {
		if err := workdir.CheckRegular(path + suffix); err != nil {
			return reason.Usage(err)
		}
	}
	return nil
}

// cannotWriteBeside reports whether SQLite failed because it could not make the files that it
// needs beside a database with a write-ahead log (https://sqlite.org/wal.html#read_only_databases).
func cannotWriteBeside(err error) bool {
	var e sqlite3.Error
	return errors.As(err, &e) && (e.Code == sqlite3.ErrCantOpen || e.Code == sqlite3.ErrReadonly)
}

// readOnly opens a registry on a medium that is read-only. Nobody writes there, so a registry
// without a write-ahead log does not change. A registry with one is copied, because SQLite
// needs a place for the index of the log. readOnly returns the path that it opened, and the
// parameters of the URI.
func (r *Reader) readOnly(path string) (opened string, from url.Values, err error) {
	if err := r.db.Close(); err != nil {
		return "", nil, err
	}
	info, err := os.Stat(path + "-wal")
	switch {
	case errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0:
		from, r.frozen = url.Values{"mode": {"ro"}, "immutable": {"1"}}, true
		return path, from, r.connect(path, from)
	case err != nil:
		return "", nil, err
	}
	if r.copied, err = os.MkdirTemp("", "registry-"); err != nil {
		return "", nil, err
	}
	to := filepath.Join(r.copied, "registry.db")
	if err := errors.Join(copyFile(path, to), copyFile(path+"-wal", to+"-wal")); err != nil {
		return "", nil, fmt.Errorf("copying the registry from a medium that is read-only: %w", err)
	}
	return to, url.Values{"mode": {"ro"}}, r.connect(to, nil)
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// Close closes the Reader.
func (r *Reader) Close() error {
	var errs []error
	if r.db != nil {
		errs = append(errs, r.db.Close())
	}
	if r.copied != "" {
		errs = append(errs, os.RemoveAll(r.copied))
	}
	return errors.Join(errs...)
}

func none(err error) bool { return errors.Is(err, sql.ErrNoRows) }

// statusNow is the status of a certificate for a verifier: a hold hides the statuses that a verifier could accept, and no other.
const statusNow = `CASE WHEN status IN ('issued', 'delivered', 'active') AND ` + isHeld + `certificates.board_id) THEN 'held' ELSE status END`

const lookupQuery = `SELECT board_id, purpose, ` + statusNow + `, sha256 FROM certificates WHERE serial = ?`

// statuses has the status of a certificate for each status of a row. It has none for
// an open intent and for a failed one: no certificate exists for those.
var statuses = map[string]station.Status{
	"issued": station.StatusIssued, "delivered": station.StatusDelivered, "active": station.StatusActive,
	"superseded": station.StatusRevoked, "revoked": station.StatusRevoked, "scrapped": station.StatusRevoked,
	"unresolved": station.StatusUnresolved, "held": station.StatusHeld,
}

// Lookup gives the record of the certificate with this serial number, or
// station.ErrUnknownCertificate. The record of an unresolved serial number has no
// digest.
func (r *Reader) Lookup(ctx context.Context, serial [16]byte) (station.Record, error) {
	var record station.Record
	var status string
	var sum []byte
	err := r.lookup.QueryRowContext(ctx, serial[:]).Scan(board(&record.BoardID), purpose(&record.Purpose), &status, &sum)
	if err != nil && !none(err) {
		return station.Record{}, fmt.Errorf("looking up certificate %x: %w", serial, err)
	}
	var known bool
	if record.Status, known = statuses[status]; !known {
		return station.Record{}, fmt.Errorf("looking up certificate %x: %w", serial, station.ErrUnknownCertificate)
	}
	copy(record.CertificateSHA256[:], sum)
	return record, nil
}

// EachStatus calls do for each serial number that a certificate may have, in the order of the numbers, as of one moment.
func (r *Reader) EachStatus(ctx context.Context, do func(serial [16]byte, record station.Record) error) (err error) {
	rows, err := r.db.QueryContext(ctx, `SELECT serial, board_id, purpose, `+statusNow+`, sha256 FROM certificates ORDER BY serial`)
	if err != nil {
		return fmt.Errorf("reading the status of all certificates: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var serial serialColumn
		var record station.Record
		var status string
		var sum []byte
		if err := rows.Scan(&serial, board(&record.BoardID), purpose(&record.Purpose), &status, &sum); err != nil {
			return fmt.Errorf("reading the status of all certificates: %w", err)
		}
		if statuses[status] == "" {
			continue
		}
		record.Status = station.Status(status) // more exact than in Lookup
		copy(record.CertificateSHA256[:], sum)
		if err := do(serial, record); err != nil {
			return err
		}
	}
	return rows.Err()
}

// VerifierKey gives the key that genesis names for verifying checkpoints. An auditor
// does not rely on it, and takes the key from another place.
func (r *Reader) VerifierKey(ctx context.Context) (string, error) {
	var body []byte
	err := r.db.QueryRowContext(ctx, `SELECT body FROM audit_entry WHERE seq = 0`).Scan(&body)
	if none(err) {
		return "", ErrNoGenesis
	} else if err != nil {
		return "", fmt.Errorf("reading genesis: %w", err)
	}
	e, err := audit.Decode(body)
	return e.Details["vkey"], err
}

// LastCheckpoint gives the newest signed note with its cosignatures, or nil when there is none.
// Keep a copy of it in another place.
func (r *Reader) LastCheckpoint(ctx context.Context) (signed []byte, err error) {
	err = r.db.QueryRowContext(ctx, `SELECT `+cosignedNote+` FROM audit_checkpoint c ORDER BY c.size DESC LIMIT 1`).Scan(&signed)
	if none(err) {
		return nil, nil
	}
	return signed, err
}

// CoveredSize gives the number of entries that the newest checkpoint covers.
func (r *Reader) CoveredSize(ctx context.Context) (size int64, err error) {
	if size, _, err = audit.Newest(ctx, r.db); err != nil && !none(err) {
		return 0, fmt.Errorf("reading the newest checkpoint: %w", err)
	}
	return size, nil
}

// collect reads all rows into values.
func collect[T any](rows *sql.Rows, into func(*T) []any) ([]T, error) {
	defer rows.Close()
	var all []T
	for rows.Next() {
		var one T
		if err := rows.Scan(into(&one)...); err != nil {
			return nil, fmt.Errorf("reading row %d: %w", len(all)+1, err)
		}
		all = append(all, one)
	}
	return all, rows.Err()
}
