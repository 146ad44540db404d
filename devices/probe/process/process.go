// Package process runs a programmer as a child process that cannot harm the station: it inherits no
// descriptors and no terminal, its time, its output and the size of its files are bounded, and it dies with the station, also with
// a station that is killed. The same holds for the processes that it has started, also those that left its group. Only a
// process that cleared its environment and does not hold the output outlives the programmer.
package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"hallmark/devices/descriptors"
	"hallmark/devices/probe"
)

// MaxOutput is the number of octets after which a programmer is killed, because no programmer that works
// prints so much.
const MaxOutput = 4 << 20

// drainBound is the time in which the output must end after the programmer has ended.
const drainBound = time.Second

// A Command says what to run.
type Command struct {
	Program string // a path, or a name that is looked up in PATH
	Args    []string
	Env     []string      // the whole environment, except for the name of the watcher
	Dir     string        // working directory
	Limit   time.Duration // the programmer is killed after this time
}

// A Result is what a programmer printed, on both outputs together and as a terminal would show it without colours, and its exit code.
type Result struct {
	Text string
	Exit int
}

// Run runs the programmer to its end. line may be nil; it gets each line of the output while the programmer
// runs. An exit code other than zero is no error of Run. An error comes with what was printed until then.
func (c *Command) Run(ctx context.Context, line func(string)) (Result, error) {
	path, err := exec.LookPath(c.Program)
	if err != nil {
		return Result{}, fmt.Errorf("%w: %w", probe.ErrNoTool, err)
	}
	output, writer, err := newOutput(line)
	if err != nil {
		return Result{}, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, c.Limit, fmt.Errorf("%w: %s had %v", probe.ErrSilent, c.Program, c.Limit))
	defer cancel()
	child, err := start(c.command(path, writer), writer)
	if err != nil {
		return Result{}, errors.Join(fmt.Errorf("starting %s: %w", c.Program, notRunnable(err)), output.close())
	}
	err = child.await(ctx, output.tooMuch)
	text, left := output.end(child)
	return Result{text, child.exit}, errors.Join(err, left)
}

func (c *Command) command(path string, writer *os.File) *exec.Cmd {
	cmd := exec.Command(path, c.Args...)
	cmd.Env, cmd.Dir = append([]string{}, c.Env...), c.Dir
	cmd.Stdout, cmd.Stderr = writer, writer // Stdin is nil: a question reads the end of /dev/null
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setsid:    true, // no terminal to ask on, and a group of its own
		Pdeathsig: syscall.SIGKILL,
	}
	return cmd
}

// notRunnable says of a file that cannot be executed that the programmer is missing.
func notRunnable(err error) error {
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) || errors.Is(err, unix.ENOEXEC) {
		return fmt.Errorf("%w: %w", probe.ErrNoTool, err)
	}
	return err
}

// A child is a running programmer.
type child struct {
	cmd  *exec.Cmd
	exit int           // exit code; -1 for a signal
	done chan struct{} // closed after the child was reaped
}

// start starts the command. writer is closed in this process, so that the output ends with the child.
func start(cmd *exec.Cmd, writer *os.File) (*child, error) {
	p := &child{cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go p.run(started, writer)
	if err := <-started; err != nil {
		<-p.done
		return nil, err
	}
	return p, nil
}

// run starts the child and waits for its end. The kernel sends the parent-death signal when the thread that
// forked ends (prctl(2), PR_SET_PDEATHSIG), so run keeps this thread until the child was reaped.
func (p *child) run(started chan<- error, writer *os.File) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(p.done)
	watcher, err := p.begin()
	started <- errors.Join(err, writer.Close())
	if watcher == nil {
		return
	}
	if p.cmd.Process != nil {
		p.killRest(watcher.mark())
	}
	watcher.stop()
	if p.cmd.Process != nil {
		_ = p.cmd.Wait() // its error is the exit code
		p.exit = p.cmd.ProcessState.ExitCode()
	}
}

// begin starts the child with its watcher. A child without a watcher is killed.
func (p *child) begin() (*watcher, error) {
	if err := descriptors.CloseOnExec(); err != nil {
		return nil, err
	}
	watcher, err := startWatcher()
	if err != nil {
		return nil, err
	}
	p.cmd.Env = append(p.cmd.Env, watcher.mark())
	if err := p.cmd.Start(); err != nil {
		return watcher, err
	}
	if err := errors.Join(limitFiles(p.cmd.Process.Pid), watcher.watch(p.cmd.Process)); err != nil {
		p.kill()
		return watcher, err
	}
	return watcher, nil
}

// maxWritten is the largest file that a programmer may write. The limits of time and output do not keep it from filling the disk of
// the station's registry.
const maxWritten = 256 << 20

// limitFiles bounds each file that a process and its children write. Linux ends a process that goes on with SIGXFSZ (setrlimit(2)).
func limitFiles(pid int) error {
	var limit unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_FSIZE, nil, &limit); err != nil {
		return notEnded(err)
	}
	limit.Max = min(limit.Max, maxWritten)
	limit.Cur = min(limit.Cur, limit.Max)
	return notEnded(unix.Prlimit(pid, unix.RLIMIT_FSIZE, &limit, nil))
}

// notEnded is nil for a process that is gone.
func notEnded(err error) error {
	if err == nil || errors.Is(err, unix.ESRCH) {
		return nil
	}
	return fmt.Errorf("bounding the files of a programmer: %w", err)
}

// killRest waits for the child's end, and kills the rest of its group before the child is reaped: until
// then the number of the group belongs to nobody else. A process that left the group still has the watcher's name.
func (p *child) killRest(mark string) {
	for {
		err := unix.Waitid(unix.P_PID, p.cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	p.kill()
	killMarked(mark)
}

// kill kills the group. It fails only if no process is left.
func (p *child) kill() { _ = unix.Kill(-p.cmd.Process.Pid, unix.SIGKILL) }

// await waits for the child's end. It kills the child when ctx ends, or when the child prints too much.
func (p *child) await(ctx context.Context, tooMuch <-chan struct{}) (err error) {
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-tooMuch:
		err = fmt.Errorf("%w: it prints more than %d octets", probe.ErrUnclear, MaxOutput)
	}
	p.kill()
	<-p.done
	return err
}
