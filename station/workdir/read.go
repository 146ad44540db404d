package workdir

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// MaxFile is the size of the largest configuration, profile, certificate or key that is read, in octets.
// The bound keeps a wrong path out of memory.
const MaxFile = 64 << 10

// Errors of a file that is read.
var (
	ErrNotRegular = errors.New("this is no regular file; put a regular file in its place")
	ErrTooLarge   = errors.New("the file is too large; name the right file")
)

// Open opens a regular file for reading. O_NONBLOCK matters for a pipe without a writer: without O_NONBLOCK, opening
// this pipe would wait for a writer, and no signal would end the wait.
func Open(path string) (*os.File, error) {
	return openRegular(path, os.O_RDONLY, 0)
}

func openRegular(path string, flags int, mode fs.FileMode) (*os.File, error) {
	file, err := os.OpenFile(path, flags|unix.O_NONBLOCK, mode)
	if errors.Is(err, unix.ENXIO) { // a pipe without a reader, or a socket
		return nil, fmt.Errorf("%s: %w", path, ErrNotRegular)
	} else if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s: %w", path, ErrNotRegular)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// CheckRegular refuses a path that is there and is no regular file. It does not open the file.
func CheckRegular(path string) error {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s: %w", path, ErrNotRegular)
	}
	return nil // a file that is missing is reported by the caller who opens the file
}

// CheckTree is CheckRegular for a path that may also be a directory.
func CheckTree(path string) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil
	}
	return CheckRegular(path)
}

// ReadFile reads a small regular file.
func ReadFile(path string) ([]byte, error) { return ReadUpTo(path, MaxFile) }

// ReadUpTo reads a regular file of at most limit octets.
func ReadUpTo(path string, limit int64) ([]byte, error) {
	file, err := Open(path)
	if err != nil {
		return nil, err
	}
	return readAll(file, limit)
}

// ReadInput reads a file that a person named, which may also be a pipe, such as <(gpg -d FILE) in a shell. A pipe
// that has no writer is empty, and a device such as /dev/zero is too large.
func ReadInput(path string, limit int64) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	return readAll(file, limit)
}

func readAll(file *os.File, limit int64) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = fmt.Errorf("%s: %w: more than %d octets", file.Name(), ErrTooLarge, limit)
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, err
	}
	return text, nil
}
