package workdir

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestAReadOfASmallFileHasAnEnd(t *testing.T) {
	in := func(name string, content []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	full := bytes.Repeat([]byte{'x'}, MaxFile)
	for name, test := range map[string]struct {
		path        string
		file, input error // of ReadFile, of ReadInput
		want        []byte
	}{
		"a file":                  {in("a", []byte("text")), nil, nil, []byte("text")},
		"a file of the full size": {in("b", full), nil, nil, full},
		"a larger file":           {in("c", append(full, 'x')), ErrTooLarge, ErrTooLarge, nil},
		"a pipe without a writer": {fifo, ErrNotRegular, nil, nil},
		"an endless device":       {"/dev/zero", ErrNotRegular, ErrTooLarge, nil},
		"a directory":             {t.TempDir(), ErrNotRegular, unix.EISDIR, nil},
		"nothing":                 {filepath.Join(t.TempDir(), "none"), fs.ErrNotExist, fs.ErrNotExist, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ReadFile(test.path)
			if !errors.Is(err, test.file) || err == nil && !bytes.Equal(got, test.want) {
				t.Errorf("ReadFile: %d octets, %v", len(got), err)
			}
			got, err = ReadInput(test.path, MaxFile)
			if !errors.Is(err, test.input) || err == nil && !bytes.Equal(got, test.want) {
				t.Errorf("ReadInput: %d octets, %v", len(got), err)
			}
		})
	}
}

func TestALogThatIsAPipeIsRefused(t *testing.T) {
	dir := Dir(t.TempDir())
	if err := os.Mkdir(filepath.Dir(dir.LogFile()), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(dir.LogFile(), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := dir.OpenLog(nil); !errors.Is(err, ErrNotRegular) {
		t.Errorf("got %v", err)
	}
}
