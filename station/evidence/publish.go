package evidence

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// IsTar reports whether a bundle of this name is a tar file.
func IsTar(name string) bool { return strings.HasSuffix(name, ".tar") }

// publish gives a finished directory its name: as it is, or packed into a tar file. The
// content is on the disk before the name is. An existing file or directory is not replaced.
func publish(finished, name string) error {
	source := finished
	if IsTar(name) {
		packed, err := pack(finished)
		if err != nil {
			return err
		}
		defer os.Remove(packed) // gone already after the rename
		source = packed
	}
	if err := syncFileSystem(source); err != nil {
		return err
	}
	// RENAME_NOREPLACE: rename(2). Another export may have chosen the same name meanwhile.
	if err := unix.Renameat2(unix.AT_FDCWD, source, unix.AT_FDCWD, name, unix.RENAME_NOREPLACE); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return syncFileSystem(filepath.Dir(name))
}

func syncFileSystem(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(int(f.Fd())), f.Close())
}

// pack makes a tar file beside the directory. Owner, mode and time of each file are always the
// same, so that equal bundles are equal octet for octet.
func pack(dir string) (path string, err error) {
	file, err := os.CreateTemp(filepath.Dir(dir), filepath.Base(dir)+"-*.tar")
	if err != nil {
		return "", err
	}
	defer func() {
		if err = errors.Join(err, file.Close()); err != nil {
			err = errors.Join(err, os.Remove(file.Name()))
		}
	}()
	files := &Files{root: dir, parts: map[string]part{}}
	if err := files.readDirectory(); err != nil {
		return "", err
	}
	return file.Name(), files.packTo(file)
}

// packTo writes the only tar file that a bundle with these files has.
func (f *Files) packTo(w io.Writer) error {
	out := tar.NewWriter(w)
	for _, name := range f.Names() {
		if err := f.packFile(out, name); err != nil {
			return err
		}
	}
	return out.Close()
}

func (f *Files) packFile(out *tar.Writer, name string) error {
	in, err := f.Open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	header := &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: f.Size(name), Mode: 0o644, ModTime: time.Unix(0, 0), Format: tar.FormatPAX}
	if err := out.WriteHeader(header); err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return err
}
