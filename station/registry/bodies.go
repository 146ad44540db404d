package registry

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/mattn/go-sqlite3"
	"golang.org/x/mod/sumdb/tlog"

	"hallmark/station/audit"
	"hallmark/station/reason"
)

// ErrArchived: a body lies in an archive that was not given.
var ErrArchived = reason.New("archived", "the entry lies in an archive")

// ErrArchiveOther: a file is no archive of this log, or was changed.
var ErrArchiveOther = reason.New("archive-other", "the file is not the archive that the audit log names")

// ErrArchivedMeanwhile: a body was moved to an archive while a command was reading it.
var ErrArchivedMeanwhile = reason.New("archived-meanwhile", "the station made an archive while this command was reading")

// Bodies gives the bodies of archived entries.
type Bodies interface {
	Body(seq int64) ([]byte, error)
}

// restorer gives back bodies of archived entries inside of SQL. A Reader sees a view in the place of the table of
// entries, so no query overlooks an entry whose body is missing: it gets the body, or ends.
type restorer struct {
	mu      sync.Mutex
	newest  Archive
	has     int64 // bodies has the entries before this one
	bodies  Bodies
	refused error // what restore returned: SQLite keeps only its text
}

// theView takes the place of the table. The table itself is main.audit_entry.
const theView = `PRAGMA query_only = 0; PRAGMA temp_store = 2;
	CREATE TEMP VIEW audit_entry AS SELECT seq, CASE WHEN body = x'' THEN restored(seq, hashes) ELSE body END AS body, hashes FROM main.audit_entry;
	PRAGMA query_only = 1`

// viewArchives opens the database again with the view. A database without archives gets the view, too, because the
// station may make an archive while the Reader is open.
func (r *Reader) viewArchives(ctx context.Context) error {
	newest, err := newestArchive(ctx, r.db)
	if err != nil {
		return err
	}
	if err := r.db.Close(); err != nil {
		return err
	}
	r.restorer.newest = newest
	r.db = sql.OpenDB(&viewer{r.dsn, &r.restorer})
	r.db.SetMaxIdleConns(4)
	return nil
}

// A viewer opens connections with the view.
type viewer struct {
	dsn      string
	restorer *restorer
}

// Driver implements driver.Connector.
func (v *viewer) Driver() driver.Driver {
	return &sqlite3.SQLiteDriver{ConnectHook: func(conn *sqlite3.SQLiteConn) error {
		if err := conn.RegisterFunc("restored", v.restorer.restore, false); err != nil {
			return err
		}
		_, err := conn.Exec(theView, nil)
		return err
	}}
}

// Connect implements driver.Connector.
func (v *viewer) Connect(context.Context) (driver.Conn, error) { return v.Driver().Open(v.dsn) }

// restore gives the body of an archived entry. The hash of the entry is in the registry, so the archive is not trusted.
func (s *restorer) restore(seq int64, hashes []byte) (body []byte, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() {
		if err != nil {
			s.refused = err
		}
	}()
	if seq == 0 || seq >= s.newest.Until {
		return nil, errNowhere(seq)
	}
	if s.bodies == nil || seq >= s.has {
		return nil, fmt.Errorf("%w: entry %d: %v; name the file with --archive", ErrArchived, seq, &s.newest)
	}
	if body, err = s.bodies.Body(seq); err != nil {
		return nil, fmt.Errorf("reading entry %d from its archive: %w", seq, err)
	}
	if hash := tlog.RecordHash(body); len(hashes) < tlog.HashSize || hash != tlog.Hash(hashes[:tlog.HashSize]) {
		return nil, fmt.Errorf("%w: its entry %d does not have the hash of the log", ErrArchiveOther, seq)
	}
	return body, nil
}

// Restore lets the Reader read archived entries from an archive, which has the entries before until.
func (r *Reader) Restore(bodies Bodies, until int64) {
	r.restorer.mu.Lock()
	defer r.restorer.mu.Unlock()
	if until > r.restorer.has {
		r.restorer.bodies, r.restorer.has = bodies, until
	}
}

// Why gives the refusal of an archived entry back to an error of SQLite, which has only its text. If the body is missing
// because the station made an archive since the Reader was opened, the error is ErrArchivedMeanwhile. Other errors stay as
// they are.
func (r *Reader) Why(err error) error {
	if err == nil {
		return nil
	}
	if refused := r.refused(); refused != nil && strings.Contains(err.Error(), refused.Error()) {
		err = refused
	}
	if errors.Is(err, audit.ErrEntry) && !errors.Is(err, ErrArchivedMeanwhile) {
		return r.meanwhile(err)
	}
	return err
}

// refused gives what restore returned.
func (r *Reader) refused() error {
	r.restorer.mu.Lock()
	defer r.restorer.mu.Unlock()
	return r.restorer.refused
}

// meanwhile adds ErrArchivedMeanwhile to the error if the registry has an archive that the Reader does not know.
func (r *Reader) meanwhile(err error) error {
	ctx, cancel := context.WithTimeout(context.Background(), commitGrace)
	defer cancel()
	newest, unread := newestArchive(ctx, r.db)
	if known, _ := r.missing(); unread != nil || newest.Until <= known.Until {
		return err
	}
	return fmt.Errorf("%w: %v: %w", ErrArchivedMeanwhile, &newest, err)
}

// missing gives the newest archive if its entries cannot be read.
func (r *Reader) missing() (newest Archive, missing bool) {
	r.restorer.mu.Lock()
	defer r.restorer.mu.Unlock()
	return r.restorer.newest, r.restorer.has < r.restorer.newest.Until
}

// archived says which bodies may be missing, or is nil if none may.
func (r *Reader) archived() func(seq int64) error {
	newest, missing := r.missing()
	if !missing {
		return nil
	}
	return func(seq int64) error {
		if seq == 0 || seq >= newest.Until {
			return errNowhere(seq)
		}
		return nil
	}
}

// errNowhere is the error of an entry whose body no archive has.
func errNowhere(seq int64) error {
	return fmt.Errorf("%w: the body of entry %d is missing, and no archive has it", audit.ErrEntry, seq)
}

// Whole returns ErrArchived if archived entries cannot be read.
func (r *Reader) Whole() error {
	newest, missing := r.missing()
	if !missing {
		return nil
	}
	return fmt.Errorf("%w: %v; name the file with --archive", ErrArchived, &newest)
}
