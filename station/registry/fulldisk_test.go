package registry

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"hallmark/fixtures/prerequisite"
	"hallmark/station/reason"
)

// onFullDisk copies the registry to a disk that has no free block.
func (b *testRegistry) onFullDisk() string {
	b.t.Helper()
	disk := prerequisite.SmallDisk(b.t, "3m")
	path := filepath.Join(disk, "registry.db")
	b.must(copyFile(b.path, path))
	b.must(copyFile(MarkOf(b.path), MarkOf(path)))
	filler, err := os.Create(filepath.Join(disk, "filler"))
	b.must(err)
	for err == nil {
		_, err = filler.Write(make([]byte, 4096))
	}
	if b.must(filler.Close()); !errors.Is(err, unix.ENOSPC) {
		b.t.Fatal(err)
	}
	return path
}

func TestAFullDiskIsNotTakenForAnotherFile(t *testing.T) {
	b := newTestRegistry(t)
	b.must(b.Shutdown())
	path := b.onFullDisk()
	for name, open := range map[string]func() error{
		"for reading": func() error { _, err := OpenReader(t.Context(), path); return err },
		"at a start":  func() error { _, err := Open(t.Context(), Config{Path: path}); return err },
	} {
		t.Run(name, func(t *testing.T) {
			err := open()
			if errors.Is(err, ErrSchema) || !errors.Is(err, ErrDiskFull) || !strings.Contains(err.Error(), "the disk is full") || reason.ExitOf(err) != reason.ExitFault {
				t.Errorf("got %v", err)
			}
		})
	}
}
