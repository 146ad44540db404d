package emulated

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"hallmark/devices/descriptors"
)

// A process is the time from one power-on until the process has ended and was reaped.
type process struct {
	cmd      *exec.Cmd
	monitor  *monitor      // nil: not QEMU
	debug    *debugPort    // nil: none
	polite   bool          // the process has the lowest priority
	expected atomic.Bool   // the station ends the process
	done     chan struct{} // closed after the process was reaped
}

// command prepares a process of this board. The process inherits files as descriptors 3,
// 4, …, then the directory's lock, and nothing else.
func (b *Board) command(path string, args []string, files ...*os.File) *exec.Cmd {
	cmd := exec.Command(path, args...)
	cmd.Dir = b.dir.path
	cmd.Env = []string{"LC_ALL=C"}
	cmd.Stdout, cmd.Stderr = b.dir.stderr, b.dir.stderr
	cmd.ExtraFiles = append(files, b.dir.lock)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setpgid:   true, // Ctrl-C at the station's terminal must not reach the board
		Pdeathsig: syscall.SIGKILL,
	}
	return cmd
}

// launch starts cmd. It calls died if the process ends by itself.
func launch(cmd *exec.Cmd, polite bool, died func(error)) (*process, error) {
	if err := descriptors.CloseOnExec(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, polite: polite, done: make(chan struct{})}
	started := make(chan error, 1)
	go p.run(started, died)
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// run starts the process and waits for its end. The kernel sends the parent-death signal
// when the thread that forked ends (prctl(2), PR_SET_PDEATHSIG), so run keeps this
// thread until the process was reaped.
func (p *process) run(started chan<- error, died func(error)) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(p.done)
	err := startOne(p.cmd)
	started <- err
	if err != nil {
		return
	}
	p.forbidCore()
	if p.polite {
		p.lowerPriority()
	}
	err = p.cmd.Wait()
	if !p.expected.Load() {
		died(err)
	}
}

// starts lets one process start at a time.
var starts sync.Mutex

// startOne starts cmd when no other process starts. Go's runtime takes a start for a short call, and lends the processor of the starting thread to no other
// goroutine, but a start takes milliseconds: the new process must get CPU time and load its program. Two starts at once
// would hold all goroutines of a machine with two cores, and the screen would answer no key.
func startOne(cmd *exec.Cmd) error {
	starts.Lock()
	defer starts.Unlock()
	return cmd.Start()
}

// forbidCore keeps the HUK out of a core dump. It fails only for a process that has ended.
func (p *process) forbidCore() {
	_ = unix.Prlimit(p.cmd.Process.Pid, unix.RLIMIT_CORE, &unix.Rlimit{}, nil)
}

// lowestPriority is the nice value of emulated boards (setpriority(2)): the lowest priority there is.
const lowestPriority = 19

// normalPriority is the nice value 0 as the system call getpriority(2) reports it: 20 minus the nice value.
const normalPriority = 20

// lowerPriority gives the station precedence, because a real board uses no CPU time of
// the station. Where the system refuses, the board keeps the normal priority.
//
// A station that itself runs with another priority than the normal one (nice(1)) shares
// its priority with its boards. CI runs so: on a machine that is busy with other
// programs, a board of the lowest priority would get no CPU time for half a minute.
func (p *process) lowerPriority() {
	if own, err := unix.Getpriority(unix.PRIO_PROCESS, 0); err == nil && own != normalPriority {
		return
	}
	_ = unix.Setpriority(unix.PRIO_PROCESS, p.cmd.Process.Pid, lowestPriority)
}

// cut ends the process at once, as a power cut does.
func (p *process) cut() error {
	p.expected.Store(true)
	if err := p.signal(syscall.SIGKILL); err != nil {
		return err
	}
	if !p.exited(killBound) {
		return fmt.Errorf("%w: process %d after SIGKILL", ErrStuck, p.cmd.Process.Pid)
	}
	return errors.Join(p.closeMonitor(), p.debug.close())
}

// stop asks the process to end, and kills it after stopBound.
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

// exited waits at most bound, and is true if the process was reaped.
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

// exitError says why a process ended.
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
