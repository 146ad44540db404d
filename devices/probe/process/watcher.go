package process

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
)

// watcherScript waits for the end of its input. If the input had the number of a group, it kills the group.
const watcherScript = `read -r group && { read -r end; kill -s KILL -- "-$group"; }`

// A watcher is a process that outlives a station which is killed: the kernel then closes the station's end of
// the watcher's input. The parent-death signal reaches only the programmer itself, and not the processes that
// the programmer has started.
type watcher struct {
	cmd   *exec.Cmd
	input io.WriteCloser
}

func startWatcher() (*watcher, error) {
	w := &watcher{cmd: exec.Command("/bin/sh", "-c", watcherScript)}
	w.cmd.Env, w.cmd.Dir = []string{}, "/"
	w.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // no signal of a terminal or of the station's group ends it
	var err error
	if w.input, err = w.cmd.StdinPipe(); err == nil {
		err = w.cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("starting the watcher of a programmer: %w", err)
	}
	return w, nil
}

// watch tells the watcher the group of the child.
func (w *watcher) watch(child *os.Process) error {
	if _, err := fmt.Fprintln(w.input, child.Pid); err != nil {
		return fmt.Errorf("telling the watcher of a programmer: %w", err)
	}
	return nil
}

// stop ends the watcher without a kill of the group. The caller reaps the child afterwards: until then the
// number of the group belongs to nobody else.
func (w *watcher) stop() {
	_ = w.cmd.Process.Kill() // fails only if it has ended
	_ = w.cmd.Wait()         // its error is the kill; it also closes the input
}
