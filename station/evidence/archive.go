package evidence

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
)

// A bundle makes one tar file only: files in their order, each with the header of headerOf, padded
// with zeros (POSIX.1-2017 pax, "ustar Interchange Format"), and two blocks of zeros at the end. So
// all octets between the files are known, and a changed octet there is found.

const tarBlock = 512

var errOtherArchive = errors.New("the tar file is not the one that its files make: its headers or the space between the files was changed")

// checkSpace compares all octets of the tar file that belong to no file with those that its files
// make. The content of the files has digests of its own.
func (f *Files) checkSpace() error {
	at, padding := int64(0), 0
	for _, name := range f.order {
		header := &bytes.Buffer{}
		header.Write(make([]byte, padding))
		if err := tar.NewWriter(header).WriteHeader(headerOf(name, f.Size(name))); err != nil {
			return fmt.Errorf("%w: %w", errOtherArchive, err)
		}
		p := f.parts[name]
		if at+int64(header.Len()) != p.offset {
			return errOtherArchive
		}
		if err := f.isAt(header.Bytes(), at); err != nil {
			return err
		}
		at, padding = p.offset+p.size, int(-p.size&(tarBlock-1))
	}
	end := make([]byte, padding+2*tarBlock)
	if info, err := f.archive.Stat(); err != nil {
		return err
	} else if info.Size() != at+int64(len(end)) {
		return errOtherArchive
	}
	return f.isAt(end, at)
}

// isAt compares octets of the tar file.
func (f *Files) isAt(want []byte, at int64) error {
	got := make([]byte, len(want))
	if _, err := f.archive.ReadAt(got, at); errors.Is(err, io.EOF) {
		return errOtherArchive
	} else if err != nil {
		return err
	}
	if !slices.Equal(got, want) {
		return errOtherArchive
	}
	return nil
}
