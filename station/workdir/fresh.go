package workdir

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"hallmark/station/reason"
)

// Refusals of a new file and of a new directory.
var (
	ErrOtherContent = errors.New("the file exists and has other content; name a new file, or remove this one")
	ErrFolderTaken  = errors.New("the directory is not empty; name a new one, or empty this one")
)

// WriteNew writes a file that does not exist yet, with mode 0600. write gives the content. The file gets its name when
// the whole content is on the disk. A file that has this content already stays, and WriteNew returns false. A file with
// other content is refused.
func WriteNew(path string, write func(io.Writer) error) (written bool, err error) {
	if err := makeFolder(filepath.Dir(path)); err != nil {
		return false, err
	}
	temporary, err := os.CreateTemp(filepath.Dir(path), temporaryPrefix+"*")
	if err != nil {
		return false, fmt.Errorf("writing %s: %w", path, err)
	}
	defer func() {
		if !written {
			err = errors.Join(err, os.Remove(temporary.Name()))
		}
	}()
	sum := sha256.New()
	err = fill(temporary, sum, write)
	if err = errors.Join(err, temporary.Close()); err != nil {
		return false, fmt.Errorf("writing %s: %w", path, err)
	}
	if same, err := hasContent(path, sum); err != nil || same {
		return false, err
	}
	if err := RenameNew(temporary.Name(), path); errors.Is(err, fs.ErrExist) {
		return false, reason.Usage(fmt.Errorf("%s: %w", path, ErrOtherContent))
	} else if err != nil {
		return false, err
	}
	return true, SyncFolder(filepath.Dir(path))
}

func fill(file *os.File, sum io.Writer, write func(io.Writer) error) error {
	buffered := bufio.NewWriterSize(file, 64<<10)
	if err := write(io.MultiWriter(buffered, sum)); err != nil {
		return err
	}
	if err := buffered.Flush(); err != nil {
		return err
	}
	return file.Sync()
}

// hasContent reports whether a file has the content with this SHA-256. It refuses a file with other content, and a
// path that is no regular file.
func hasContent(path string, sum hash.Hash) (bool, error) {
	file, err := Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	} else if err != nil {
		return false, reason.Usage(err)
	}
	defer file.Close()
	held := sha256.New()
	if _, err := io.Copy(held, file); err != nil {
		return false, err
	}
	if !bytes.Equal(held.Sum(nil), sum.Sum(nil)) {
		return false, reason.Usage(fmt.Errorf("%s: %w", path, ErrOtherContent))
	}
	return true, nil
}

// BuildNew makes a directory that does not exist yet, or is empty. fill writes into a directory beside it, which gets
// the name when everything is on the disk.
func BuildNew(path string, fill func(folder string) error) (err error) {
	if err := Dir(path).Vacant(); errors.Is(err, ErrNotEmpty) {
		return reason.Usage(fmt.Errorf("%s: %w", path, ErrFolderTaken))
	} else if err != nil {
		return err
	}
	if err := makeFolder(filepath.Dir(path)); err != nil {
		return err
	}
	stage, err := os.MkdirTemp(filepath.Dir(path), "."+filepath.Base(path)+".unfinished-") // mode 0700
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(stage)) }() // gone already after the rename
	if err := fill(stage); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return Move(Dir(stage), Dir(path))
}

// RenameNew renames and replaces nothing. NFS and other file systems have no RENAME_NOREPLACE (rename(2)); there the
// name is only looked up before.
func RenameNew(from, to string) error {
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) {
		if _, err := os.Lstat(to); err == nil {
			return fmt.Errorf("%s: %w", to, fs.ErrExist)
		}
		return os.Rename(from, to)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", to, err)
	}
	return nil
}
