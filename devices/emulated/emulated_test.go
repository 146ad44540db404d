package emulated

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestStartRefuses(t *testing.T) {
	self := os.Args[0]
	put := func(name string, size int, mode os.FileMode) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			path := filepath.Join(dir, name)
			if err := errors.Join(os.WriteFile(path, make([]byte, size), mode), os.Chmod(path, mode)); err != nil {
				t.Fatal(err)
			}
		}
	}
	tests := []struct {
		name    string
		cfg     Config
		prepare func(*testing.T, string)
		want    error
		text    string
	}{
		{"a kind that is neither", Config{Kind: 9, Image: self}, nil, ErrConfig, "unknown kind 9"},
		{"a machine that it does not know", Config{Kind: QEMU, Machine: "virt", Image: self}, nil, ErrConfig, `unknown machine "virt"`},
		{"a machine for a posix board", Config{Kind: Posix, Machine: "mps2-an385", Image: self}, nil, ErrConfig, "has no machine"},
		{"a posix board with an Ethernet", Config{Kind: Posix, Image: self, Ethernet: true}, nil, ErrConfig, "network of this machine"},
		{"a posix board with a debug port", Config{Kind: Posix, Image: self, Debug: true}, nil, ErrConfig, "no debug port"},
		{"a board without image and without debug port", Config{Kind: QEMU, Machine: "mps2-an385"}, nil, ErrNoImage, "make firmware"},
		{"an image that was not built", Config{Kind: Posix, Image: "build/none"}, nil, ErrNoImage, "make firmware"},
		{"no image", Config{Kind: Posix}, nil, ErrNoImage, "make firmware"},
		{"a folder as image", Config{Kind: Posix, Image: "."}, nil, ErrNoImage, "not a file"},
		{"fuses that are too short", Config{Kind: Posix, Image: self}, put(fusesFile, 47, 0o600), ErrFuses, "47 octets, want 48"},
		{"fuses that others can read", Config{Kind: Posix, Image: self}, put(fusesFile, 48, 0o640), ErrFuses, "chmod 600"},
		{"other fuses than the burned ones", Config{Kind: Posix, Image: self, Fuses: &Fuses{1}}, put(fusesFile, 48, 0o600), ErrFuses, "burned once"},
		{"a flash of another size", Config{Kind: Posix, Image: self}, put(flashFile, 4096, 0o600), ErrFlash, "4096 octets"},
		{"a random source that ends", Config{Kind: Posix, Image: self, Random: strings.NewReader("short")}, nil, io.ErrUnexpectedEOF, "drawing the fuses"},
		{"an image that cannot be executed", Config{Kind: Posix, Image: "emulated.go"}, nil, os.ErrPermission, "switching on"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.cfg.Dir = t.TempDir()
			if test.prepare != nil {
				test.prepare(t, test.cfg.Dir)
			}
			b, err := Start(t.Context(), test.cfg)
			if err == nil {
				b.Close()
			}
			if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.text) {
				t.Fatalf("got %v, want %v with %q", err, test.want, test.text)
			}
		})
	}
}

func TestStartRefusesADirectoryWithoutName(t *testing.T) {
	if _, err := Start(t.Context(), echoConfig("")); !errors.Is(err, ErrConfig) {
		t.Fatalf("got %v, want %v", err, ErrConfig)
	}
}

func TestStartNamesThePackageWhenQEMUIsMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := Start(t.Context(), Config{Kind: QEMU, Machine: "mps2-an385", Image: os.Args[0], Dir: t.TempDir()})
	if !errors.Is(err, ErrNoQEMU) || !strings.Contains(err.Error(), "apt-get install qemu-system-arm") {
		t.Fatalf("got %v, want %v", err, ErrNoQEMU)
	}
}

func TestOneDirectoryRunsOneBoard(t *testing.T) {
	dir := t.TempDir()
	b := start(t, echoConfig(dir))
	if _, err := Start(t.Context(), echoConfig(dir)); !errors.Is(err, ErrInUse) {
		t.Fatalf("a second start gave %v, want %v", err, ErrInUse)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	start(t, echoConfig(dir))
}

func TestFusesAreBurnedOnceAndKeptPrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "bays", "1")
	want := Fuses(bytes.Repeat([]byte{0xa5}, FusesSize))
	cfg := echoConfig(dir)
	cfg.Fuses = &want
	for range 2 {
		if err := start(t, cfg).Close(); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(filepath.Join(dir, fusesFile))
	if err != nil || !bytes.Equal(got, want[:]) {
		t.Fatalf("fuses are %x, %v", got, err)
	}
	for path, mode := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, fusesFile): 0o600} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s has mode %v, %v; want %v", path, info.Mode(), err, mode)
		}
	}
}

