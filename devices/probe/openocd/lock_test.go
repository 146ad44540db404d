package openocd

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// One start at a time holds the lock, however often the file of the lock goes away, and no file is left.
func TestOneStartAtATime(t *testing.T) {
	dir := t.TempDir()
	var inside, most atomic.Int32
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for range 20 {
				release, err := acquireStart(t.Context(), dir)
				if err != nil {
					t.Error(err)
					return
				}
				if n := inside.Add(1); n > most.Load() {
					most.Store(n)
				}
				inside.Add(-1)
				release()
			}
		})
	}
	all.Wait()
	if most.Load() != 1 {
		t.Errorf("%d starts at once", most.Load())
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

func TestALockThatIsNoFileOfThisUserIsRefused(t *testing.T) {
	dir := t.TempDir()
	release, err := acquireStart(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(names) != 1 {
		t.Fatal(names, err)
	}
	release()
	if err := os.Symlink("/dev/null", names[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := acquireStart(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "opening the lock") {
		t.Errorf("a link: got %v", err)
	}
}
