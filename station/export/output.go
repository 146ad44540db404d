package export

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// An output takes files one after the other.
type output interface {
	create(name string) (io.WriteCloser, error)
}

// fileOutput is one file. The name of the file is already chosen.
type fileOutput struct{ io.Writer }

func (o fileOutput) create(string) (io.WriteCloser, error) { return o, nil }
func (o fileOutput) Close() error                          { return nil }

// folderOutput is a directory.
type folderOutput struct{ folder string }

type bufferedFile struct {
	*bufio.Writer
	file *os.File
}

func (f bufferedFile) Close() error { return errors.Join(f.Flush(), f.file.Close()) }

func (o *folderOutput) create(name string) (io.WriteCloser, error) {
	path := filepath.Join(o.folder, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	return bufferedFile{bufio.NewWriter(file), file}, nil
}

func putAll(to output, files []File) error {
	for _, file := range files {
		w, err := to.create(file.Name)
		if err != nil {
			return err
		}
		_, err = w.Write(file.Content)
		if err = errors.Join(err, w.Close()); err != nil {
			return err
		}
	}
	return nil
}

// A list has an item for each board.
type list struct {
	name                string // of the file; of several files with a verb for the number
	most                int    // items of one file, because the service takes no more; 0: no limit
	head, between, tail string
	item                func(Chain, *Row) ([]byte, error)
}

// items writes the items of a list, and begins a new file when one is full.
type items struct {
	*list
	to      output
	file    io.WriteCloser
	written int // items in file
	files   int
}

func (l *items) add(item []byte) error {
	if l.file != nil && l.most > 0 && l.written == l.most {
		if err := l.end(); err != nil {
			return err
		}
	}
	before := l.between
	if l.file == nil {
		if err := l.begin(); err != nil {
			return err
		}
		before = l.head
	}
	l.written++
	if _, err := io.WriteString(l.file, before); err != nil {
		return err
	}
	_, err := l.file.Write(item)
	return err
}

func (l *items) begin() (err error) {
	l.files++
	l.written = 0
	name := l.name
	if strings.Contains(name, "%") {
		name = fmt.Sprintf(name, l.files)
	}
	l.file, err = l.to.create(name)
	return err
}

// end ends the file under construction, if there is one.
func (l *items) end() error {
	if l.file == nil {
		return nil
	}
	_, err := io.WriteString(l.file, l.tail)
	err = errors.Join(err, l.file.Close())
	l.file = nil
	return err
}