func TestNewBoardsHaveTheirOwnFusesAndAnErasedFlash(t *testing.T) {
	var fuses [2][]byte
	for i := range fuses {
		dir := t.TempDir()
		start(t, echoConfig(dir))
		flash, err := os.ReadFile(filepath.Join(dir, flashFile))
		if err != nil || !bytes.Equal(flash[:flashSize], bytes.Repeat([]byte{0xff}, flashSize)) {
			t.Fatalf("the flash is not erased: %v", err)
		}
		if fuses[i], err = os.ReadFile(filepath.Join(dir, fusesFile)); err != nil {
			t.Fatal(err)
		}
	}
	if bytes.Equal(fuses[0], fuses[1]) {
		t.Fatal("two boards have the same fuses")
	}
}

func TestFusesNeverPrint(t *testing.T) {
	f := Fuses(bytes.Repeat([]byte("HUK"), 16))
	for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%s", "%d"} {
		if got := fmt.Sprintf(verb, f); got != "[fuses]" {
			t.Errorf("%s prints %q", verb, got)
		}
	}
}

func TestLineSurvivesPowerCuts(t *testing.T) {
	b := start(t, echoConfig(t.TempDir()))
	r := bufio.NewReader(b.Transport())
	expect(t, r, b, "up\n")
	for range 3 {
		if err := b.PowerCut(); err != nil {
			t.Fatal(err)
		}
		send(t, b, "lost\n")
		if err := b.PowerOn(t.Context()); err != nil {
			t.Fatal(err)
		}
		expect(t, r, b, "up\n")
		send(t, b, "heard\n")
		expect(t, r, b, "heard\n")
	}
}

func TestResetOfAPosixBoardIsAShortPowerCut(t *testing.T) {
	b := start(t, echoConfig(t.TempDir()))
	r := bufio.NewReader(b.Transport())
	expect(t, r, b, "up\n")
	before := b.PID()
	if err := b.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	expect(t, r, b, "up\n")
	if b.PID() == before {
		t.Fatal("the process is still the same")
	}
}

func TestABoardThatIsOff(t *testing.T) {
	b := start(t, echoConfig(t.TempDir()))
	if err := b.PowerCut(); err != nil {
		t.Fatal(err)
	}
	if err := b.PowerCut(); err != nil {
		t.Errorf("a second power cut gave %v", err)
	}
	if err := b.Reset(t.Context()); !errors.Is(err, ErrOff) {
		t.Errorf("reset gave %v, want %v", err, ErrOff)
	}
	if b.PID() != 0 {
		t.Errorf("it has process %d", b.PID())
	}
}

func TestABoardThatIsClosed(t *testing.T) {
	b := start(t, echoConfig(t.TempDir()))
	if err := errors.Join(b.Close(), b.Close()); err != nil {
		t.Fatal(err)
	}
	if err := b.PowerOn(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("power-on gave %v, want %v", err, ErrClosed)
	}
	if err := b.Reset(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("reset gave %v, want %v", err, ErrClosed)
	}
}

func TestLastWordsOfAProcessThatDied(t *testing.T) {
	b := start(t, echoConfig(t.TempDir()))
	r := bufio.NewReader(b.Transport())
	expect(t, r, b, "up\n")
	send(t, b, "die\n")
	_, err := r.ReadString('\n')
	want := "exit status 7: echo board is up | last words"
	if !errors.Is(err, ErrDied) || !strings.Contains(err.Error(), want) {
		t.Fatalf("reading gave %v, want %v with %q", err, ErrDied, want)
	}
	if err := b.PowerOn(t.Context()); !errors.Is(err, ErrDied) {
		t.Errorf("power-on gave %v, want %v", err, ErrDied)
	}
	if err := b.Close(); !errors.Is(err, ErrDied) {
		t.Errorf("close gave %v, want %v", err, ErrDied)
	}
}

func TestABoardThatEndsBecauseItsLineWasClosedHasNotDied(t *testing.T) {
	b := start(t, echoConfig(t.TempDir()))
	expect(t, bufio.NewReader(b.Transport()), b, "up\n")
	process := b.power
	if err := b.Transport().Close(); err != nil {
		t.Fatal(err)
	}
	if !process.exited(killBound) {
		t.Fatal("the process does not end")
	}
	if err := b.Close(); err != nil {
		t.Fatalf("close gave %v", err)
	}
}

