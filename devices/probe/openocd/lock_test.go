package openocd

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hallmark/fixtures/jlink"
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

// OpenOCD does not look on the network for a probe that is on USB, so such a start waits for no other one.
func TestAProbeOnUSBWaitsForNoOtherStart(t *testing.T) {
	config := Config{Chip: nrf52840(), LockDir: t.TempDir(), USB: t.TempDir()}
	for name, text := range map[string]string{"idVendor": "1366\n", "serial": "000" + serial + "\n"} {
		path := filepath.Join(config.USB, "1-2", name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	bay := connect(t, config, jlink.NewNRF52840()) // which answers on the network all the same
	release, err := acquireStart(t.Context(), config.LockDir)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := bay.Info(ctx); err != nil {
		t.Error(err)
	}
	if err := os.RemoveAll(filepath.Join(config.USB, "1-2")); err != nil {
		t.Fatal(err)
	}
	waiting, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := bay.Info(waiting); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a probe that is not on USB: %v", err)
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
