package serial

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// started starts a program that is killed at the end of the test.
func started(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(name, args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // returns the kill as an error
	})
	return cmd
}

// inUse waits until the port is in use, and returns the error.
func inUse(t *testing.T, config Config) *InUseError {
	t.Helper()
	var used *InUseError
	for !errors.As(Examine(config), &used) {
		if t.Context().Err() != nil {
			t.Fatal("never in use")
		}
		time.Sleep(time.Millisecond)
	}
	return used
}

func TestTheProgramThatUsesAPortIsNamed(t *testing.T) {
	const holds = `import fcntl, os, sys, time
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_NOCTTY)
fcntl.flock(fd, fcntl.LOCK_EX)
time.sleep(600)`
	for name, command := range map[string][]string{
		"a program that reads, as cat does":   {"cat"},
		"a program with a lock, as picocom's": {"python3", "-c", holds},
	} {
		t.Run(name, func(t *testing.T) {
			_, tty := pty(t)
			config := Config{Name: tty, LockDir: t.TempDir()}
			other := started(t, command[0], append(command[1:], tty)...)
			used := inUse(t, config)
			if used.User.PID != other.Process.Pid || !strings.HasPrefix(used.User.Program, command[0]) {
				t.Errorf("%v, want %s of process %d", used.User, command[0], other.Process.Pid)
			}
			port, err := Open(config)
			if want := fmt.Sprintf("port is in use by %s (pid %d)", used.User.Program, other.Process.Pid); port != nil || !errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %s", err, want)
			}
		})
	}
}

func TestALockFileOfAnotherProgramIsRespectedWhileTheProgramRuns(t *testing.T) {
	other := started(t, "sleep", "600")
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		content string
		used    bool
	}{
		"in ten characters":              {fmt.Sprintf("%10d\n", other.Process.Pid), true},
		"without a PID":                  {"", false},
		"in four octets":                 {string([]byte{byte(other.Process.Pid), byte(other.Process.Pid >> 8), byte(other.Process.Pid >> 16), byte(other.Process.Pid >> 24)}), true},
		"of a program that has ended":    {fmt.Sprintf("%10d\n", gone.Process.Pid), false},
		"of this process":                {fmt.Sprintf("%10d\n", os.Getpid()), false},
		"with a text that is no number":  {"picocom\n", false},
		"with a number that is negative": {"-1\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			_, tty := pty(t)
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "LCK.."+filepath.Base(tty)), []byte(test.content), 0o644); err != nil {
				t.Fatal(err)
			}
			if err := Examine(Config{Name: tty, LockDir: dir}); errors.Is(err, ErrBusy) != test.used {
				t.Errorf("%v, want in use: %t", err, test.used)
			}
		})
	}
}

// minicom names its lock file by the whole path below /dev.
func TestALockFileMayNameThePathBelowDev(t *testing.T) {
	_, tty := pty(t)
	dir := t.TempDir()
	name := "LCK.." + strings.ReplaceAll(strings.TrimPrefix(tty, "/dev/"), "/", "_")
	other := started(t, "sleep", "600")
	if err := os.WriteFile(filepath.Join(dir, name), fmt.Appendf(nil, "%10d\n", other.Process.Pid), 0o644); err != nil {
		t.Fatal(err)
	}
	var used *InUseError
	if err := Examine(Config{Name: tty, LockDir: dir}); !errors.As(err, &used) || used.User.PID != other.Process.Pid {
		t.Errorf("%v, want in use by process %d, as %s says", err, other.Process.Pid, name)
	}
}

