package serial

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A User is a program that uses a port. PID 0: the system does not say which one.
type User struct {
	Program string
	PID     int
}

func (u User) String() string {
	if u.PID == 0 {
		return "another program"
	}
	return fmt.Sprintf("%s (pid %d)", u.Program, u.PID)
}

// Programs is what the programs of this machine had open and locked at one moment.
type Programs struct {
	readers map[string]int // real path of a tty → PID of a program that reads it
	locks   map[string]int // file as /proc/locks names it → PID of the program that has flock(2) on it
	lockDir string
}

const defaultLockDir = "/run/lock"

// ListPrograms looks at the programs of this machine. It opens no port. Everybody sees flocks and lock files; the open files of other
// users only root sees. This process does not count. lockDir is the directory of UUCP lock files; "": /run/lock.
func ListPrograms(lockDir string) (*Programs, error) {
	p := &Programs{readers: map[string]int{}, locks: map[string]int{}, lockDir: cmp.Or(lockDir, defaultLockDir)}
	if err := p.lookAtLocks(); err != nil {
		return nil, fmt.Errorf("looking for programs that use ports: %w", err)
	}
	links, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return nil, fmt.Errorf("looking for programs that use ports: %w", err)
	}
	for _, link := range links {
		device, err := os.Readlink(link) // an error means that the file was closed meanwhile
		pid, number := pidOf(link), filepath.Base(link)
		if err == nil && pid != os.Getpid() && mayBePort(device) && reads(pid, number) {
			p.readers[device] = pid
		}
	}
	return p, nil
}

func mayBePort(device string) bool {
	return strings.HasPrefix(device, "/dev/") && device != "/dev/null" && device != "/dev/ptmx" && device != "/dev/pts/ptmx"
}

func pidOf(link string) int {
	pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(link)))) // digits, by the pattern
	return pid
}

// reads reports whether a descriptor is open for reading. A program that only writes takes no octets.
func reads(pid int, number string) bool {
	info, err := os.ReadFile(fmt.Sprintf("/proc/%d/fdinfo/%s", pid, number))
	if err != nil {
		return false // closed meanwhile
	}
	for line := range strings.Lines(string(info)) {
		if text, is := strings.CutPrefix(line, "flags:"); is {
			flags, err := strconv.ParseUint(strings.TrimSpace(text), 8, 32)
			return err == nil && flags&unix.O_ACCMODE != unix.O_WRONLY && flags&unix.O_PATH == 0
		}
	}
	return false
}

// lookAtLocks reads /proc/locks (proc_locks(5)): "3: FLOCK  ADVISORY  WRITE 4711 00:18:7 0 EOF".
func (p *Programs) lookAtLocks() error {
	text, err := os.ReadFile("/proc/locks")
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // a kernel without this list says less
		return err
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 6 || fields[1] != "FLOCK" {
			continue // POSIX locks are no locks of ports; "->" is a program that waits
		}
		if pid, err := strconv.Atoi(fields[4]); err == nil && pid != os.Getpid() {
			p.locks[fields[5]] = pid
		}
	}
	return lines.Err()
}

// Using returns the program that uses a port. The path may be a symbolic link.
func (p *Programs) Using(path string) (User, bool) {
	real, err := realPath(path)
	if err != nil {
		return User{}, false
	}
	if pid, locked := p.lockedBy(path, real); locked {
		return userOf(pid), true
	}
	pid, read := p.readers[real]
	return userOf(pid), read
}

// lockedBy returns the program that has locked a port, in the way of picocom and tio (flock) or of minicom and uucp (lock file).
func (p *Programs) lockedBy(path, real string) (int, bool) {
	var file unix.Stat_t
	if unix.Stat(real, &file) == nil {
		key := fmt.Sprintf("%02x:%02x:%d", unix.Major(file.Dev), unix.Minor(file.Dev), file.Ino)
		if pid, locked := p.locks[key]; locked {
			return pid, true
		}
	}
	for _, name := range append(lockNames(real), lockNames(path)...) {
		if pid := lockFilePID(filepath.Join(p.lockDir, "LCK.."+name)); pid > 0 && pid != os.Getpid() && runs(pid) {
			return pid, true
		}
	}
	return 0, false
}

// lockNames returns how lock files name a port: by its last part as FHS says, or as minicom does, by the path below /dev.
func lockNames(path string) []string {
	return []string{filepath.Base(path), strings.ReplaceAll(strings.TrimPrefix(path, "/dev/"), "/", "_")}
}

// lockFilePID reads a UUCP lock file (FHS 3.0, 5.9): the PID in ten characters, or as 4 octets of old programs. 0: there is none. Every
// user may write into the directory of many systems, so a link or a pipe is no lock: the read of a pipe could last for ever.
func lockFilePID(name string) int {
	file, err := os.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return 0
	}
	content := make([]byte, 32)
	n, _ := file.Read(content) // an empty file is no lock
	if pid, err := strconv.Atoi(strings.TrimSpace(string(content[:n]))); err == nil {
		return pid
	}
	if n == 4 {
		return int(int32(binary.NativeEndian.Uint32(content)))
	}
	return 0
}

// runs reports whether a process exists. A lock file of a program that has ended is no lock.
func runs(pid int) bool { return !errors.Is(unix.Kill(pid, 0), unix.ESRCH) }

func userOf(pid int) User {
	name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)) // the process may end meanwhile
	return User{cmp.Or(strings.TrimSpace(string(name)), "a program"), pid}
}

// An InUseError names the program that uses a port. It wraps ErrBusy.
type InUseError struct{ User User }

func (e *InUseError) Error() string { return fmt.Sprintf("%v by %v", ErrBusy, e.User) }
func (e *InUseError) Unwrap() error { return ErrBusy }

// Detail names the program, see reason.Detail.
func (e *InUseError) Detail() string { return e.User.String() }

// A child process of this program has all files of this program until it begins its own program. So a port counts as
// used only if it still is after a while.
const (
	usedPause = 40 * time.Millisecond
	usedTries = 5
)

// notInUse returns an InUseError if another program uses a port.
func notInUse(lockDir, path string) error {
	for try := 1; ; try++ {
		programs, err := ListPrograms(lockDir)
		if err != nil {
			return err
		}
		user, used := programs.Using(path)
		if !used {
			return nil
		}
		if try == usedTries {
			return &InUseError{user}
		}
		time.Sleep(usedPause)
	}
}
