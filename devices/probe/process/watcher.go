package process

import (
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
)

// watchedBy is the variable in the environment of a programmer that names its watcher. The processes that the
// programmer starts inherit it.
const watchedBy = "HALLMARK_WATCHER"

// watcherScript waits for the end of its input. Then it kills the group whose number the input had, and each process
// that has this watcher in its environment: a process that left the group, and the programmer of a station that was
// killed before it wrote the number. A process that is killed can have started another one, and a process that just starts a program
// shows no environment. So the script looks again until it has found none for half a second.
const watcherScript = `read -r group && { read -r end; kill -s KILL -- "-$group"; }
round=0 quiet=0
while [ $round -lt 50 ] && [ $quiet -lt 5 ]; do
	round=$((round + 1)) quiet=$((quiet + 1))
	for file in $(grep -lszxF "` + watchedBy + `=$1" /proc/[0-9]*/environ); do
		quiet=0 process=${file#/proc/}
		kill -s KILL "${process%/environ}"
	done
	[ $quiet -eq 0 ] || sleep 0.1
done`

// A watcher is a process that outlives a station which is killed: the kernel then closes the station's end of
// the watcher's input. The parent-death signal reaches only the programmer itself, and not the processes that
// the programmer has started.
type watcher struct {
	cmd   *exec.Cmd
	input io.WriteCloser
	name  string
}

func startWatcher() (*watcher, error) {
	name := rand.Text() // a process number is not enough: a container has its own
	w := &watcher{cmd: exec.Command("/bin/sh", "-c", watcherScript, "watcher", name), name: name}
	w.cmd.Env, w.cmd.Dir = []string{"PATH=/usr/bin:/bin", "LC_ALL=C"}, "/"
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

// mark is the variable for the environment of the programmer.
func (w *watcher) mark() string { return watchedBy + "=" + w.name }

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
