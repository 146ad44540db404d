package backup

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"hallmark/station/workdir"
)

// publish gives a finished directory its name: as it is, or packed into a tar file. The
// content is on the disk before the name is. An existing file or directory is not replaced.
func publish(ctx context.Context, stage, name string, p *pace) (err error) {
	source := stage
	if isTar(name) {
		source = stage + ".tar"
		defer func() { err = errors.Join(err, removed(source)) }()
		if err := pack(ctx, stage, source, p); err != nil {
			return err
		}
	}
	if err := workdir.Sync(source); err != nil {
		return err
	}
	if err := renameNew(source, name); err != nil {
		return err
	}
	return workdir.Sync(filepath.Dir(name))
}

// removed removes a file that may be gone already.
func removed(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
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

// pack makes a tar file of a directory. Each file has the mode 0600.
func pack(ctx context.Context, dir, to string, p *pace) (err error) {
	file, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	out := tar.NewWriter(file)
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		return packFile(ctx, out, dir, path, p)
	})
	if err != nil {
		return err
	}
	return out.Close()
}

func packFile(ctx context.Context, out *tar.Writer, dir, path string, p *pace) error {
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	name, err := filepath.Rel(dir, path)
	if err != nil {
		return err
	}
	header := &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: info.Size(), Mode: 0o600, ModTime: time.Unix(0, 0), Format: tar.FormatPAX}
	if err := out.WriteHeader(header); err != nil {
		return err
	}
	return inPieces(ctx, out, in, p)
}
