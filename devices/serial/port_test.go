package serial

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestOctetsPassBothWaysUnchanged(t *testing.T) {
	board, port := plugged(t, nil)
	all := make([]byte, 1024)
	for i := range all {
		all[i] = byte(i)
	}
	sent := make(chan error, 1)
	go func() {
		_, err := port.Write(all)
		sent <- err
	}()
	got := make([]byte, len(all))
	if _, err := io.ReadFull(board, got); err != nil || !bytes.Equal(got, all) {
		t.Fatalf("to the board: %v", err)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	go func() {
		_, err := board.Write(all)
		sent <- err
	}()
	if _, err := io.ReadFull(port, got); err != nil || !bytes.Equal(got, all) {
		t.Fatalf("to the station: %v", err)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
}

func TestAReadWithoutOctetsIsADeadlineAndNotNothing(t *testing.T) {
	board, port := plugged(t, nil)
	if err := port.SetReadDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := port.Read(make([]byte, 8)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%d, %v; want %v", n, err, os.ErrDeadlineExceeded)
	}
	if err := port.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	if _, err := board.Write([]byte("later")); err != nil {
		t.Fatal(err)
	}
	if n, err := port.Read(nil); n != 0 || err != nil {
		t.Errorf("an empty read with octets waiting: %d, %v", n, err)
	}
	got := make([]byte, 5)
	if _, err := io.ReadFull(port, got); err != nil || string(got) != "later" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestAfterCloseNothingReachesADescriptorOfTheSameNumber(t *testing.T) {
	_, port := plugged(t, nil)
	before := descriptors(t)
	if err := port.Close(); err != nil {
		t.Fatal(err)
	}
	// One of these files gets the number that the port's descriptor had.
	var files []*os.File
	for range 8 {
		file, err := os.Create(filepath.Join(t.TempDir(), "other board"))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		files = append(files, file)
	}
	if n, err := port.Write([]byte("for nobody")); n != 0 || !errors.Is(err, os.ErrClosed) {
		t.Errorf("write: %d, %v; want %v", n, err, os.ErrClosed)
	}
	if n, err := port.Read(make([]byte, 1)); n != 0 || !errors.Is(err, os.ErrClosed) {
		t.Errorf("read: %d, %v; want %v", n, err, os.ErrClosed)
	}
	if err := port.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("second close: %v, want %v", err, os.ErrClosed)
	}
	for _, file := range files {
		if info, err := file.Stat(); err != nil || info.Size() != 0 {
			t.Errorf("another file got %d octets, %v", info.Size(), err)
		}
	}
	if after := descriptors(t); after >= before+8 {
		t.Errorf("%d descriptors before, %d after with 8 files", before, after)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func TestCloseWakesAReadThatWaits(t *testing.T) {
	_, port := plugged(t, nil)
	woken := make(chan error, 1)
	go func() {
		_, err := port.Read(make([]byte, 1))
		woken <- err
	}()
	if err := port.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-woken; !errors.Is(err, os.ErrClosed) {
		t.Errorf("%v, want %v", err, os.ErrClosed)
	}
}

func TestChildrenInheritNoPort(t *testing.T) {
	_, port := plugged(t, nil)
	command := exec.Command("find", "/proc/self/fd", "-printf", "%f %l\n")
	command.Dir = "/" // find lists the descriptor of its directory; this one is no port
	listing, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(listing)) {
		number, target, _ := strings.Cut(strings.TrimSpace(line), " ")
		if fd, err := strconv.Atoi(number); err == nil && fd > 2 && !strings.HasPrefix(target, "/proc/") && target != "/" {
			t.Errorf("a child of a station with port %s holds %s", port.Name(), line)
		}
	}
}

func TestCloseEndsAWriteThatWaits(t *testing.T) {
	_, port := plugged(t, nil)
	ended := make(chan error, 1)
	go func() {
		_, err := port.Write(make([]byte, 1<<20)) // nobody reads
		ended <- err
	}()
	if err := port.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, os.ErrClosed) {
		t.Errorf("%v, want %v", err, os.ErrClosed)
	}
}

func TestAnUnpluggedPortSaysSoOnce(t *testing.T) {
	board, port := plugged(t, nil)
	if err := board.Close(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := port.Read(make([]byte, 1)); !errors.Is(err, ErrUnplugged) {
			t.Errorf("read: %v, want %v", err, ErrUnplugged)
		}
		if _, err := port.Write([]byte("hello")); !errors.Is(err, ErrUnplugged) {
			t.Errorf("write: %v, want %v", err, ErrUnplugged)
		}
	}
	if err := port.Close(); err != nil {
		t.Error(err)
	}
}

func TestAStuckPeerEndsTheWriteAndThePort(t *testing.T) {
	_, port := plugged(t, nil)
	port.writeTimeout = 100 * time.Millisecond
	n, err := port.Write(make([]byte, 1<<20)) // nobody reads
	if !errors.Is(err, ErrStuck) || !errors.Is(err, os.ErrDeadlineExceeded) || n >= 1<<20 {
		t.Fatalf("%d, %v; want %v", n, err, ErrStuck)
	}
	if n, err := port.Write([]byte("more")); n != 0 || !errors.Is(err, ErrStuck) {
		t.Errorf("after that: %d, %v", n, err)
	}
	if err := port.Close(); err != nil {
		t.Error(err)
	}
}

func TestASecondOpenIsBusyByAnyName(t *testing.T) {
	_, name := pty(t)
	dir := t.TempDir()
	link := filepath.Join(dir, "by-path")
	if err := os.Symlink(name, link); err != nil {
		t.Fatal(err)
	}
	first, err := Open(Config{Name: name, LockDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{Name: link, LockDir: dir}); !errors.Is(err, ErrBusy) {
		t.Errorf("second: %v, want %v", err, ErrBusy)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Open(Config{Name: link, LockDir: dir})
	if err != nil {
		t.Fatalf("after Close: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}

func TestAPortIsFreeAlthoughAChildStillHasTheLockFile(t *testing.T) {
	_, name := pty(t)
	config := Config{Name: name, LockDir: t.TempDir()}
	first, err := Open(config)
	if err != nil {
		t.Fatal(err)
	}
	child, err := unix.Dup(int(first.lock.Fd())) // as a process that has not yet begun its program
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(child)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Open(config)
	if err != nil {
		t.Fatalf("after Close: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}

func TestOpenRefusesByName(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, name := pty(t)
	table := []struct {
		what   string
		config Config
		want   error
	}{
		{"a port that is not there", Config{Name: filepath.Join(dir, "ttyUSB9"), LockDir: dir}, fs.ErrNotExist},
		{"a file", Config{Name: file, LockDir: dir}, ErrNotSerial},
		{"no name", Config{LockDir: dir}, ErrConfig},
		{"a negative baud rate", Config{Name: name, Baud: -1, LockDir: dir}, ErrConfig},
	}
	for _, row := range table {
		port, err := Open(row.config)
		if !errors.Is(err, row.want) {
			t.Errorf("%s: %v, want %v", row.what, err, row.want)
		}
		if port != nil {
			port.Close()
		}
	}
}

func TestADescriptorPastSelectIsRefused(t *testing.T) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Cur <= selectLimit+8 {
		t.Logf("the limit of %d open files makes it impossible", limit.Cur)
		return
	}
	_, name := pty(t)
	for { // use up all small numbers
		file, err := os.Open("/dev/null")
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if file.Fd() >= selectLimit {
			break
		}
	}
	if _, err := Open(Config{Name: name, LockDir: t.TempDir()}); !errors.Is(err, ErrDescriptor) {
		t.Errorf("%v, want %v", err, ErrDescriptor)
	}
}

func TestAnUnusualBaudRateIsSet(t *testing.T) {
	for _, baud := range []int{9600, 115200, 250000, 1000000} {
		_, name := pty(t)
		port, err := Open(Config{Name: name, Baud: baud, LockDir: t.TempDir()})
		if err != nil {
			t.Fatalf("%d: %v", baud, err)
		}
		if err := port.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A pseudo-terminal has no modem lines, so its refusal shows that they are set, and its success that they are left alone.
func TestModemLinesAreTouchedOnlyIfOneIsLow(t *testing.T) {
	_, name := pty(t)
	for _, config := range []Config{{LowDTR: true}, {LowRTS: true}, {LowDTR: true, LowRTS: true}} {
		bits := config.mode().InitialStatusBits
		if bits == nil || bits.DTR == config.LowDTR || bits.RTS == config.LowRTS {
			t.Errorf("%+v: %+v", config, bits)
		}
		config.Name, config.LockDir = name, t.TempDir()
		if port, err := Open(config); !errors.Is(err, ErrNotSerial) || !strings.Contains(err.Error(), "modem bits") {
			t.Errorf("%+v: got %v, %v", config, port, err)
		}
	}
	config := Config{Name: name, LockDir: t.TempDir()}
	port, err := Open(config)
	if err != nil || config.mode().InitialStatusBits != nil {
		t.Fatal(err)
	}
	if err := port.Close(); err != nil {
		t.Error(err)
	}
}
