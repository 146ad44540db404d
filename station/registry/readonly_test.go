package registry

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"hallmark/fixtures/prerequisite"
)

// readOnlyCopy copies the files of a registry to a directory that is mounted read-only, as an
// auditor has them on a medium.
func (b *testRegistry) readOnlyCopy(suffixes ...string) (path string) {
	b.t.Helper()
	if os.Geteuid() != 0 {
		prerequisite.Missing(b.t, "the right to mount", "run the test as root")
	}
	dir := b.t.TempDir()
	for _, suffix := range suffixes {
		content, err := os.ReadFile(b.path + suffix)
		b.must(err)
		b.must(os.WriteFile(filepath.Join(dir, "registry.db"+suffix), content, 0o600))
	}
	content, err := os.ReadFile(MarkOf(b.path))
	b.must(err)
	b.must(os.WriteFile(filepath.Join(dir, "registry.mark"), content, 0o600))
	b.must(unix.Mount(dir, dir, "", unix.MS_BIND, ""))
	b.t.Cleanup(func() { b.must(unix.Unmount(dir, 0)) })
	b.must(unix.Mount("", dir, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	return filepath.Join(dir, "registry.db")
}

func TestARegistryIsReadFromAMediumThatIsReadOnly(t *testing.T) {
	b := newTestRegistry(t)
	b.enrol(b.run())
	running := b.readOnlyCopy("", "-wal") // as a killed station leaves them
	b.must(b.Shutdown())
	closed := b.readOnlyCopy("")
	for name, path := range map[string]string{"of a killed station": running, "of a closed station": closed} {
		t.Run(name, func(t *testing.T) {
			reader, err := OpenReader(t.Context(), path)
			b.must(err)
			defer func() { b.must(reader.Close()) }()
			if _, err := reader.VerifyAudit(t.Context(), b.vkey); err != nil {
				t.Error(err)
			}
			if rows, err := reader.Boards(t.Context(), Filter{}); len(rows) != 1 || err != nil {
				t.Errorf("%d boards, %v", len(rows), err)
			}
		})
	}
}

func TestWhatKeepsARegistryFromBeingReadIsNamed(t *testing.T) {
	b := newTestRegistry(t)
	b.must(b.Shutdown())
	if _, err := OpenReader(t.Context(), filepath.Join(t.TempDir(), "registry.db")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a path that is wrong: %v", err)
	}
	if _, err := OpenReader(t.Context(), filepath.Dir(b.path)); err == nil {
		t.Error("a directory opens")
	}
}

func TestARegistryOfSchema2IsReadFromAMediumThatIsReadOnly(t *testing.T) {
	path, vkey := schema2(t)
	b := &testRegistry{t: t, path: path}
	b.must(execute(t.Context(), path, nil, `PRAGMA journal_mode = wal`)) // as a station leaves the file
	b.must(os.WriteFile(MarkOf(path), nil, 0o600))                       // schema 2 has no mark
	t.Setenv("TMPDIR", t.TempDir())
	reader, err := OpenReader(t.Context(), b.readOnlyCopy(""))
	b.must(err)
	if _, err := reader.VerifyAudit(t.Context(), vkey); err != nil {
		t.Error(err)
	}
	b.must(reader.Close())
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) > 0 {
		t.Errorf("it leaves %v, %v", left, err)
	}
}

// Another program that opens and closes the registry finds the locks of the station: as the last
// one that closes it, SQLite would remove the write-ahead log under the station.
func TestAnotherProgramThatClosesTheRegistryRemovesNothing(t *testing.T) {
	prerequisite.Program(t, "python3", "python3")
	b := newTestRegistry(t)
	b.reopen()
	b.enrol(b.run())
	said, err := exec.Command("python3", "-c", "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1])\nprint(c.execute('SELECT count(*) FROM audit_entry').fetchone())\nc.close()", b.path).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	b.enrol(b.run())
	b.verify()
}
