package registry

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"hallmark/station/workdir"
)

// within fails the test if a call does not come back.
func within(t *testing.T, do func() error) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- do() }()
	select {
	case err := <-done:
		return err
	case <-time.After(10 * time.Second):
		t.Fatal("the call waits for the other end of a pipe")
		return nil
	}
}

// Nobody holds up a station with a pipe in the place of a file that SQLite keeps beside the registry.
func TestAPipeBesideTheRegistryIsRefused(t *testing.T) {
	for _, suffix := range []string{"-journal", "-wal", "-shm"} {
		t.Run(suffix, func(t *testing.T) {
			b := newTestRegistry(t)
			b.must(b.Shutdown())
			_ = os.Remove(b.path + suffix)
			b.must(syscall.Mkfifo(b.path+suffix, 0o600))
			for name, do := range map[string]func() error{
				"start":  func() error { _, err := Open(t.Context(), b.config()); return err },
				"reader": func() error { _, err := OpenReader(t.Context(), b.path); return err },
				"backup": func() error {
					_, err := Backup(t.Context(), b.path, filepath.Join(t.TempDir(), "copy.db"), func(_ context.Context, piece func() error) error { return piece() })
					return err
				},
			} {
				if err := within(t, do); !errors.Is(err, workdir.ErrNotRegular) {
					t.Errorf("%s: got %v", name, err)
				}
			}
		})
	}
}

// The unfinished mark of a start that was killed is made anew, whatever lies there now.
func TestTheMarkIsMadeAnewInThePlaceOfAPipeOrALink(t *testing.T) {
	b := newTestRegistry(t)
	b.must(b.Shutdown())
	other := filepath.Join(t.TempDir(), "other")
	b.must(os.WriteFile(other, []byte("other"), 0o600))
	for name, lay := range map[string]func(path string) error{
		"a pipe": func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"a link": func(path string) error { return os.Symlink(other, path) },
	} {
		b.must(lay(MarkOf(b.path) + ".unfinished"))
		if err := within(t, func() error {
			r, err := Open(t.Context(), b.config())
			if err == nil {
				err = r.Shutdown()
			}
			return err
		}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if content, err := os.ReadFile(other); err != nil || string(content) != "other" {
		t.Errorf("the other file has %q, %v", content, err)
	}
}

// A view in the place of a table never ends, or shows what no row has.
func TestAViewInThePlaceOfATableIsRefusedBeforeItIsRead(t *testing.T) {
	for name, made := range map[string]string{
		"a view that never ends": `CREATE VIEW holds AS WITH RECURSIVE r (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r) SELECT '' AS board_id, '' AS since, '' AS reason FROM r WHERE x < 0`,
		"a view without rows":    `CREATE VIEW holds AS SELECT '' AS board_id, '' AS since, '' AS reason WHERE 0`,
		"a virtual table":        `CREATE VIRTUAL TABLE holds USING rtree (board_id, since, reason)`,
	} {
		t.Run(name, func(t *testing.T) {
			b := newTestRegistry(t)
			b.must(b.Shutdown())
			reader, err := OpenReader(t.Context(), b.path)
			b.must(err)
			defer reader.Close()
			b.tamper(`DROP TRIGGER hold_stays`, `DROP TABLE holds`, made)
			// A reader that was open already, a list or a server, and a start.
			for who, use := range map[string]func() error{
				"verifying": func() error { _, err := reader.VerifyAudit(t.Context(), b.vkey); return err },
				"reading": func() error {
					again, err := OpenReader(t.Context(), b.path)
					if err == nil {
						b.must(again.Close())
					}
					return err
				},
				"opening": func() error { _, err := Open(t.Context(), b.config()); return err },
			} {
				if err := within(t, use); !errors.Is(err, ErrSchemaChanged) {
					t.Errorf("%s: got %v", who, err)
				}
			}
		})
	}
}
