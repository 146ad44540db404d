package evidence

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Files are the files of a bundle, in a directory or in a tar file. Nothing is unpacked.
type Files struct {
	archive *os.File // nil for a directory
	root    string
	parts   map[string]part
	order   []string // paths in the order of a tar file
	sorted  []string // for Names
}

type part struct{ offset, size int64 }

// Limits of what is opened. A station has a file for each certificate, so a bundle may have certificates of nearly maxFiles
// boards, and the tiles of their entries.
const (
	maxFiles = 5_000_000
	maxPiece = 64 << 20 // octets of a file that is read as a whole; SHA256SUMS and the views are read in pieces
)

// Errors of opening a bundle.
var (
	ErrNoBundle = errors.New("not an evidence bundle: want a directory or a tar file that `station audit export` made")
	ErrUnsafe   = errors.New("the bundle has a file that no bundle has")
	// ErrArchive: the file is no tar file, or its end is missing.
	ErrArchive = errors.New("the tar file cannot be read")
)

// OpenFiles opens a bundle. The caller closes it.
func OpenFiles(name string) (*Files, error) {
	f, err := OpenTree(name)
	if errors.Is(err, ErrArchive) {
		err = fmt.Errorf("%w: %w", ErrNoBundle, err)
	} else if err == nil && f.Size(CheckpointFile) < 0 {
		err = errors.Join(fmt.Errorf("%w: %s has no file %s", ErrNoBundle, name, CheckpointFile), f.Close())
	}
	if err != nil {
		return nil, fmt.Errorf("opening the bundle: %w", err)
	}
	return f, nil
}

// OpenTree opens a directory or a tar file with any regular files. It refuses all other kinds
// of files, paths that leave the directory, and a path that is there twice. The caller closes it.
func OpenTree(name string) (*Files, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	f := &Files{root: name, parts: map[string]part{}}
	if info.IsDir() {
		err = f.readDirectory()
	} else {
		err = f.readArchive(name)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (f *Files) readDirectory() error {
	return filepath.WalkDir(f.root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(f.root, path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return fmt.Errorf("%w: %s is no regular file", ErrUnsafe, name)
		}
		return f.add(filepath.ToSlash(name), part{0, info.Size()})
	})
}

func (f *Files) add(name string, p part) error {
	if _, twice := f.parts[name]; twice {
		return fmt.Errorf("%w: %s is there twice", ErrUnsafe, name)
	}
	if len(f.parts) == maxFiles {
		return fmt.Errorf("%w: more than %d files", ErrUnsafe, maxFiles)
	}
	if err := cleanPath(name); err != nil {
		return fmt.Errorf("%w: %w", ErrUnsafe, err)
	}
	f.parts[name], f.order = p, append(f.order, name)
	return nil
}

// readArchive notes where each file lies. It refuses links, devices and other kinds of entries,
// and sparse files, whose size on the disk says nothing about their size.
func (f *Files) readArchive(name string) (err error) {
	if f.archive, err = os.Open(name); err != nil {
		return err
	}
	in := tar.NewReader(f.archive)
	for {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("%w: %w", ErrArchive, err)
		}
		if header.Typeflag != tar.TypeReg || header.PAXRecords["GNU.sparse.major"] != "" {
			return fmt.Errorf("%w: %q has the type %q", ErrUnsafe, header.Name, header.Typeflag)
		}
		offset, err := f.archive.Seek(0, io.SeekCurrent)
		if err != nil {
			return err
		}
		if err := f.add(header.Name, part{offset, header.Size}); err != nil {
			return err
		}
	}
}

// Close closes the bundle.
func (f *Files) Close() error {
	if f.archive == nil {
		return nil
	}
	return f.archive.Close()
}

// Names gives the paths of all files, sorted. The caller does not change the slice.
func (f *Files) Names() []string {
	if len(f.sorted) != len(f.order) {
		f.sorted = slices.Sorted(slices.Values(f.order))
	}
	return f.sorted
}

// Size gives the size of a file in octets, or -1 if there is no such file.
func (f *Files) Size(name string) int64 {
	if p, ok := f.parts[name]; ok {
		return p.size
	}
	return -1
}

// Open opens one file for reading from its beginning.
func (f *Files) Open(name string) (io.ReadCloser, error) {
	p, ok := f.parts[name]
	switch {
	case !ok:
		return nil, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	case f.archive != nil:
		return io.NopCloser(io.NewSectionReader(f.archive, p.offset, p.size)), nil
	}
	return os.Open(filepath.Join(f.root, filepath.FromSlash(name)))
}

// Read reads one small file.
func (f *Files) Read(name string) ([]byte, error) { return f.readInto(nil, name) }

// readInto reads one small file into the memory of buffer, if that is enough. It gives nil for a
// file that it cannot read.
func (f *Files) readInto(buffer []byte, name string) ([]byte, error) {
	size := f.Size(name)
	if size > maxPiece {
		return nil, fmt.Errorf("%s: %w: it has %d octets", name, ErrUnsafe, size)
	}
	in, err := f.Open(name)
	if err != nil {
		return nil, err
	}
	content := bytes.NewBuffer(buffer[:0])
	content.Grow(int(size) + bytes.MinRead)
	_, err = content.ReadFrom(io.LimitReader(in, maxPiece+1))
	if err = errors.Join(err, in.Close()); err != nil {
		return nil, err
	}
	return content.Bytes(), nil
}
