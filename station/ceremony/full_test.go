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
	"hallmark/station/ceremony"
	"hallmark/station/workdir"
)

const auditKey = `ceremony: audit-key
hsm: {module: softhsm2, token_label: hallmark-test, allow_software_token: true, pin_source: "file:%s"}
key: {label: audit}
out: disk/out
witnesses: [Anna, Ben]
`

// hold holds the ceremony of a file. Nobody confirms the fingerprint.
func hold(t *testing.T, path string) error {
	t.Helper()
	act := fixtures.Must(ceremony.Read(path, "audit-key"))(t)
	act.KeyedIn = func(context.Context) (string, error) { return "", nil }
	return act.Hold(t.Context())
}

// A disk that is full in the middle of a line would end the ceremony for good, with its key on the token.
func TestACeremonyGoesOnAfterTheDiskWasFull(t *testing.T) {
	fixtures.NewToken(t)
	base := t.TempDir()
	disk, path := filepath.Join(base, "disk"), filepath.Join(base, "audit.yaml")
	must(t, os.Mkdir(disk, 0o700))
	must(t, os.WriteFile(path, fmt.Appendf(nil, auditKey, pinFile(t)), 0o600))
	if !mount(t, disk) {
		return
	}
	filler := filepath.Join(disk, "filler")
	fill := func() {
		if err := os.WriteFile(filler, make([]byte, 16<<20), 0o600); !errors.Is(err, unix.ENOSPC) {
			t.Fatalf("the disk is not full: %v", err)
		}
	}
	fill()
	if err := hold(t, path); !errors.Is(err, unix.ENOSPC) || workdir.Exists(filepath.Join(disk, "out")) {
		t.Errorf("before anything was made: got %v", err)
	}
	must(t, os.Remove(filler))
	if err := hold(t, path); !errors.Is(err, ceremony.ErrConfirmed) {
		t.Fatalf("got %v", err)
	}
	fill() // the file of the transcript has some octets left in its last page
	err := hold(t, path)
	for range 8 {
		if !errors.Is(err, ceremony.ErrConfirmed) {
			break
		}
		err = hold(t, path)
	}
	if !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), `the key "audit" with id`) {
		t.Errorf("with a full disk: got %v", err)
	}
	must(t, os.Remove(filler))
	if err := hold(t, path); !errors.Is(err, ceremony.ErrConfirmed) {
		t.Errorf("with space again: got %v", err)
	}
}
