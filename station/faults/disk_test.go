package faults_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"hallmark/devices/emulated"
	"hallmark/station"
)

// TestAFullDiskSignsNothing checks I8 on a full file system.
func TestAFullDiskSignsNothing(t *testing.T) {
	state := t.TempDir()
	if err := unix.Mount("hallmark-test", state, "tmpfs", 0, "size=2m,mode=0700"); errors.Is(err, fs.ErrPermission) {
		t.Log("mounting a small disk is not allowed here; TestAFileThatCannotBeWrittenSignsNothing stands in")
		return
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // runs after the cleanup of the environment
		if err := unix.Unmount(state, 0); err != nil {
			t.Error(err)
		}
	})
	l := newEnvironment(t, func(l *environment) { l.state = state })
	bay := l.bay("bay")
	bay.passes(t)
	filler := filepath.Join(state, "filler")
	bay.troubled(t, "registry", func() { fill(t, filler) }, func() {
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("when a signature is made", func(t *testing.T) { // the disk fills up directly before the signature
		dir := t.TempDir()
		l.ahead = sync.OnceFunc(func() { fill(t, filler) })
		board := l.plug(t, emulated.Config{Dir: dir}, longTimeout, nil)
		run := bay.enrol(t, board, board)
		l.ahead = func() {}
		ends(t, run, station.Fault, "registry")
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
		l.passesAgain(t, l.bay("another bay"), dir, run)
		bay.passes(t)
		l.checkInvariants(t)
	})
}

// fill writes to a file until the file system is full.
func fill(t *testing.T, path string) {
	t.Helper()
	file := must(os.Create(path))(t)
	defer file.Close()
	for size := 64 << 10; size > 0; {
		if _, err := file.Write(bytes.Repeat([]byte{1}, size)); errors.Is(err, unix.ENOSPC) {
			size /= 2
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// TestAFileThatCannotBeWrittenSignsNothing checks the same with another error, EFBIG. After
// EFBIG, SQLite treats the file as damaged until the file is opened again.
func TestAFileThatCannotBeWrittenSignsNothing(t *testing.T) {
	l := newEnvironment(t, nil)
	bay := l.bay("bay")
	bay.passes(t)
	var allow func()
	bay.troubled(t, "registry", func() { allow = stopWriting(t) }, func() {
		allow()
		if err := l.close(); err == nil {
			t.Error("closing says nothing of the evidence that is missing")
		}
		l.open(t)
	})
}

// stopWriting prevents this process from writing to any file beyond the first page.
func stopWriting(t *testing.T) (allow func()) {
	t.Helper()
	const page = 4096
	signal.Ignore(unix.SIGXFSZ) // the signal would end the process
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: page, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &before); err != nil {
			t.Fatal(err)
		}
		signal.Reset(unix.SIGXFSZ)
	}
}
