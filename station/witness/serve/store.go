package serve

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"hallmark/station/reason"
	"hallmark/station/witness"
	"hallmark/station/workdir"
)

// maxLogs is the size of the longest list of logs, about ten thousand of them.
const maxLogs = 1 << 20

// A Store is the open directory of a witness. Its methods are safe for concurrent use.
type Store struct {
	dir             string
	witness, mirror *witness.Key
	logs            map[string]*log // by origin
	byHash          map[string]*log
	now             func() time.Time
	lock            *os.File
}

// Open opens the directory of a witness and checks what lies there. now is the clock of cosignatures.
func Open(dir string, now func() time.Time) (_ *Store, err error) {
	s := &Store{dir: dir, logs: map[string]*log{}, byHash: map[string]*log{}, now: now}
	if s.witness, err = readKey(filepath.Join(dir, witnessKey)); err != nil {
		return nil, err
	}
	if s.mirror, err = readKey(filepath.Join(dir, mirrorKey)); err != nil {
		return nil, err
	}
	if s.lock, err = lock(dir); err != nil {
		return nil, err
	}
	if err := s.readLogs(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Store) readLogs() error {
	path := filepath.Join(s.dir, logsFile)
	text, err := workdir.ReadUpTo(path, maxLogs)
	if err != nil {
		return fmt.Errorf("reading the list of logs: %w", err)
	}
	logs, err := parseLogs(string(text))
	if err != nil {
		return reason.Usage(fmt.Errorf("%s: %w", path, err))
	}
	for origin, key := range logs {
		l, err := openLog(s, origin, key)
		if err != nil {
			return fmt.Errorf("opening the state of the log %s: %w", origin, err)
		}
		s.logs[origin], s.byHash[witness.OriginHash(origin)] = l, l
	}
	return nil
}

// Close gives the directory free.
func (s *Store) Close() error { return s.lock.Close() }

// removeTemporary removes what a killed process had begun to write anywhere below a directory.
func removeTemporary(root string) error {
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		return workdir.RemoveTemporary(path)
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
