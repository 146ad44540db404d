package registry

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// A watch notices that the files of an open registry were replaced, removed or written over.
// SQLite goes on with the files that it has open, and what it commits then is lost.
//
// Only the station writes to these files, and only inside of COMMIT. So between the end of
// one commit and the next COMMIT neither of them may change, whatever its size.
type watch struct {
	path     string
	database *os.File // open until SQLite has closed the database
	files    []watched
}

// watched is one file as the newest check saw it.
type watched struct {
	path     string
	seen     unix.Stat_t
	database *os.File // nil for the write-ahead log
	header   [headerSize]byte
}

// headerSize is the size of the header of a database (https://sqlite.org/fileformat2.html#the_database_header).
// Its octets 24 to 27 count the transactions that changed the file.
const headerSize = 100

// newWatch watches the database, and its write-ahead log if there is one. The caller closes the
// watch after SQLite has closed the database: a process that closes a file loses all its locks
// of the file (https://sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_).
func newWatch(path string) (*watch, error) {
	database, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("looking for the files of the registry: %w", err)
	}
	w := &watch{path: path, database: database}
	return w, w.remember()
}

// remember keeps what the files are now.
func (w *watch) remember() error {
	w.files = []watched{{path: w.path, database: w.database}, {path: w.path + "-wal"}}
	for i := range w.files {
		f := &w.files[i]
		err := unix.Stat(f.path, &f.seen)
		if errors.Is(err, fs.ErrNotExist) && f.database == nil {
			w.files = w.files[:i]
			return nil
		}
		if err == nil {
			err = f.readHeader(&f.header)
		}
		if err != nil {
			return fmt.Errorf("looking for the files of the registry: %s: %w", f.path, err)
		}
	}
	return nil
}

func (w *watch) close() error { return w.database.Close() }

// readHeader reads the header of the database. The write-ahead log has none.
func (f *watched) readHeader(into *[headerSize]byte) error {
	if f.database == nil {
		return nil
	}
	_, err := f.database.ReadAt(into[:], 0)
	return err
}

// check returns ErrReplaced if a path does not name the opened file any more, or if somebody
// wrote to a file since the newest check.
func (w *watch) check() error { return w.each((*watched).unchanged) }

// committed returns ErrReplaced if a path does not name the opened file any more, or if a file
// became shorter. SQLite itself has written to the files since the newest check, and never makes
// them shorter while they are open.
func (w *watch) committed() error { return w.each((*watched).grown) }

func (w *watch) each(check func(f *watched, now *unix.Stat_t) error) error {
	for i := range w.files {
		f := &w.files[i]
		var now unix.Stat_t
		if err := unix.Stat(f.path, &now); err != nil {
			return fmt.Errorf("%w: %s: %w", ErrReplaced, filepath.Base(f.path), err)
		}
		if err := check(f, &now); err != nil {
			return err
		}
		f.seen = now
	}
	return nil
}

// isOpened refuses another file, and one that became shorter.
func (f *watched) isOpened(now *unix.Stat_t) error {
	name := filepath.Base(f.path)
	switch {
	case now.Ino != f.seen.Ino || now.Dev != f.seen.Dev:
		return fmt.Errorf("%w: %s is another file now", ErrReplaced, name)
	case now.Size < f.seen.Size:
		return fmt.Errorf("%w: %s was written over: it had %d octets, now %d", ErrReplaced, name, f.seen.Size, now.Size)
	}
	return nil
}

// grown allows a commit, which may have brought the write-ahead log into the database.
func (f *watched) grown(now *unix.Stat_t) error {
	err := f.isOpened(now)
	if err == nil && now.Mtim != f.seen.Mtim {
		err = f.readHeader(&f.header)
	}
	return err
}

func (f *watched) unchanged(now *unix.Stat_t) error {
	if err := f.isOpened(now); err != nil {
		return err
	}
	name := filepath.Base(f.path)
	switch {
	case now.Size != f.seen.Size:
		return fmt.Errorf("%w: %s was written over: it had %d octets, now %d", ErrReplaced, name, f.seen.Size, now.Size)
	case now.Mtim != f.seen.Mtim:
		return fmt.Errorf("%w: another program wrote to %s", ErrReplaced, name)
	case now.Ctim != f.seen.Ctim:
		return f.sameHeader(name)
	}
	return nil
}

// sameHeader is asked after a change of the inode alone: of its mode or its links, or of its
// times by a program that wrote to the file and set the time back.
func (f *watched) sameHeader(name string) error {
	now := f.header
	err := f.readHeader(&now)
	if err == nil && now != f.header {
		err = errors.New("its header differs")
	}
	if err != nil {
		return fmt.Errorf("%w: another program wrote to %s: %w", ErrReplaced, name, err)
	}
	return nil
}
