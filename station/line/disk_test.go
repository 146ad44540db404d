package line_test

import (
	"bytes"
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"hallmark/devices/emulated"
	"hallmark/station"
)

// TestAFullDiskSignsNothing is I8 on a file system that is full.
func TestAFullDiskSignsNothing(t *testing.T) {
	state := t.TempDir()
	if err := unix.Mount("hallmark-test", state, "tmpfs", 0, "size=2m,mode=0700"); errors.Is(err, unix.EPERM) {
		t.Log("mounting a small disk is not allowed here; TestAFileThatMayNotGrowSignsNothing stands in")
		return
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // after the line's own
		if err := unix.Unmount(state, 0); err != nil {
			t.Error(err)
		}
	})
	l := newLine(t, func(l *line) { l.state = state })
	bay := l.bay("bay")
	bay.passes(t)
	filler := filepath.Join(state, "filler")
	for _, test := range []struct {
		name   string
		before bool // the Run, or when a CSR was asked for
	}{{"before a Run", true}, {"in the middle of a Run", false}} {
		t.Run(test.name, func(t *testing.T) {
			dir, asked := t.TempDir(), l.asked.Load()
			board := l.plug(t, emulated.Config{Dir: dir}, patience, nil)
			seen := station.Board(board)
			if test.before {
				fill(t, filler)
			} else {
				seen = liar{board.Client, changed(func(der []byte) []byte { fill(t, filler); return der })}
			}
			run := bay.enrol(t, seen, board)
			ends(t, run, station.Fault, "registry")
			if l.asked.Load() != asked {
				t.Errorf("%d signatures without room for evidence", l.asked.Load()-asked)
			}
			if err := os.Remove(filler); err != nil {
				t.Fatal(err)
			}
			l.inPeace(t, bay, dir, run)
			bay.passes(t)
			l.legal(t)
		})
	}
}

// fill writes until there is no room.
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

// TestAFileThatMayNotGrowSignsNothing has the same end by another error, EFBIG,
// after which SQLite's file counts as damaged until it is opened anew.
func TestAFileThatMayNotGrowSignsNothing(t *testing.T) {
	l := newLine(t, nil)
	bay, dir := l.bay("bay"), t.TempDir()
	bay.passes(t)
	asked := l.asked.Load()
	board := l.plug(t, emulated.Config{Dir: dir}, patience, nil)
	grow := stopGrowing(t, l.database()+"-wal")
	run := bay.enrol(t, liar{board.Client, changed(func(der []byte) []byte { return der })}, board)
	grow()
	ends(t, run, station.Fault, "registry")
	if l.asked.Load() != asked {
		t.Errorf("%d signatures without room for evidence", l.asked.Load()-asked)
	}
	if err := l.close(); err == nil {
		t.Error("closing says nothing of the evidence that is missing")
	}
	l.open(t)
	l.inPeace(t, bay, dir, run)
	l.legal(t)
}

// stopGrowing keeps every file of this process from growing past the size of one.
func stopGrowing(t *testing.T, path string) (grow func()) {
	t.Helper()
	size := must(os.Stat(path))(t).Size()
	signal.Ignore(unix.SIGXFSZ) // else it ends the process
	var before unix.Rlimit
	if err := unix.Prlimit(0, unix.RLIMIT_FSIZE, nil, &before); err != nil {
		t.Fatal(err)
	}
	if err := unix.Prlimit(0, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: uint64(size), Max: before.Max}, nil); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := unix.Prlimit(0, unix.RLIMIT_FSIZE, &before, nil); err != nil {
			t.Fatal(err)
		}
		signal.Reset(unix.SIGXFSZ)
	}
}
