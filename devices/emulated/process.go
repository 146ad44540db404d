package emulated

import (
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is one span of power: from power-on until the process is reaped.
type process struct {
	cmd      *exec.Cmd
	monitor  *monitor      // QEMU only
	expected atomic.Bool   // its end is our doing
	done     chan struct{} // closed after it was reaped
}

// command prepares a process of this board. It inherits files as descriptors
// 3, 4, ..., then the directory's lock, and nothing else.
func (b *Board) command(path string, args []string, files ...*os.File) *exec.Cmd {
	cmd := exec.Command(path, args...)
	cmd.Dir = b.dir.path
	cmd.Env = []string{"LC_ALL=C"}
	cmd.Stdout, cmd.Stderr = b.dir.stderr, b.dir.stderr
	cmd.ExtraFiles = append(files, b.dir.lock)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setpgid:   true, // Ctrl-C at the station's terminal is the station's
		Pdeathsig: syscall.SIGKILL,
	}
	return cmd
}

// launch starts cmd. died is called if it ends by itself.
func launch(cmd *exec.Cmd, died func(error)) (*process, error) {
	if err := closeOnExec(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go p.run(started, died)
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// run owns the process. The parent-death signal is sent when the thread that
// forked ends (prctl(2), PR_SET_PDEATHSIG), so that thread is kept until the
// process was reaped.
func (p *process) run(started chan<- error, died func(error)) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(p.done)
	err := p.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	p.forbidCore()
	p.lowerPriority()
	err = p.cmd.Wait()
	if !p.expected.Load() {
		died(err)
	}
}

// forbidCore keeps the HUK out of a core dump. It fails only for a process
// that is gone already.
func (p *process) forbidCore() {
	_ = unix.Prlimit(p.cmd.Process.Pid, unix.RLIMIT_CORE, &unix.Rlimit{}, nil)
}

// lowestPriority is the nice value of emulated boards (setpriority(2)): the lowest priority there is.
const lowestPriority = 19

// lowerPriority lets the station go first: a real board takes none of its CPU. Where that is refused
// the board runs as fast as the rest.
func (p *process) lowerPriority() {
	_ = unix.Setpriority(unix.PRIO_PROCESS, p.cmd.Process.Pid, lowestPriority)
}

// closeOnExec keeps descriptors that C libraries opened out of the process;
// Go's own are marked already.
func closeOnExec() error {
	err := unix.CloseRange(3, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC)
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL) {
		return nil // Linux before 5.11
	}
	if err != nil {
		return fmt.Errorf("marking descriptors close-on-exec: %w", err)
	}
	return nil
}

// cut is a power cut.
func (p *process) cut() error {
	p.expected.Store(true)
	if err := p.signal(syscall.SIGKILL); err != nil {
		return err
	}
	if !p.exited(killBound) {
		return fmt.Errorf("%w: process %d after SIGKILL", ErrStuck, p.cmd.Process.Pid)
	}
	return p.closeMonitor()
}

// stop asks the process to end and insists if it does not.
func (p *process) stop() error {
	p.expected.Store(true)
	if err := p.signal(syscall.SIGTERM); err != nil {
		return err
	}
	p.exited(stopBound)
	return p.cut()
}

func (p *process) signal(sig os.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("ending process %d: %w", p.cmd.Process.Pid, err)
	}
	return nil
}

// exited reports whether the process was reaped within the bound.
func (p *process) exited(bound time.Duration) bool {
	timer := time.NewTimer(bound)
	defer timer.Stop()
	select {
	case <-p.done:
		return true
	case <-timer.C:
		return false
	}
}

func (p *process) closeMonitor() error {
	if p.monitor == nil {
		return nil
	}
	return p.monitor.close()
}

// exitError explains why a process ended.
func (b *Board) exitError(err error) error {
	text := b.dir.stderrTail()
	if text == "" {
		text = "it said nothing"
	}
	how := "exit status 0"
	if err != nil {
		how = err.Error()
	}
	return fmt.Errorf("%w: %s: %s", ErrDied, how, lastLines(text, 8))
}

func lastLines(text string, n int) string {
	lines := strings.Split(text, "\n")
	return strings.Join(lines[max(0, len(lines)-n):], " | ")
}
