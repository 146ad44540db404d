package workdir

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// fiemap is struct fiemap of linux/fiemap.h with room for one extent.
type fiemap struct {
	start, length                           uint64
	flags, mapped, count, reserved          uint32
	logical, physical, octets, _, _         uint64
	extentFlags, reserved1, reserved2, last uint32
}

const (
	fsIocFiemap          = 0xc020660b // FS_IOC_FIEMAP
	fiemapExtentDelalloc = 0x4        // FIEMAP_EXTENT_DELALLOC: the octets are only in memory
)

// onlyInMemory reports whether the file system has the content of a file in memory only. It
// reports false for a file system that does not tell, such as tmpfs.
func onlyInMemory(t *testing.T, path string) bool {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	ask := fiemap{length: ^uint64(0), count: 1}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, file.Fd(), fsIocFiemap, uintptr(unsafe.Pointer(&ask)))
	if errno != 0 && !errors.Is(errno, unix.EOPNOTSUPP) && !errors.Is(errno, unix.ENOTTY) {
		t.Fatal(errno)
	}
	return errno == 0 && ask.mapped > 0 && ask.extentFlags&fiemapExtentDelalloc != 0
}

// A power cut after WriteFiles must not leave a file of 0 octets.
func TestTheContentIsOnTheDiskWhenTheFileHasItsName(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	if err := WriteFile(path, make([]byte, 5000)); err != nil {
		t.Fatal(err)
	}
	if onlyInMemory(t, path) {
		t.Error("the file has its name, and its content is only in memory")
	}
}
