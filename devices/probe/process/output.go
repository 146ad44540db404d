package process

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"hallmark/devices/probe"
	"hallmark/station/workdir"
)

// output reads what a child prints.
type output struct {
	reader  *os.File
	name    string // the pipe as /proc names it
	line    func(string)
	text    bytes.Buffer
	rest    []byte        // of an unfinished line
	tooMuch chan struct{} // closed after MaxOutput octets
	done    chan struct{} // closed when the output has ended
}

// maxLine is the length of the longest line that is passed on.
const maxLine = 16 << 10

// newOutput returns the output and the end that the child gets.
func newOutput(line func(string)) (*output, *os.File, error) {
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, nil, fmt.Errorf("making a pipe: %w", err)
	}
	var stat unix.Stat_t
	if err := unix.Fstat(int(writer.Fd()), &stat); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("looking at a pipe: %w", err), reader.Close(), writer.Close())
	}
	o := &output{
		reader: reader, name: fmt.Sprintf("pipe:[%d]", stat.Ino), line: line,
		tooMuch: make(chan struct{}), done: make(chan struct{}),
	}
	go o.read()
	return o, writer, nil
}

func (o *output) read() {
	defer close(o.done)
	buffer := make([]byte, 32<<10)
	for {
		n, err := o.reader.Read(buffer)
		if !o.take(buffer[:n]) || err != nil {
			o.lines([]byte("\n"))
			return
		}
	}
}

// take stores octets, and returns false when there are too many.
func (o *output) take(octets []byte) bool {
	room := MaxOutput - o.text.Len()
	full := len(octets) >= room
	octets = octets[:min(len(octets), room)]
	o.text.Write(octets)
	o.lines(octets)
	if full {
		close(o.tooMuch)
	}
	return !full
}

// lines passes complete lines on. A carriage return also ends a line, because progress bars use it.
func (o *output) lines(octets []byte) {
	if o.line == nil {
		return
	}
	o.rest = append(o.rest, octets...)
	for {
		end := bytes.IndexAny(o.rest, "\r\n")
		if end < 0 && len(o.rest) > maxLine {
			o.rest = o.rest[:0] // no text for people: it is not searched again and again
		}
		if end < 0 {
			return
		}
		if end > 0 {
			o.line(string(o.rest[:end]))
		}
		o.rest = o.rest[end+1:]
	}
}

// end returns the whole text, as plain makes it, after the child has ended. A process that left the child's group and still holds
// the output is killed.
func (o *output) end(c *child) (string, error) {
	err := o.drain()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = errors.Join(killHolders(o.name), o.drain())
	}
	return plain(o.text.String()), errors.Join(err, o.close())
}

// drain waits until nobody holds the output any more.
func (o *output) drain() error {
	timer := time.NewTimer(drainBound)
	defer timer.Stop()
	select {
	case <-o.done:
		return nil
	case <-timer.C:
		return fmt.Errorf("reading the programmer's output: %w", os.ErrDeadlineExceeded)
	}
}

// close ends the reader and waits for it.
func (o *output) close() error {
	err := o.reader.Close()
	<-o.done
	return err
}

// killHolders kills each process that has the pipe open, except for this one.
func killHolders(pipe string) error {
	descriptors, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return err
	}
	for _, descriptor := range descriptors {
		name, err := os.Readlink(descriptor)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || name != pipe {
			continue
		}
		pid, err := strconv.Atoi(strings.Split(descriptor, "/")[2])
		if err != nil || pid == os.Getpid() {
			continue
		}
		_ = unix.Kill(pid, unix.SIGKILL) // fails only if it has ended
	}
	return nil
}

// maxFile is the largest file that is read of what a programmer wrote. The largest memory that is read at once has 16 MiB,
// and a programmer may write it as text.
const maxFile = 64 << 20

// ReadIfThere reads a file that a programmer may have written. A programmer that does not work may write a file without
// end, or leave something on whose end a reader would wait for ever.
func ReadIfThere(path string) ([]byte, error) {
	data, err := workdir.ReadUpTo(path, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: reading what the programmer wrote: %w", probe.ErrUnclear, err)
	}
	return data, nil
}

// LastLines returns the last lines of a text, for an error.
func LastLines(text string, n int) string {
	lines := strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' })
	return strings.Join(lines[max(0, len(lines)-n):], " | ")
}
