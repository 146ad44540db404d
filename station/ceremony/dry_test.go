package ceremony_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hallmark/fixtures"
	"hallmark/fixtures/prerequisite"
	"hallmark/station/ceremony"
)

// What keeps the results from being written is found without the HSM: --dry-run ends after Read.
func TestADirectoryThatCannotBeMadeIsFoundInADryRun(t *testing.T) {
	base := t.TempDir()
	disk := prerequisite.SmallDisk(t, "1m")
	readOnly(t, disk)
	must(t, os.WriteFile(filepath.Join(base, "file"), nil, 0o600))
	for out, want := range map[string]string{
		"out":                      "",
		"none/out":                 "none, in which out is to be made, does not exist; make it first, or name another directory in out",
		"file/out":                 "exists and is no directory that can be read; name a new directory in out",
		filepath.Join(disk, "out"): "is on a file system that cannot be written; name a directory elsewhere in out",
	} {
		path := filepath.Join(base, "audit.yaml")
		must(t, os.WriteFile(path, fmt.Appendf(nil, auditKey, "/nonexistent/pin", out), 0o600))
		_, err := ceremony.Read(path, "audit-key")
		if want == "" && err != nil || want != "" && (!errors.Is(err, ceremony.ErrOutput) || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v", out, err)
		}
	}
}

// The directory of a stopped ceremony is for its file only, and a dry run says so as the ceremony does.
func TestTheTranscriptOfAnotherFileIsFoundInADryRun(t *testing.T) {
	fixtures.NewToken(t)
	path := filepath.Join(t.TempDir(), "audit.yaml")
	text := fmt.Sprintf(auditKey, pinFile(t), "out")
	must(t, os.WriteFile(path, []byte(text), 0o600))
	if err := hold(t, path); !errors.Is(err, ceremony.ErrConfirmed) || !strings.Contains(err.Error(), "nothing was given; compare it") {
		t.Fatal(err)
	}
	must(t, os.WriteFile(path, []byte(text+"# changed\n"), 0o600))
	if _, err := ceremony.Read(path, "audit-key"); !errors.Is(err, ceremony.ErrOutput) || !strings.Contains(err.Error(), "holds a stopped ceremony of another file") {
		t.Errorf("got %v", err)
	}
}
