package registry

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// noPause is a Pace without a rest.
func noPause(ctx context.Context, piece func() error) error {
	return errors.Join(piece(), ctx.Err())
}

// opensAs opens a copy as a station does, and verifies it.
func (b *testRegistry) opensAs(path string) *testRegistry {
	b.t.Helper()
	copied := &testRegistry{t: b.t, path: path, key: b.key, vkey: b.vkey, now: time.Now}
	copied.open()
	copied.verify()
	return copied
}

func TestBackupIsOfOneMomentWhileTheStationWrites(t *testing.T) {
	b := newTestRegistry(t)
	for range 20 {
		b.enrol(b.run())
	}
	to := filepath.Join(t.TempDir(), "registry.db")
	before, pieces := b.log.Head(), 0
	head, err := Backup(t.Context(), b.path, to, func(ctx context.Context, piece func() error) error {
		if pieces++; pieces > 1 {
			b.enrol(b.run()) // between two pieces of the copy
		}
		return noPause(ctx, piece)
	})
	b.must(err)
	if head != before {
		t.Errorf("the copy has the head %v, want that of the moment when the copy began: %v", head, before)
	}
	for _, left := range []string{"-wal", "-shm", "-journal"} {
		if _, err := os.Stat(to + left); err == nil {
			t.Errorf("the copy has a file %s beside it", left)
		}
	}
	if marked, err := readMark(MarkOf(to)); err != nil || marked != head {
		t.Errorf("the mark of the copy says %v, %v; want %v", marked, err, head)
	}
	copied := b.opensAs(to)
	copied.enrol(copied.run())
	copied.verify()
	b.enrol(b.run())
	b.verify()
}

func TestBackupOfALargeRegistryTakesManyPieces(t *testing.T) {
	b := newTestRegistry(t)
	for range 200 {
		b.enrol(b.run())
	}
	pieces := 0
	count := func(ctx context.Context, piece func() error) error {
		if pieces++; pieces%2 == 0 {
			b.enrol(b.run())
		}
		return noPause(ctx, piece)
	}
	to := filepath.Join(t.TempDir(), "registry.db")
	if _, err := Backup(t.Context(), b.path, to, count); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(to)
	b.must(err)
	if want := int(info.Size()) / (pagesPerPiece * 4096); pieces < want || pieces > want+2 {
		t.Errorf("%d pieces for %d octets: SQLite began again, or copied more at once", pieces, info.Size())
	}
	b.opensAs(to)
}

func TestBackupRefusesWhatItsMarkRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		harm func(b *testRegistry)
		want error
	}{
		"an older registry under its newer mark": {func(b *testRegistry) {
			b.must(os.Rename(b.path+".old", b.path))
			b.must(os.RemoveAll(b.path + "-wal"))
		}, ErrOlder},
		"a mark that is missing":       {func(b *testRegistry) { b.must(os.Remove(MarkOf(b.path))) }, ErrMarkMissing},
		"a mark that cannot be read":   {func(b *testRegistry) { b.must(os.WriteFile(MarkOf(b.path), []byte("mark"), 0o600)) }, ErrMark},
		"a file that is no registry":   {func(b *testRegistry) { b.must(os.WriteFile(b.path, []byte("no registry, but text"), 0o600)) }, ErrSchema},
		"a registry that is not there": {func(b *testRegistry) { b.must(os.Remove(b.path)) }, os.ErrNotExist},
	} {
		t.Run(name, func(t *testing.T) {
			b := newTestRegistry(t)
			b.must(b.Shutdown())
			old, err := os.ReadFile(b.path)
			b.must(err)
			b.must(os.WriteFile(b.path+".old", old, 0o600))
			b.open()
			b.enrol(b.run())
			b.must(b.Shutdown())
			c.harm(b)
			if _, err := Backup(t.Context(), b.path, filepath.Join(t.TempDir(), "registry.db"), noPause); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestBackupReplacesNoFileAndEndsWithItsContext(t *testing.T) {
	b := newTestRegistry(t)
	to := filepath.Join(t.TempDir(), "registry.db")
	b.must(os.WriteFile(to, nil, 0o600))
	if _, err := Backup(t.Context(), b.path, to, noPause); !errors.Is(err, os.ErrExist) {
		t.Errorf("got %v, want that the file exists", err)
	}
	ended, end := context.WithCancel(t.Context())
	late := func(ctx context.Context, piece func() error) error {
		end()
		return noPause(ctx, piece)
	}
	if _, err := Backup(ended, b.path, to+".2", late); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that the context ended", err)
	}
}

func TestBackupOfAnOlderSchemaIsMigratedByTheNextStart(t *testing.T) {
	path, vkey := schema2(t)
	to := filepath.Join(t.TempDir(), "registry.db")
	head, err := Backup(t.Context(), path, to, noPause)
	must(t, err)
	r, err := Open(t.Context(), Config{Path: to, Station: "demo"})
	must(t, err)
	report, err := r.VerifyAudit(t.Context(), vkey)
	must(t, err)
	if report.Size <= head.Size {
		t.Errorf("%d entries after the migration, %d in the backup", report.Size, head.Size)
	}
	must(t, r.Shutdown())
}
