package backup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"hallmark/station/workdir"
)

// publish gives a finished directory or tar file its name. The content is on the disk before
// the name is. An existing file or directory is not replaced.
func publish(source, name string) error {
	if err := workdir.Sync(source); err != nil {
		return err
	}
	if err := renameNew(source, name); err != nil {
		return err
	}
	return workdir.Sync(filepath.Dir(name))
}

// renameNew renames and replaces nothing. NFS and other file systems have no
// RENAME_NOREPLACE (rename(2)); there the name is only looked up before.
func renameNew(from, to string) error {
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