// Every user may make files in /run/lock of Debian. A pipe that stays open, or a link, must not stop the station.
func TestAPipeOrALinkIsNoLockFile(t *testing.T) {
	other := started(t, "sleep", "600")
	for name, makes := range map[string]func(file string) error{
		"pipe": func(file string) error {
			if err := unix.Mkfifo(file, 0o644); err != nil {
				return err
			}
			writer, err := os.OpenFile(file, os.O_RDWR, 0)
			if err == nil {
				t.Cleanup(func() { writer.Close() })
			}
			return err
		},
		"link": func(file string) error {
			lock := filepath.Join(t.TempDir(), "lock")
			return errors.Join(os.WriteFile(lock, fmt.Appendf(nil, "%10d\n", other.Process.Pid), 0o644), os.Symlink(lock, file))
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, tty := pty(t)
			dir := t.TempDir()
			if err := makes(filepath.Join(dir, "LCK.."+filepath.Base(tty))); err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			go func() { done <- Examine(Config{Name: tty, LockDir: dir}) }()
			select {
			case err := <-done:
				if err != nil {
					t.Error(err)
				}
			case <-time.After(10 * time.Second):
				t.Fatal("the station waits for a pipe")
			}
		})
	}
}

// opensEnv has the test program open the port that the variable names, say a word there, and end.
const opensEnv = "HALLMARK_TEST_PORT"

func TestMain(m *testing.M) {
	if port := os.Getenv(opensEnv); port != "" {
		os.Exit(openAndSpeak(port))
	}
	os.Exit(m.Run())
}

