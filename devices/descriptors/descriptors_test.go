package descriptors

import (
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// open returns a descriptor as a C library opens it, and a function that reports whether it is marked.
func open(t *testing.T) (marked func() bool) {
	t.Helper()
	number, err := unix.Open("/dev/null", unix.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Close(number); err != nil {
			t.Error(err)
		}
	})
	return func() bool {
		flags, err := unix.FcntlInt(uintptr(number), unix.F_GETFD, 0)
		if err != nil {
			t.Fatal(err)
		}
		return flags&unix.FD_CLOEXEC != 0
	}
}

func TestEachDescriptorIsMarked(t *testing.T) {
	for name, closeRange := range map[string]func(first, last uint, flags uint) error{
		"by the system call":                  unix.CloseRange,
		"on a kernel without the system call": func(uint, uint, uint) error { return unix.ENOSYS },
		"on a kernel without the flag":        func(uint, uint, uint) error { return unix.EINVAL },
		"in a sandbox that forbids the call":  func(uint, uint, uint) error { return unix.EPERM },
	} {
		marked := open(t)
		if marked() {
			t.Fatal("the descriptor is marked before")
		}
		if err := closeOnExec(closeRange); err != nil || !marked() {
			t.Errorf("%s: %v, marked %t", name, err, marked())
		}
	}
	if err := CloseOnExec(); err != nil {
		t.Error(err)
	}
}

func TestDescriptorsThatNobodyCanMarkAreARefusal(t *testing.T) {
	if err := markEach(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a directory that is not there was accepted")
	}
	if err := mark(1 << 20); err != unix.EBADF {
		t.Errorf("a closed descriptor: %v", err)
	}
}
