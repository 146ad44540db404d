package process

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
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

// asUser does something as a user who is not root, on a thread that ends with it.
func asUser(t *testing.T, owned string, do func()) {
	t.Helper()
	const nobody = 65534
	if os.Geteuid() == 0 {
		if err := errors.Join(os.Chmod(filepath.Dir(owned), 0o755), os.Chown(owned, nobody, nobody)); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // without the system call of package syscall, only this thread changes its user
		if os.Geteuid() == 0 {
			if _, _, failed := unix.RawSyscall(unix.SYS_SETRESUID, ^uintptr(0), nobody, ^uintptr(0)); failed != 0 {
				t.Error(failed)
				return
			}
		}
		do()
	}()
	<-done
}

// A programmer may leave a directory that nobody may write, such as the cache of another tool.
func TestADirectoryThatNobodyMayWriteIsRemoved(t *testing.T) {
	parent := t.TempDir()
	asUser(t, parent, func() {
		w, err := newWorkDir(parent)
		if err != nil {
			t.Error(err)
			return
		}
		closed, open := filepath.Join(w.Path, "cache", "closed"), filepath.Join(w.Path, "cache", "open")
		err = errors.Join(os.MkdirAll(closed, 0o700), os.MkdirAll(open, 0o700), os.WriteFile(filepath.Join(open, "file"), nil, 0o400),
			os.Chmod(closed, 0), os.Chmod(open, 0o500), os.Chmod(filepath.Join(w.Path, "cache"), 0o500), w.Remove())
		if _, left := os.Lstat(w.Path); err != nil || !errors.Is(left, fs.ErrNotExist) {
			t.Errorf("%v; %v", err, left)
		}
	})
}

// What cannot be removed is no reason to refuse the next call.
func TestALeftoverThatStaysRefusesNoCall(t *testing.T) {
	parent := t.TempDir()
	asUser(t, parent, func() {
		err := errors.Join(os.Mkdir(filepath.Join(parent, workPrefix+"left"), 0o700), os.Chmod(parent, 0o500)) // so nothing in parent can be removed
		if err = errors.Join(err, removeAbandoned(parent), os.Chmod(parent, 0o700)); err != nil {
			t.Error(err)
		}
	})
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
