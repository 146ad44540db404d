package registry

import (
	"bytes"
	"errors"
	"fmt"
	"io"
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
	files []watched
}

// watched is one file as the newest check saw it.
type watched struct {
	path   string
	seen   unix.Stat_t
	header []byte // nil for the write-ahead log
}

// headerSize is the size of the header of a database (https://sqlite.org/fileformat2.html#the_database_header).
// Its octets 24 to 27 count the transactions that changed the file.
const headerSize = 100

// newWatch watches the database, and its write-ahead log if there is one.
func newWatch(path string) (*watch, error) {
	database, wal := watched{path: path}, watched{path: path + "-wal"}
	err := unix.Stat(database.path, &database.seen)
	if err == nil {
		database.header, err = readHeader(path)
	}
	if err != nil {
		return nil, fmt.Errorf("looking for the files of the registry: %s: %w", path, err)
	}
	switch err := unix.Stat(wal.path, &wal.seen); {
	case errors.Is(err, fs.ErrNotExist):
		return &watch{[]watched{database}}, nil
	case err != nil:
		return nil, fmt.Errorf("looking for the files of the registry: %s: %w", wal.path, err)
	}
	return &watch{[]watched{database, wal}}, nil
}

func readHeader(path string) (header []byte, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, headerSize))
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
	if err == nil && f.header != nil && now.Mtim != f.seen.Mtim {
		f.header, err = readHeader(f.path)
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
	case now.Ctim != f.seen.Ctim && f.header != nil:
		return f.sameHeader(name)
	}
	return nil
}

// sameHeader is asked after a change of the inode alone: of its mode or its links, or of its
// times by a program that wrote to the file and set the time back.
func (f *watched) sameHeader(name string) error {
	now, err := readHeader(f.path)
	if err == nil && !bytes.Equal(now, f.header) {
		err = errors.New("its header differs")
	}
	if err != nil {
		return fmt.Errorf("%w: another program wrote to %s: %w", ErrReplaced, name, err)
	}
	return nil
}
