package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"hallmark/fixtures"
	"hallmark/fixtures/prerequisite"
	"hallmark/station/workdir"
)

// nobody is a user who owns nothing.
const nobody = 65534

// readable gives others the right to read a tree, and to reach it.
func readable(t *testing.T, root string) {
	t.Helper()
	for parent := root; strings.HasPrefix(parent, os.TempDir()+"/"); parent = filepath.Dir(parent) {
		must(t, os.Chmod(parent, 0o755))
	}
	must(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Type()&fs.ModeSymlink != 0 {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		mode := info.Mode().Perm() | 0o444
		if d.IsDir() {
			mode |= 0o111
		}
		return os.Chmod(path, mode)
	}))
}

// What only reads works on a medium that is mounted read-only, as another user with read rights, without HSM and PIN.
func TestReadingNeedsNothing(t *testing.T) {
	needSoftHSM(t)
	if os.Geteuid() != 0 {
		prerequisite.Missing(t, "the right to mount", "run the test as root")
	}
	home := t.TempDir()
	dir := workdir.Dir(filepath.Join(home, "D"))
	if code, _, errs := do(t, "init", "--dir", string(dir)); code != exitPass {
		t.Fatal(errs)
	}
	if code, _, errs := do(t, "batch", "--dir", string(dir), "--boards", "posix:2", "--count", "2", "--firmware", firmwareFolder(t), "--progress", "none"); code != exitPass {
		t.Fatal(errs)
	}
	must(t, os.RemoveAll(dir.HSM()))
	program := filepath.Join(home, "station")
	content := fixtures.Must(os.ReadFile(stationProgram(t)))(t)
	must(t, os.WriteFile(program, content, 0o755))
	readable(t, home)
	must(t, os.Chmod(program, 0o755)) // whatever the umask is
	must(t, unix.Mount(string(dir), string(dir), "", unix.MS_BIND, ""))
	t.Cleanup(func() { must(t, unix.Unmount(string(dir), 0)) })
	must(t, unix.Mount("", string(dir), "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	outside := filepath.Join(home, "outside")
	must(t, os.Mkdir(outside, 0o700))
	must(t, os.Chown(outside, nobody, nobody))
	as := func(args ...string) string {
		t.Helper()
		cmd := exec.Command(program, append(args, "--dir", string(dir))...)
		cmd.Dir, cmd.Env = outside, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + outside, "TMPDIR=" + outside}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("station %s: %v: %s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	board, _, _ := strings.Cut(strings.TrimPrefix(as("boards", "--json"), `{"board_id":"`), `"`)
	for _, test := range []struct {
		args []string
		says string
	}{
		{[]string{"audit", "verify"}, "verified: "},
		{[]string{"audit", "show", "--type", "cert.activated"}, `"type":"cert.activated"`},
		{[]string{"audit", "checkpoint"}, "hallmark/"},
		{[]string{"audit", "export", "--out", "whole.tar"}, "This export will not be on record"},
		{[]string{"audit", "proof", "--board", board, "--out", "part"}, "each with its proof"},
		{[]string{"boards", "--csv"}, board},
		{[]string{"runs", "--json"}, `"ending":"pass"`},
		{[]string{"orders", "--csv"}, "order,product"},
		{[]string{"certificates", "list", "--json"}, `"status":"active"`},
		{[]string{"affected", "--firmware", "0.1.0", "--out", "affected.tar"}, "2 boards are affected"},
	} {
		if out := as(test.args...); !strings.Contains(out, test.says) {
			t.Errorf("station %s says %s, want %q", strings.Join(test.args, " "), out, test.says)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
