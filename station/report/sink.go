package report

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"hallmark/station/workdir"
)

// Standard is the value of --jsonl that means standard output.
const Standard = "-"

// reportPatience is how long a report waits, after the last Run, for a reader that takes nothing.
const reportPatience = 30 * time.Second

var (
	errSameFile = errors.New("--jsonl and --junit name the same file; want one for each")
	errNoReader = errors.New("nobody has opened this pipe for reading; start its reader first")
	errStandard = errors.New("only --jsonl can go to standard output; name a file")
	errWritten  = errors.New("another batch or shift writes this report; name another file, or wait for its end")
	errNoLines  = errors.New("the file does not end with a JSON line of a Run, so no line is added; name another file")
)

// A sink is an open report. Text goes through a Queue, so that no Run waits for a pipe that
// nobody reads.
type sink struct {
	*Queue
	w    io.Writer
	file *reportFile // w, or nil for standard output, which stays open
}

// A reportFile knows where its last whole record ends, so that half a record can be cut off.
type reportFile struct {
	*os.File
	lines bool // each line is a record; otherwise the whole file is one record

	mu    sync.Mutex // covers the following fields
	size  int64
	whole int64 // octets up to the end of the last whole record
}

// Write is called by the goroutine of the Queue only.
func (f *reportFile) Write(text []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.File.Write(text)
	if end := bytes.LastIndexByte(text[:n], '\n'); f.lines && end >= 0 {
		f.whole = f.size + int64(end) + 1
	}
	f.size += int64(n)
	return n, err
}

// cut removes half a record at the end of a regular file, which a full disk leaves: who reads
// the report, or adds a line to it, finds only whole records. A write that never returned is
// left alone.
func (f *reportFile) cut() error {
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() || !f.mu.TryLock() {
		return err
	}
	defer f.mu.Unlock()
	if f.whole == f.size {
		return nil
	}
	return f.Truncate(f.whole)
}

// openSink opens or makes one report, and returns nil for an empty path. The directory must
// exist. lines says that each line is a record. A report that another process has open as its
// report is refused.
func openSink(path string, lines bool) (*sink, error) {
	if path == "" {
		return nil, nil
	}
	// O_NONBLOCK: opening a named pipe would wait until somebody reads it (fifo(7)).
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY|syscall.O_NONBLOCK, 0o600)
	if errors.Is(err, syscall.ENXIO) {
		return nil, fmt.Errorf("%s: %w", path, errNoReader)
	} else if err != nil {
		return nil, err
	}
	if err := errors.Join(claim(file), keepName(file)); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	report := &reportFile{File: file, lines: lines}
	return &sink{NewQueue(path, report, QueueLimit, reportPatience), report, report}, nil
}

// claim locks a file until it is closed. A file system that has no locks refuses nothing.
func claim(file *os.File) error {
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return err
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
		return fmt.Errorf("%s: %w", file.Name(), errWritten)
	}
	return nil
}

// empty removes the content of an earlier batch from a regular file.
func (s *sink) empty() error {
	if s == nil || s.file == nil {
		return nil
	}
	if info, err := s.file.Stat(); err != nil || !info.Mode().IsRegular() {
		return err
	}
	return s.file.Truncate(0)
}

// unfinished is how long the rest of a JSON line at the end of a file can be, and lineBegin how each line begins.
const unfinished, lineBegin = 1 << 20, `{"run":"`

// follow lets new lines follow those that a regular file has. Half a line, which a power cut leaves, is cut off. A file
// with other text at its end is refused and stays as it is.
func (s *sink) follow() error {
	if s == nil || s.file == nil {
		return nil
	}
	info, err := s.file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return err
	}
	rest := make([]byte, min(info.Size(), unfinished))
	if err := readEnd(s.file.Name(), rest, info.Size()); err != nil {
		return err
	}
	whole := bytes.LastIndexByte(rest, '\n') + 1
	last := rest[whole:]
	before := rest[bytes.LastIndexByte(rest[:max(0, whole-1)], '\n')+1 : whole]
	if !begins(last) || !begins(before) {
		return fmt.Errorf("%s: %w", s.file.Name(), errNoLines)
	}
	s.file.mu.Lock()
	defer s.file.mu.Unlock()
	s.file.whole = info.Size() - int64(len(last))
	s.file.size = s.file.whole
	return s.file.Truncate(s.file.whole)
}

// begins reports whether text is a JSON line of a Run, or the beginning of one.
func begins(text []byte) bool {
	n := min(len(text), len(lineBegin))
	return string(text[:n]) == lineBegin[:n]
}

// readEnd reads the end of a file of this size. The report itself is open for writing only.
func readEnd(path string, end []byte, size int64) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	_, err = file.ReadAt(end, size-int64(len(end)))
	return errors.Join(err, file.Close())
}

// keepName brings the name of a file to the disk. Pipes and devices have no name on a disk.
func keepName(file *os.File) error {
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return err
	}
	return workdir.SyncFolder(filepath.Dir(file.Name()))
}

// standardSink is the report on standard output.
func standardSink(stdout io.Writer) *sink {
	return &sink{NewQueue("standard output", stdout, QueueLimit, reportPatience), stdout, nil}
}

// end writes all text, brings a file to the disk, and closes the file. If text was lost, end
// cuts off half a record.
func (s *sink) end() error {
	if s == nil {
		return nil
	}
	err := s.Flush()
	if s.file == nil {
		if err == nil {
			err = workdir.SyncOutput(s.w)
		}
		return err
	}
	if err != nil {
		err = errors.Join(err, s.file.cut())
	} else {
		err = workdir.SyncOutput(s.file.File)
	}
	return errors.Join(err, s.file.Close())
}
