package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"hallmark/fixtures/prerequisite"
	"hallmark/station/evidence"
	"hallmark/station/registry"
)

// The test kills `audit archive` as soon as it sees each of its traces: the unfinished bundle, the bundle, the entry of
// the intent, the archive. Before the archive is in the registry all bodies are there; after that the bundle is
// whole. The station starts in both cases.
func TestArchivingKilledAtAnyMomentLosesNothing(t *testing.T) {
	needSoftHSM(t)
	firmware, program := firmwareFolder(t), stationProgram(t)
	parent := t.TempDir()
	dir := filepath.Join(parent, "D")
	ok(t, "init", "--dir", dir)
	batch := []string{"batch", "--dir", dir, "--boards", "posix:4", "--count", "4", "--firmware", firmware, "--progress", "none"}
	ok(t, batch...)
	var earlier []string
	for name, trace := range map[string]func(out string) bool{
		"unfinished": func(out string) bool {
			found, _ := filepath.Glob(filepath.Join(parent, "."+filepath.Base(out)+".unfinished-*"))
			return len(found) > 0
		},
		"bundle":   func(out string) bool { _, err := os.Stat(out); return err == nil },
		"intent":   func(string) bool { return showsType(t, dir, "log.archive.intent") },
		"archived": func(string) bool { return len(archivesOf(t, dir)) > len(earlier) },
	} {
		out := filepath.Join(parent, name+".tar")
		arguments := []string{"audit", "archive", "--dir", dir, "--out", out, "--until", "2999-01-01"}
		arguments = append(arguments, flags(earlier)...)
		cmd := exec.Command(program, arguments...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		killed := killOnTrace(cmd, ended, func() bool { return trace(out) })
		t.Logf("%s: killed %v", name, killed)
		if known := archivesOf(t, dir); len(known) > len(earlier) {
			earlier = append(earlier, out)
		}
		if text := ok(t, append([]string{"audit", "verify", "--dir", dir}, flags(earlier)...)...); !strings.HasPrefix(text, "verified") {
			t.Errorf("%s, killed %v: %s", name, killed, text)
		}
		ok(t, batch...)
	}
	out := filepath.Join(parent, "last.tar")
	ok(t, append([]string{"audit", "archive", "--dir", dir, "--out", out, "--until", "2999-01-01"}, flags(earlier)...)...)
	ok(t, "audit", "verify", "--dir", dir, "--archive", out)
	proves(t, dir, out)
}

// Nothing is removed if the bundle does not fit on its disk, and nothing lies there afterwards.
func TestAnArchiveOnAFullDiskRemovesNothing(t *testing.T) {
	needSoftHSM(t)
	dir, disk := filepath.Join(t.TempDir(), "D"), prerequisite.SmallDisk(t, "64k")
	ok(t, "init", "--dir", dir)
	ok(t, "batch", "--dir", dir, "--boards", "posix:2", "--count", "2", "--firmware", firmwareFolder(t), "--progress", "none")
	code, _, errs := do(t, "audit", "archive", "--dir", dir, "--out", filepath.Join(disk, "old.tar"), "--until", "2999-01-01")
	if code != exitFault || !strings.Contains(errs, "no space left on device") {
		t.Errorf("exit code %d, %s", code, errs)
	}
	if left, err := os.ReadDir(disk); err != nil || len(left) > 0 {
		t.Errorf("%v lies on the disk, %v", left, err)
	}
	if text := ok(t, "audit", "verify", "--dir", dir); !strings.HasPrefix(text, "verified") || len(archivesOf(t, dir)) > 0 {
		t.Error(text)
	}
}

// proves checks that the birth record of a board from the archive is made with the archive, and refused without it.
func proves(t *testing.T, dir, archive string) {
	t.Helper()
	reader, err := registry.OpenReader(t.Context(), filepath.Join(dir, "registry.db"))
	if err != nil {
		t.Fatal(err)
	}
	boards, err := reader.Boards(t.Context(), registry.Filter{Limit: 1})
	if err = errors.Join(err, reader.Close()); err != nil || len(boards) != 1 {
		t.Fatal(boards, err)
	}
	out := filepath.Join(t.TempDir(), "board.tar")
	proof := []string{"audit", "proof", "--dir", dir, "--board", boards[0].BoardID.String(), "--out", out}
	if code, _, errs := do(t, proof...); code != exitUsage || !strings.Contains(errs, "lie in the archive with SHA-256") {
		t.Errorf("without the archive: exit code %d, %s", code, errs)
	}
	ok(t, append(proof, "--archive", archive)...)
	files, err := evidence.OpenFiles(out)
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	if verdict, err := evidence.Check(t.Context(), files, evidence.Options{}); err != nil || !verdict.Good() || verdict.Selected < 5 {
		t.Errorf("%+v, %v", verdict, err)
	}
}

// killOnTrace kills the command when its trace is there. It reports whether the command was killed, and waits for its end.
func killOnTrace(cmd *exec.Cmd, ended <-chan error, trace func() bool) bool {
	for !trace() {
		select {
		case <-ended:
			return false
		case <-time.After(time.Millisecond):
		}
	}
	_ = cmd.Process.Signal(syscall.SIGKILL) // fails if the process has already ended
	var exit *exec.ExitError
	return errors.As(<-ended, &exit)
}

func flags(archives []string) (arguments []string) {
	for _, path := range archives {
		arguments = append(arguments, "--archive", path)
	}
	return arguments
}

func archivesOf(t *testing.T, dir string) []registry.Archive {
	t.Helper()
	reader, err := registry.OpenReader(t.Context(), filepath.Join(dir, "registry.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	archives, err := reader.Archives(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return archives
}

// showsType reports whether one of the newest entries has the type.
func showsType(t *testing.T, dir, kind string) bool {
	t.Helper()
	reader, err := registry.OpenReader(t.Context(), filepath.Join(dir, "registry.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	size, err := reader.LogSize(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	bodies, err := reader.Bodies(t.Context(), size-4, size)
	return err == nil && bytes.Contains(bytes.Join(bodies, nil), []byte(`"type":"`+kind+`"`))
}
