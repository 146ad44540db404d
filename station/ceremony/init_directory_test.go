package ceremony_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"hallmark/fixtures"
	"hallmark/fixtures/prerequisite"
	"hallmark/station/instance"
	"hallmark/station/reason"
	"hallmark/station/workdir"
)

// stoppedLate is stopped as soon as station.yaml is there.
type stoppedLate struct {
	context.Context
	place workdir.Dir
}

func (s stoppedLate) Err() error {
	if workdir.Exists(s.place.Config()) {
		return context.Canceled
	}
	return s.Context.Err()
}

// The token has the mark of a finished station. If the station were removed, the same init would take its own mark for that of another station.
func TestAFinishedStationStaysWhenInitIsStoppedLate(t *testing.T) {
	fixtures.NewToken(t)
	place := workdir.Dir(filepath.Join(t.TempDir(), "D"))
	fixtures.Must(parse(t, fmt.Sprintf(outside, pinFile(t))).Init(stoppedLate{t.Context(), place}, place))(t)
	if workdir.Exists(place.In("init.unfinished")) {
		t.Error("the journal is left")
	}
	opened := fixtures.Must(instance.Open(t.Context(), place, instance.Options{}))(t)
	must(t, opened.Close())
}

// A token that closes badly costs no finished station either.
func TestAFinishedStationStaysWhenItsTokenClosesBadly(t *testing.T) {
	config, fail := closesBadly(t, fmt.Sprintf(outside, pinFile(t)))
	plan, place := parse(t, config), workdir.Dir(filepath.Join(t.TempDir(), "D"))
	plan.DrawFrom(&stopAt{3, fail})
	_, err := plan.Init(t.Context(), place)
	if err == nil || !strings.Contains(err.Error(), "closing the HSM") || !strings.Contains(err.Error(), "is finished") {
		t.Errorf("got %v", err)
	}
	if !workdir.Exists(place.Config()) || workdir.Exists(place.In("init.unfinished")) {
		t.Errorf("station.yaml is there: %v, the journal: %v", workdir.Exists(place.Config()), workdir.Exists(place.In("init.unfinished")))
	}
}

func readOnly(t *testing.T, path string) {
	t.Helper()
	must(t, unix.Mount("", path, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
}

// A refusal comes before the HSM: the PIN file of the configuration is missing, and no refusal is about it.
func TestInitRefusesADirectoryBeforeItOpensTheHSM(t *testing.T) {
	for _, test := range []struct {
		name, config string
		make         func(t *testing.T, base string) (place string)
		want         string
		exit         reason.Exit
	}{
		{"a file of somebody else", outside, func(t *testing.T, base string) string {
			must(t, os.WriteFile(filepath.Join(base, "letter"), nil, 0o600))
			return base
		}, "already in use; a station is never overwritten", reason.ExitUsage},
		{"a file of a station without the journal", outside, func(t *testing.T, base string) string {
			must(t, os.WriteFile(filepath.Join(base, "registry.db"), nil, 0o600))
			return base
		}, "already in use", reason.ExitUsage},
		{"a station beside a journal", outside, func(t *testing.T, base string) string {
			must(t, os.WriteFile(filepath.Join(base, "init.unfinished"), nil, 0o600))
			must(t, os.WriteFile(filepath.Join(base, "station.yaml"), nil, 0o600))
			return base
		}, "already in use", reason.ExitUsage},
		{"a file", outside, func(t *testing.T, base string) string {
			path := filepath.Join(base, "file")
			must(t, os.WriteFile(path, nil, 0o600))
			return path
		}, "want a directory that is new or empty", reason.ExitUsage},
		{"a link that leads nowhere", outside, func(t *testing.T, base string) string {
			path := filepath.Join(base, "link")
			must(t, os.Symlink(filepath.Join(base, "gone"), path))
			return path
		}, "this is a link that leads nowhere", reason.ExitUsage},
		{"below a file", outside, func(t *testing.T, base string) string {
			path := filepath.Join(base, "file")
			must(t, os.WriteFile(path, nil, 0o600))
			return filepath.Join(path, "D")
		}, "no station can be made here", reason.ExitUsage},
		{"a path that is too long", outside, func(t *testing.T, base string) string {
			return base + strings.Repeat("/"+strings.Repeat("d", 200), 3)
		}, "the path has more than 440 octets", reason.ExitUsage},
		{"a name that is too long", outside, func(t *testing.T, base string) string {
			return filepath.Join(base, strings.Repeat("d", 256))
		}, "file name too long", reason.ExitUsage},
		{"a disk that is read-only", outside, func(t *testing.T, base string) string {
			disk := prerequisite.SmallDisk(t, "8m")
			readOnly(t, disk)
			return disk
		}, "read-only file system", reason.ExitUsage},
		{"a disk that is full", strings.Replace(outside, "mib: 0", "mib: 100", 1), func(t *testing.T, base string) string {
			return prerequisite.SmallDisk(t, "8m")
		}, "free", reason.ExitFault},
		{"# for SoftHSM's own configuration", inside, func(t *testing.T, base string) string {
			return filepath.Join(base, "a#b")
		}, "SoftHSM cannot read a path with # or =", reason.ExitUsage},
		{"= for SoftHSM's own configuration", inside, func(t *testing.T, base string) string {
			return filepath.Join(base, "a=b")
		}, "SoftHSM cannot read a path with # or =", reason.ExitUsage},
	} {
		t.Run(test.name, func(t *testing.T) {
			base := t.TempDir()
			place := test.make(t, base)
			before := fixtures.Must(os.ReadDir(base))(t)
			_, err := parse(t, strings.Replace(test.config, "%s", "/missing/pin", 1)).Init(t.Context(), workdir.Dir(place))
			if err == nil || !strings.Contains(err.Error(), test.want) || reason.ExitOf(err) != test.exit {
				t.Errorf("got %v with exit code %d, want %q with %d", err, reason.ExitOf(err), test.want, test.exit)
			}
			if after := fixtures.Must(os.ReadDir(base))(t); len(after) != len(before) {
				t.Errorf("the directory holds %v, before %v", after, before)
			}
		})
	}
	if _, err := workdir.New("/tmp/a\nb"); err == nil {
		t.Error("a path with a line feed is taken")
	}
}

// The keys are on the token when the registry finds no space.
func TestAnInitGoesOnAfterTheDiskWasFull(t *testing.T) {
	token := fixtures.NewToken(t)
	disk, config := prerequisite.SmallDisk(t, "8m"), fmt.Sprintf(outside, pinFile(t))
	filler, place := filepath.Join(disk, "filler"), workdir.Dir(filepath.Join(disk, "D"))
	must(t, os.Mkdir(string(place), 0o700))
	if err := os.WriteFile(filler, make([]byte, 16<<20), 0o600); !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("the disk is not full: %v", err)
	}
	if _, err := parse(t, config).Init(t.Context(), place); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("before anything was made: got %v", err)
	}
	must(t, os.Truncate(filler, 8<<20-64<<10)) // enough for the journal, and not for the registry
	_, err := parse(t, config).Init(t.Context(), place)
	if err == nil || !strings.Contains(err.Error(), "full") && !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), `the key "hallmark-audit" with id`) {
		t.Errorf("with a disk that fills: got %v", err)
	}
	if left := fixtures.Must(os.ReadDir(string(place)))(t); len(left) != 1 || left[0].Name() != "init.unfinished" {
		t.Errorf("the directory holds %v", left)
	}
	must(t, os.Remove(filler))
	fixtures.Must(parse(t, config).Init(t.Context(), place))(t)
	if keys := fixtures.Must(token.Open(t).Keys(t.Context()))(t); len(keys) != 3 {
		t.Errorf("%d keys on the token, want 3", len(keys))
	}
}

