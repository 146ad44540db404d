package evidence

import (
	"archive/tar"
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"hallmark/station/workdir"
)

// IsTar reports whether a bundle of this name is a tar file.
func IsTar(name string) bool { return strings.HasSuffix(name, ".tar") }

// IsCompressed reports whether a name is that of a compressed archive. A directory of such a name would
// be taken for a file.
func IsCompressed(name string) bool {
	return slices.Contains([]string{".gz", ".tgz", ".bz2", ".xz", ".zst", ".zip"}, strings.ToLower(filepath.Ext(name)))
}

// A writer writes the files of a bundle, and keeps their digests. It works in a directory beside
// the bundle, whose name says that it is unfinished.
type writer struct {
	root   string
	sums   map[string]digest // by path, without those of certificates
	issued []digest          // of the certificates; their names follow from their digests

	archive *archive // nil: the files stay in root
}

// An archive is the tar file under construction.
type archive struct {
	file     *os.File
	buffered *bufio.Writer
	tar      *tar.Writer
}

func newWriter(name string) (*writer, error) {
	root, err := os.MkdirTemp(filepath.Dir(name), "."+filepath.Base(name)+".unfinished-")
	if err != nil {
		return nil, err
	}
	w := &writer{root: root, sums: map[string]digest{}}
	if !IsTar(name) {
		return w, nil
	}
	file, err := os.OpenFile(filepath.Join(root, "bundle.tar"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, errors.Join(err, w.remove())
	}
	buffered := bufio.NewWriterSize(file, 1<<20)
	w.archive = &archive{file, buffered, tar.NewWriter(buffered)}
	return w, nil
}

// remove removes what is left: nothing of a directory that has its name.
func (w *writer) remove() error {
	if w.archive != nil {
		_ = w.archive.file.Close() // closed already, unless writing went wrong
	}
	return os.RemoveAll(w.root)
}

// put writes one small file.
func (w *writer) put(name string, content []byte) error {
	w.sums[name] = sha256.Sum256(content)
	return w.file(name, content)
}

// file writes a small file whose digest is known.
func (w *writer) file(name string, content []byte) error {
	if w.archive != nil {
		if err := w.archive.tar.WriteHeader(headerOf(name, int64(len(content)))); err != nil {
			return err
		}
		_, err := w.archive.tar.Write(content)
		return err
	}
	path := filepath.Join(w.root, filepath.FromSlash(name))
	err := os.WriteFile(path, content, 0o600)
	if errors.Is(err, os.ErrNotExist) {
		if err = os.MkdirAll(filepath.Dir(path), 0o700); err == nil {
			err = os.WriteFile(path, content, 0o600)
		}
	}
	return err
}

// putAll writes several small files in the order of their names.
func (w *writer) putAll(files map[string][]byte) error {
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := w.put(name, files[name]); err != nil {
			return err
		}
	}
	return nil
}

// headerOf gives the header of a file in a tar file. Owner, mode and time are always the same, so
// that equal bundles are equal octet for octet.
func headerOf(name string, size int64) *tar.Header {
	return &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644, ModTime: time.Unix(0, 0), Format: tar.FormatPAX}
}

// hashedFile is a file that is written in many pieces. A tar file takes it when its size is known.
type hashedFile struct {
	w    *writer
	name string
	file *os.File
	sum  hash.Hash
}

func (w *writer) create(name string) (*hashedFile, error) {
	path := filepath.Join(w.root, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_EXCL, 0o600)
	return &hashedFile{w, name, file, sha256.New()}, err
}

func (f *hashedFile) Write(p []byte) (int, error) {
	n, err := f.file.Write(p)
	_, _ = f.sum.Write(p[:n]) // a hash never fails
	return n, err
}

func (f *hashedFile) close() error {
	f.w.sums[f.name] = digest(f.sum.Sum(nil))
	if f.w.archive == nil {
		return f.file.Close()
	}
	return errors.Join(f.pack(), f.file.Close(), os.Remove(f.file.Name()))
}

func (f *hashedFile) pack() error {
	size, err := f.file.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if _, err := f.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if err := f.w.archive.tar.WriteHeader(headerOf(f.name, size)); err != nil {
		return err
	}
	_, err = io.Copy(f.w.archive.tar, f.file)
	return err
}

// publish gives the finished bundle its name. The content is on the disk before the name is. An
// existing file or directory is not replaced.
func (w *writer) publish(name string) error {
	finished := w.root
	sync := func() error { return workdir.Sync(w.root) }
	if a := w.archive; a != nil {
		finished = a.file.Name()
		sync = func() error { return errors.Join(a.tar.Close(), a.buffered.Flush(), a.file.Sync(), a.file.Close()) }
	}
	if err := sync(); err != nil {
		return err
	}
	// Another export may have chosen the same name meanwhile.
	if err := workdir.RenameNew(finished, name); err != nil {
		return err
	}
	return workdir.SyncFolder(filepath.Dir(name))
}

// writeSums writes the digests in the form that `sha256sum -c` reads, sorted by path.
func (w *writer) writeSums() error {
	names := slices.Sorted(maps.Keys(w.sums))
	first, _ := slices.BinarySearch(names, certificateDir)
	slices.SortFunc(w.issued, func(a, b digest) int { return bytes.Compare(a[:], b[:]) })
	return w.stream(SumsFile, func(out io.Writer) error {
		var failed error
		line := func(sum digest, name string) {
			if failed == nil {
				_, failed = fmt.Fprintf(out, "%v  %s\n", sum, name)
			}
		}
		for _, name := range names[:first] {
			line(w.sums[name], name)
		}
		for _, sum := range w.issued {
			line(sum, certificateFile(sum))
		}
		for _, name := range names[first:] {
			line(w.sums[name], name)
		}
		return failed
	})
}
