package report

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"hallmark/fixtures/prerequisite"
	"hallmark/station/registry"
	"hallmark/station/workdir"
)

// traced names the directory that the test below writes to when strace runs it.
const traced = "HALLMARK_TEST_TRACED"

// A power cut keeps what was synced, and may lose everything else. So the system calls of an export and of a rename tell what a
// power cut at the end would leave: a file that was synced after its last write and before it got its name, and a
// directory that was synced after its last rename.
func TestAPowerCutAfterAnExportLosesNothing(t *testing.T) {
	if folder := os.Getenv(traced); folder != "" {
		export3(t, folder)
		return
	}
	strace := prerequisite.Program(t, "strace", "strace")
	folder, out := t.TempDir(), filepath.Join(t.TempDir(), "calls")
	cmd := exec.Command(strace, "-f", "-y", "-qq", "-e", "signal=none", "-e", "trace=write,fsync,fdatasync,rename,renameat,renameat2", "-o", out, os.Args[0], "-test.run=^TestAPowerCutAfterAnExportLosesNothing$")
	cmd.Env = append(os.Environ(), traced+"="+folder)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	d := disk{synced: map[string]bool{}, named: map[string]string{}}
	calls, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(calls)) {
		d.call(t, line)
	}
	// Three certificates with their chains, and a file that was renamed.
	if len(d.named) != 7 {
		t.Errorf("%d names: %v", len(d.named), d.named)
	}
	for name, lost := range d.named {
		if lost != "" {
			t.Errorf("%s: %s", name, lost)
		}
	}
}

// export3 writes the files that the test looks at.
func export3(t *testing.T, folder string) {
	c := Certificates{filepath.Join(folder, "certificates"), []byte("issuing")}
	_, err := c.Export(t.Context(), some(3), registry.ActiveFilter{})
	begun := filepath.Join(folder, "begun")
	err = errors.Join(err, os.WriteFile(begun, []byte("whole"), 0o600), workdir.Rename(begun, filepath.Join(folder, "finished")))
	if err != nil {
		t.Fatal(err)
	}
}

// A disk follows what a power cut would leave.
type disk struct {
	synced map[string]bool   // files whose content is on the disk
	named  map[string]string // why a name or its content could be lost; empty: neither can
}

var (
	calledOn = regexp.MustCompile(`^\d+ +(write|fsync|fdatasync)\(\d+<([^>]+)>`)
	renames  = regexp.MustCompile(`^\d+ +rename(?:at2?)?\((?:AT_FDCWD[^,]*, )?"([^"]+)", (?:AT_FDCWD[^,]*, )?"([^"]+)"`)
)

func (d disk) call(t *testing.T, line string) {
	t.Helper()
	if on := calledOn.FindStringSubmatch(line); on != nil {
		name := on[2]
		d.synced[name] = on[1] != "write"
		for at, lost := range d.named {
			if d.synced[name] && filepath.Dir(at) == name && lost == notNamed {
				d.named[at] = ""
			}
		}
	} else if to := renames.FindStringSubmatch(line); to != nil {
		if d.named[to[2]] = notNamed; !d.synced[to[1]] {
			d.named[to[2]] = "it got its name before its content was on the disk"
		}
	}
}

const notNamed = "its directory was not synced after the rename"
