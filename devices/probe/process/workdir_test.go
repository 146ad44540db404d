package process

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestWhatAKilledStationLeftIsRemovedByTheNextCall(t *testing.T) {
	parent := t.TempDir()
	made := func() *WorkDir {
		t.Helper()
		w, err := newWorkDir(parent)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(w.Path, "work.tcl"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		return w
	}
	abandoned, used := made(), made()
	if err := abandoned.lock.Close(); err != nil { // as at the end of its process
		t.Fatal(err)
	}
	other, link, file := filepath.Join(parent, "hallmark-other"), filepath.Join(parent, workPrefix+"link"), filepath.Join(parent, workPrefix+"file")
	if err := errors.Join(os.Mkdir(other, 0o700), os.Symlink(other, link), os.WriteFile(file, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	last := made()
	for path, want := range map[string]bool{abandoned.Path: false, used.Path: true, last.Path: true, other: true, link: true, file: true} {
		if _, err := os.Lstat(path); (err == nil) != want || err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v, want it there: %t", path, err, want)
		}
	}
	if err := errors.Join(used.Remove(), last.Remove()); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(used.Path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after Remove: %v", err)
	}
}

// Two processes that begin at the same moment may take the new directory of each other for an abandoned one.
func TestADirectoryIsNeverTakenFromItsProcess(t *testing.T) {
	parent := t.TempDir()
	done := make(chan error)
	for range 4 {
		go func() {
			var err error
			for range 100 {
				w, failed := newWorkDir(parent)
				if failed == nil {
					_, failed = os.Stat(w.Path)
					failed = errors.Join(failed, w.Remove())
				}
				err = errors.Join(err, failed)
			}
			done <- err
		}()
	}
	for range 4 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