func TestInitBuildsInsideTheDirectory(t *testing.T) {
	for _, test := range []struct {
		name, config string
		make         func(t *testing.T, base string) (place string)
	}{
		{"new, with its parents", outside, func(t *testing.T, base string) string { return filepath.Join(base, "a", "b") }},
		{"the working directory", outside, func(t *testing.T, base string) string { t.Chdir(base); return base }},
		{"an empty mount point with lost+found, whose parent cannot be written", outside, func(t *testing.T, base string) string {
			disk := prerequisite.SmallDisk(t, "8m")
			path := filepath.Join(disk, "D")
			must(t, os.Mkdir(path, 0o700))
			must(t, unix.Mount("hallmark-test", path, "tmpfs", 0, "size=8m,mode=0700"))
			t.Cleanup(func() { must(t, unix.Unmount(path, 0)) })
			must(t, os.Mkdir(filepath.Join(path, "lost+found"), 0o700))
			readOnly(t, disk)
			return path
		}},
		{"below a directory of somebody else", outside, func(t *testing.T, base string) string {
			path := filepath.Join(base, "D")
			must(t, os.Mkdir(path, 0o700))
			if os.Geteuid() != 0 { // only root may give a directory away
				must(t, os.Chmod(base, 0o500))
				t.Cleanup(func() { must(t, os.Chmod(base, 0o700)) })
				return path
			}
			must(t, os.Chown(base, 65534, 65534))
			return path
		}},
		{"a link", outside, func(t *testing.T, base string) string {
			path := filepath.Join(base, "link")
			must(t, os.Mkdir(filepath.Join(base, "D"), 0o700))
			must(t, os.Symlink("D", path))
			return path
		}},
		{"characters of patterns", inside, func(t *testing.T, base string) string { return filepath.Join(base, `a[b]\*?`) }},
		{"signs of comments and values, with a token outside", outside, func(t *testing.T, base string) string { return filepath.Join(base, "a#b=c%20") }},
		{"a blank and another script", inside, func(t *testing.T, base string) string { return filepath.Join(base, "Müller 株式") }},
	} {
		t.Run(test.name, func(t *testing.T) {
			fixtures.NewToken(t)
			place := test.make(t, t.TempDir())
			fixtures.Must(parse(t, strings.Replace(test.config, "%s", pinFile(t), 1)).Init(t.Context(), workdir.Dir(place)))(t)
			opened := fixtures.Must(instance.Open(t.Context(), workdir.Dir(place), instance.Options{}))(t)
			must(t, opened.Close())
			if info := fixtures.Must(os.Lstat(place))(t); test.name == "a link" && info.Mode()&os.ModeSymlink == 0 {
				t.Error("the link was replaced")
			}
		})
	}
}
