package registry

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"

	"github.com/mattn/go-sqlite3"

	"hallmark/station/audit"
)

// A Pace does one piece of a long copy, and then rests, so that the line keeps disk and
// processor. It returns the error of the piece, or of a context that has ended.
type Pace func(ctx context.Context, piece func() error) error

// What one piece of a copy is. A sync for each 4 MiB leaves no long sync for the end.
const (
	pagesPerPiece = 64
	piecesPerSync = 16
)

// Backup copies a registry to a new file, and makes the mark of the copy. The copy is of one
// moment. A station may write to the registry meanwhile, and never waits for Backup: a reader
// blocks no writer (https://sqlite.org/wal.html#concurrency). Backup gives the head of the
// copied log.
//
// Backup refuses a registry that its own mark does not fit: the copy, with its new mark, would
// hide that the registry is older than its mark.
func Backup(ctx context.Context, from, to string, pace Pace) (audit.Head, error) {
	head, err := backup(ctx, from, to, pace)
	if err != nil {
		return audit.Head{}, fmt.Errorf("copying registry %s: %w", from, err)
	}
	return head, nil
}

func backup(ctx context.Context, from, to string, pace Pace) (head audit.Head, err error) {
	// The mark comes first: a station that writes at the same time brings it up to date later.
	marked, unmarked := readMark(MarkOf(from))
	original := &Reader{}
	defer func() { err = errors.Join(err, original.Close()) }()
	_, _, version, err := original.open(ctx, from)
	if err != nil {
		return head, err
	}
	if version == oldestSchema && errors.Is(unmarked, ErrMarkMissing) {
		unmarked = nil // schema 2 had no marks
	}
	if unmarked != nil {
		return head, unmarked
	}
	if err := copyPages(ctx, original.db, to, pace); err != nil {
		return head, err
	}
	if head, err = copiedHead(ctx, to, marked); err != nil {
		return head, err
	}
	return head, os.WriteFile(MarkOf(to), bytes.Repeat(encodeSlot(head), slotCount), 0o600)
}

// copyPages copies the database with SQLite's online backup (https://sqlite.org/c3ref/backup_finish.html).
func copyPages(ctx context.Context, original *sql.DB, to string, pace Pace) error {
	source, err := original.Conn(ctx)
	if err != nil {
		return err
	}
	defer source.Close() // it only reads
	// Without an open transaction SQLite would begin again after each commit of the station.
	if _, err := source.ExecContext(ctx, "BEGIN; SELECT count(*) FROM sqlite_schema"); err != nil {
		return err
	}
	defer source.ExecContext(context.WithoutCancel(ctx), "ROLLBACK") // so that the connection can be used again
	if err := fill(ctx, source, to, pace); err != nil {
		return err
	}
	return standAlone(ctx, to)
}

// fill makes the file and brings the pages into it.
func fill(ctx context.Context, from *sql.Conn, to string, pace Pace) (err error) {
	file, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	dsn, err := source(to, url.Values{"_synchronous": {"OFF"}, "_journal_mode": {"OFF"}})
	if err != nil {
		return err
	}
	db, err := sql.Open("sqlite3", dsn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	target, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	return target.Raw(func(target any) error {
		return from.Raw(func(from any) error {
			return copyPieces(ctx, target.(*sqlite3.SQLiteConn), from.(*sqlite3.SQLiteConn), file, pace)
		})
	})
}

func copyPieces(ctx context.Context, target, from *sqlite3.SQLiteConn, file *os.File, pace Pace) (err error) {
	copying, err := target.Backup("main", from, "main")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, copying.Finish()) }()
	done := false
	for n := 1; !done; n++ {
		err := pace(ctx, func() (err error) {
			if done, err = copying.Step(pagesPerPiece); err == nil && n%piecesPerSync == 0 {
				err = file.Sync()
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// standAlone makes the copy a database without a write-ahead log, so that the one file is all
// of it, and a reader writes nothing beside it. The next start of a station sets it back.
func standAlone(ctx context.Context, path string) (err error) {
	dsn, err := source(path, url.Values{})
	if err != nil {
		return err
	}
	db, err := sql.Open("sqlite3", dsn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1) // a second one would hold the mode as it is
	return setting{"journal_mode", "delete"}.apply(ctx, db)
}

// copiedHead gives the head of the log in the copy, and compares the log with the mark of the
// original.
func copiedHead(ctx context.Context, path string, marked audit.Head) (head audit.Head, err error) {
	db, err := openForReading(path, nil)
	if err != nil {
		return head, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if head.Size, err = audit.Size(ctx, db); err != nil {
		return head, err
	}
	if head.Size == 0 {
		return head, ErrNoGenesis
	}
	if head.Root, err = audit.RootAt(ctx, db, head.Size); err != nil {
		return head, err
	}
	return head, theMark.covers(ctx, db, head, marked)
}
