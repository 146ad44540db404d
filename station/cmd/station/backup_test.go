package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"hallmark/fixtures"
	"hallmark/station/workdir"
)

// A backup that SIGKILL stops leaves nothing under its name, and the next backup does not mind
// what it left.
func TestAKilledBackupLeavesNothingUnderItsName(t *testing.T) {
	needSoftHSM(t)
	dir, parent := fixtures.NewDirectory(t), t.TempDir()
	if err := os.Mkdir(dir.Certificates(), 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range 5000 { // so that the backup is under way for a while
		if err := os.WriteFile(dir.In("certificates", fmt.Sprintf("%d.pem", i)), []byte("certificate\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"B", "B.tar"} {
		killBackup(t, dir, filepath.Join(parent, name))
		if workdir.Exists(filepath.Join(parent, name)) || workdir.Exists(dir.Notices()) {
			t.Errorf("a killed backup left %s, or a notice", name)
		}
	}
	if code, _, errs := do(t, "backup", "--dir", string(dir), "--to", filepath.Join(parent, "B")); code != exitPass {
		t.Error(errs)
	}
}

// killBackup kills a backup when it has begun to copy.
func killBackup(t *testing.T, dir workdir.Dir, to string) {
	t.Helper()
	cmd := exec.Command(stationProgram(t), "backup", "--dir", string(dir), "--to", to)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pattern := filepath.Join(filepath.Dir(to), "."+filepath.Base(to)+".unfinished-*", "*")
	for begun := time.Now(); len(fixtures.Must(filepath.Glob(pattern))(t)) == 0; time.Sleep(time.Millisecond) {
		if time.Since(begun) > time.Minute {
			t.Error("the backup did not begin to copy")
			break
		}
	}
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait() // it was killed
	if !cmd.ProcessState.Sys().(syscall.WaitStatus).Signaled() {
		t.Error("the backup ended before the kill")
	}
}