func TestProcessInheritsOnlyWhatIsMeant(t *testing.T) {
	leak, err := syscall.Open(os.DevNull, syscall.O_RDONLY, 0) // without O_CLOEXEC, as C libraries open files
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(leak) })
	dir := t.TempDir()
	b := start(t, echoConfig(dir))
	expect(t, bufio.NewReader(b.Transport()), b, "up\n")

	proc := fmt.Sprintf("/proc/%d", b.PID())
	var names []string
	for fd := range 64 {
		name, err := os.Readlink(fmt.Sprintf("%s/fd/%d", proc, fd))
		ownByRuntime := strings.HasPrefix(name, "anon_inode:") || strings.HasPrefix(filepath.Base(name), "cpu.") // the limits of a control group, wherever these are mounted
		if err == nil && !ownByRuntime {                                                                         // the echo board is a Go program and has these descriptors
			names = append(names, strings.TrimPrefix(name, dir+"/"))
		}
	}
	if len(names) < 4 || !strings.HasPrefix(names[3], "socket:") {
		t.Fatalf("descriptor 3 is not the line: %v", names)
	}
	want := []string{os.DevNull, stderrFile, stderrFile, names[3], fusesFile, dir}
	if !slices.Equal(names, want) {
		t.Errorf("the process holds %v, want %v", names, want)
	}
	environ, err := os.ReadFile(proc + "/environ")
	if err != nil || string(environ) != "LC_ALL=C\x00" {
		t.Errorf("the process has the environment %q, %v", environ, err)
	}
}

func TestArgumentsHoldNoSecret(t *testing.T) {
	dir := t.TempDir()
	b := start(t, echoConfig(dir))
	fuses, err := os.ReadFile(filepath.Join(dir, fusesFile))
	if err != nil {
		t.Fatal(err)
	}
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", b.PID()))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(line, fuses[:8]) || strings.Contains(string(line), hex.EncodeToString(fuses[:4])) {
		t.Fatalf("the command line shows the HUK: %q", line)
	}
}

// boardOf starts a station and returns the process id of its board.
func boardOf(t *testing.T, station *exec.Cmd) int {
	t.Helper()
	out, err := station.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := station.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if station.ProcessState == nil {
			_, _ = station.Process.Kill(), station.Wait()
		}
	})
	said, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(said))
	if err != nil {
		t.Fatalf("the station said %q", said)
	}
	return pid
}

// A station of the normal priority has precedence over its boards. With another priority it shares it with them:
// the tests of CI run so, and a busy machine does not starve their boards.
func TestAStationThatYieldsSharesItsPriorityWithItsBoards(t *testing.T) {
	own := niceOf(t, 0)
	station := exec.Command("nice", "-n", "3", os.Args[0], "station", t.TempDir())
	if got, want := niceOf(t, boardOf(t, station)), min(own+3, lowestPriority); got != want {
		t.Errorf("the board of a station of nice %d has nice %d", want, got)
	}
	want := own
	if own == 0 {
		want = lowestPriority
	}
	if got := niceOf(t, boardOf(t, exec.Command(os.Args[0], "station", t.TempDir()))); got != want {
		t.Errorf("the board of a station of nice %d has nice %d, want %d", own, got, want)
	}
}

// niceOf returns the nice value of a process, -20 to 19; 0 is this process.
func niceOf(t *testing.T, pid int) int {
	t.Helper()
	priority, err := unix.Getpriority(unix.PRIO_PROCESS, pid)
	if err != nil {
		t.Fatal(err)
	}
	return normalPriority - priority
}

func TestTheBoardDiesWithItsStation(t *testing.T) {
	dir := t.TempDir()
	station := exec.Command(os.Args[0], "station", dir)
	pid := boardOf(t, station)
	if err := station.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := station.Wait(); err == nil {
		t.Fatal("the station was not killed")
	}
	// The lock is free only when the board's process has ended, too.
	start(t, echoConfig(dir))
	if _, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("process %d is still there: %v", pid, err)
	}
}

func TestStartHonoursItsContext(t *testing.T) {
	dir := t.TempDir()
	start(t, echoConfig(dir))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Start(ctx, echoConfig(dir)); !errors.Is(err, ErrInUse) {
		t.Fatalf("got %v, want %v", err, ErrInUse)
	}
}

func TestTheErrorLogStartsAnewWhenItIsTooLarge(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, stderrFile), make([]byte, stderrLimit+1), 0o600); err != nil {
		t.Fatal(err)
	}
	b := start(t, echoConfig(dir))
	expect(t, bufio.NewReader(b.Transport()), b, "up\n")
	if got := b.Stderr(); got != "echo board is up" {
		t.Fatalf("the log holds %q", got)
	}
}