func openAndSpeak(name string) int {
	port, err := Open(Config{Name: name, LockDir: os.Getenv("LOCK_DIR")})
	if err == nil {
		_, err = port.Write([]byte("hello"))
		err = errors.Join(err, port.Close())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// A user who may open a port, and may write into no directory of locks (mode 0755), has the port.
func TestAUserWithoutRightsOpensAPortAndLocksIt(t *testing.T) {
	board, tty := pty(t)
	if err := os.Chmod(tty, 0o666); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	user := exec.Command("/proc/self/exe")
	user.Env = []string{opensEnv + "=" + tty, "LOCK_DIR=" + dir}
	if os.Getuid() == 0 {
		user.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	if out, err := user.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	got := make([]byte, 5)
	if n, err := board.Read(got); err != nil || string(got[:n]) != "hello" {
		t.Errorf("%q, %v", got[:n], err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v, %v", left, err)
	}
}

func TestAPortNeedsNoLockDirectoryAndLeavesNothingThere(t *testing.T) {
	_, tty := pty(t)
	dir := t.TempDir()
	for _, lockDir := range []string{dir, filepath.Join(dir, "none")} {
		port, err := Open(Config{Name: tty, LockDir: lockDir})
		if err != nil {
			t.Fatal(err)
		}
		if err := port.Close(); err != nil {
			t.Error(err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v, %v", left, err)
	}
}

// The lock of a port is seen by programs of other users, and ends with Close. As root, the other program is another user's.
func TestTheLockKeepsOutTheProgramsOfOtherUsers(t *testing.T) {
	_, tty := pty(t)
	if err := os.Chmod(tty, 0o666); err != nil {
		t.Fatal(err)
	}
	locks := func() error {
		other := exec.Command("flock", "--nonblock", tty, "true")
		if os.Getuid() == 0 {
			other.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		}
		return other.Run()
	}
	port, err := Open(Config{Name: tty, LockDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	var refused *exec.ExitError
	if err := locks(); !errors.As(err, &refused) {
		t.Errorf("while the port is open: %v", err)
	}
	if err := port.Close(); err != nil {
		t.Fatal(err)
	}
	if err := locks(); err != nil {
		t.Errorf("after Close: %v", err)
	}
}

// A second reader that comes later takes octets. The port stays a port, and says who takes them.
func TestOctetsThatAnotherReaderTakesDoNotUnplugThePort(t *testing.T) {
	board, port := plugged(t, nil)
	other := started(t, "cat", port.Name())
	for inUseNow(port) != other.Process.Pid {
		if t.Context().Err() != nil {
			t.Fatal("cat never reads")
		}
	}
	octets, ended := received(port)
	for range 200 { // each is read by either of the two
		if _, err := board.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Microsecond)
	}
	if err := other.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = other.Wait() // returns the kill as an error
	if _, err := board.Write([]byte("!")); err != nil {
		t.Fatal(err)
	}
	for {
		select {
		case octet := <-octets:
			if octet == '!' {
				return
			}
		case err := <-ended:
			t.Fatalf("the port ended: %v", err)
		}
	}
}

func inUseNow(port *Port) int {
	var used *InUseError
	if errors.As(port.InUse(), &used) {
		return used.User.PID
	}
	return 0
}

func TestWhatIsNoPortHasATextOfItsOwn(t *testing.T) {
	dir := t.TempDir()
	file, pipe := filepath.Join(dir, "file"), filepath.Join(dir, "pipe")
	if err := errors.Join(os.WriteFile(file, nil, 0o600), unix.Mkfifo(pipe, 0o600)); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		path string
		is   error
		says string
	}{
		"nothing":      {filepath.Join(dir, "ttyACM0"), os.ErrNotExist, "no such file"},
		"a directory":  {dir, ErrNotSerial, "a directory"},
		"a file":       {file, ErrNotSerial, "a file"},
		"a pipe":       {pipe, ErrNotSerial, "a pipe"},
		"the null":     {"/dev/null", ErrNotSerial, "/dev/null"},
		"zeros":        {"/dev/zero", ErrNotSerial, "a device of memory, as /dev/null is"},
		"a new pty":    {"/dev/ptmx", ErrNotSerial, "the terminal or a console of this machine"},
		"the terminal": {"/dev/tty", ErrNotSerial, "the terminal or a console of this machine"},
		"another link": {"/proc/self/fd", ErrNotSerial, "a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			for what, err := range map[string]error{"examine": Examine(Config{Name: test.path}), "open": opened(test.path)} {
				if !errors.Is(err, test.is) || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), test.path) {
					t.Errorf("%s: %v", what, err)
				}
			}
		})
	}
}

// The open of a device that is no port may do harm: that of a watchdog restarts the machine a minute later.
func TestADeviceOfAnotherClassIsRefusedUnopened(t *testing.T) {
	sys := t.TempDir()
	for number, class := range map[string]string{"10:130": "misc", "166:0": "tty"} {
		if err := errors.Join(os.MkdirAll(filepath.Join(sys, number), 0o700), os.Symlink("../../class/"+class, filepath.Join(sys, number, "subsystem"))); err != nil {
			t.Fatal(err)
		}
	}
	for device, want := range map[uint64]string{unix.Mkdev(10, 130): "a device of the class misc", unix.Mkdev(166, 0): "", unix.Mkdev(136, 3): "",
		unix.Mkdev(4, 1): "a console", unix.Mkdev(4, 64): "", unix.Mkdev(5, 1): "a console"} {
		if got := otherDevice(sys, device); !strings.Contains(got, want) || (got == "") != (want == "") {
			t.Errorf("%d:%d: %q, want %q", unix.Major(device), unix.Minor(device), got, want)
		}
	}
}

func opened(path string) error {
	_, err := Open(Config{Name: path})
	return err
}

func TestAPortWithoutPermissionSaysWhatMendsIt(t *testing.T) {
	for name, test := range map[string]struct {
		file unix.Stat_t
		says []string
	}{
		"a group that the user can join":    {unix.Stat_t{Uid: 0, Gid: 5, Mode: unix.S_IFCHR | 0o660}, []string{"the group tty", "`sudo usermod -aG tty nobody`"}},
		"the group root":                    {unix.Stat_t{Mode: unix.S_IFCHR | 0o660}, []string{"root:root with mode 0660", "udev rule"}},
		"a group that may not write":        {unix.Stat_t{Gid: 5, Mode: unix.S_IFCHR | 0o640}, []string{"root:tty with mode 0640", "udev rule"}},
		"a group without a name of its own": {unix.Stat_t{Gid: 54321, Mode: unix.S_IFCHR | 0o660}, []string{"the group 54321"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := denied(&test.file, "65534")
			for _, says := range test.says {
				if !strings.Contains(err.Error(), says) {
					t.Errorf("%v lacks %q", err, says)
				}
			}
			if !errors.Is(err, ErrDenied) || !errors.Is(err, os.ErrPermission) {
				t.Error("another error")
			}
		})
	}
}
