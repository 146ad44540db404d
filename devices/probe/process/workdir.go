package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// workPrefix begins the name of each working directory of a programmer, in the directory of temporary files.
const workPrefix = "hallmark-programmer-"

// A WorkDir is the working directory of one programmer. Only this user can read it. Its process holds a lock on it, so
// that the next WorkDir removes it if the process was killed.
type WorkDir struct {
	Path string
	lock *os.File
}

// NewWorkDir makes a working directory, and removes those of stations that were killed.
func NewWorkDir() (*WorkDir, error) {
	w, err := newWorkDir(os.TempDir())
	if err != nil {
		return nil, fmt.Errorf("making a working directory: %w", err)
	}
	return w, nil
}

func newWorkDir(parent string) (*WorkDir, error) {
	if err := removeAbandoned(parent); err != nil {
		return nil, err
	}
	for {
		path, err := os.MkdirTemp(parent, workPrefix) // mode 0700
		if err != nil {
			return nil, err
		}
		lock, err := lockDir(path)
		switch {
		case err == nil:
			return &WorkDir{path, lock}, nil
		case !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, os.ErrNotExist):
			return nil, errors.Join(err, os.RemoveAll(path))
		}
		// Another process took the directory for an abandoned one before it was locked.
	}
}

// Remove removes the directory with everything in it.
func (w *WorkDir) Remove() error {
	return errors.Join(removeAll(w.Path), w.lock.Close())
}

// removeAll removes a directory, also if a programmer has left directories in it that their owner may not read or write.
func removeAll(path string) error {
	if os.RemoveAll(path) == nil {
		return nil
	}
	_ = filepath.WalkDir(path, func(path string, entry fs.DirEntry, err error) error { // the second RemoveAll says what is left
		if err == nil && entry.IsDir() {
			return os.Chmod(path, 0o700)
		}
		return nil
	})
	return os.RemoveAll(path)
}

// lockDir locks a directory of this user. The error wraps EWOULDBLOCK if somebody else has the lock, and
// os.ErrNotExist if there is no such directory.
func lockDir(path string) (*os.File, error) {
	dir, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	if err = unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB); err == nil {
		err = isStill(path, dir)
	}
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	return dir, nil
}

// isStill reports an error if the path leads to another directory than the open one.
func isStill(path string, dir *os.File) error {
	open, err := dir.Stat()
	if err != nil {
		return err
	}
	named, err := os.Lstat(path)
	if err == nil && !os.SameFile(open, named) {
		err = os.ErrNotExist
	}
	return err
}

// removeAbandoned removes the directories of this user whose process has ended without removing them.
func removeAbandoned(parent string) error {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		path := filepath.Join(parent, entry.Name())
		if !strings.HasPrefix(entry.Name(), workPrefix) || !isOurs(path) {
			continue
		}
		lock, err := lockDir(path)
		if err != nil {
			continue // in use, or just removed by its process
		}
		_ = (&WorkDir{path, lock}).Remove() // what is left takes room, and each call tries again: it is no reason to refuse a call
	}
	return nil
}

// isOurs reports whether a path is a directory of this user. Everybody may write to the directory of temporary files.
func isOurs(path string) bool {
	var info unix.Stat_t
	return unix.Lstat(path, &info) == nil && info.Mode&unix.S_IFMT == unix.S_IFDIR && info.Uid == uint32(os.Geteuid())
}
