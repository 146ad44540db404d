package openocd

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
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
	before := bay.jlink.Sessions()
	waiting, give := context.WithCancel(t.Context())
	defer give()
	look := work{limit: defaultLimit, line: func(line string) {
		if line == reportPrefix+"asks" {
			time.AfterFunc(100*time.Millisecond, give)
		}
	}}
	if _, err := bay.Probe.(*device).do(waiting, &look); !errors.Is(err, context.Canceled) || bay.jlink.Sessions() != before {
		t.Errorf("a probe that is not on USB: %v, and %d connections to it", err, bay.jlink.Sessions()-before)
	}
}

// An OpenOCD starts and reads its scripts while another one looks for its probe.
func TestOnlyTheSearchForTheProbeTakesTheLock(t *testing.T) {
	config := Config{Chip: nrf52840(), LockDir: t.TempDir()}
	bay := connect(t, config, jlink.NewNRF52840())
	release, err := acquireStart(t.Context(), config.LockDir)
	if err != nil {
		t.Fatal(err)
	}
	free := sync.OnceFunc(release)
	defer free()
	look := work{limit: defaultLimit, line: func(line string) {
		if line == reportPrefix+"asks" {
			free()
		}
	}}
	if _, err := bay.Probe.(*device).do(t.Context(), &look); err != nil || bay.jlink.Sessions() != 1 {
		t.Errorf("%v, and %d connections", err, bay.jlink.Sessions())
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

// Only a directory in which nobody else may write holds the lock, and no link is followed.
func TestTheLockLiesInAPrivateDirectory(t *testing.T) {
	user := strconv.Itoa(os.Geteuid())
	makes := func(mode os.FileMode) func(string) error {
		return func(path string) error { return errors.Join(os.Mkdir(path, 0o700), os.Chmod(path, mode)) }
	}
	links := func(path string) error { return os.Symlink(os.TempDir(), path) }
	nothing := func(string) error { return nil }
	const inRun, inTemp, refused = "run", "temp", ""
	for _, test := range []struct {
		name      string
		run, temp func(path string) error
		want      string
	}{
		{"the directory of the session", makes(0o700), nothing, inRun},
		{"no directory of the session", nothing, nothing, inTemp},
		{"no directory of the session, and one from an earlier start", nothing, makes(0o700), inTemp},
		{"others may write in the directory of the session", makes(0o777), nothing, inTemp},
		{"the directory of the session is a link", links, nothing, inTemp},
		{"others may write in both", makes(0o770), makes(0o702), refused},
		{"both are links", links, links, refused},
		{"a file has the name", nothing, func(path string) error { return os.WriteFile(path, nil, 0o600) }, refused},
	} {
		t.Run(test.name, func(t *testing.T) {
			paths := map[string]string{inRun: filepath.Join(t.TempDir(), user), inTemp: filepath.Join(t.TempDir(), "hallmark-"+user)}
			if err := errors.Join(test.run(paths[inRun]), test.temp(paths[inTemp])); err != nil {
				t.Fatal(err)
			}
			got, err := privateDir(filepath.Dir(paths[inRun]), filepath.Dir(paths[inTemp]))
			if test.want == refused && (err == nil || !strings.Contains(err.Error(), paths[inTemp])) || test.want != refused && (err != nil || got != paths[test.want]) {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

func TestADirectoryOfAnotherUserHoldsNoLock(t *testing.T) {
	path := t.TempDir()
	if err := os.Chown(path, 65534, -1); err != nil {
		path = "/" // of root, or of nobody in the namespace of a user who is not root
	}
	if err := checkPrivate(path); err == nil || !strings.Contains(err.Error(), "owner") {
		t.Errorf("got %v", err)
	}
}

func TestTheDirectoryForLocksIsPreferred(t *testing.T) {
	there := t.TempDir()
	for locks, want := range map[string]string{there: there, filepath.Join(there, "missing"): os.TempDir()} {
		if got := sharedDir(locks); got != want {
			t.Errorf("%s: got %s, want %s", locks, got, want)
		}
	}
}
