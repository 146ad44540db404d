package process

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// killRounds bounds killMarked against processes that start others faster than they are killed.
const killRounds = 50

// execPause is the time between two looks at a process that starts a program. All rounds together take a second.
const execPause = 20 * time.Millisecond

// killMarked kills each process of this user that has the mark in its environment. A process that is killed can have
// started another one, and a process that just starts a program shows no environment, so it looks again until it finds neither.
func killMarked(mark string) {
	bare := map[string]bool{}
	for range killRounds {
		switch found, unsure := killFound(mark, bare); {
		case !found && !unsure:
			return
		case found:
			clear(bare) // without a pause, the next look says nothing new about them
		default:
			time.Sleep(execPause)
		}
	}
}

// killFound looks once. found: there was such a process. unsure: a process did not show its environment. bare is that of startsProgram.
func killFound(mark string, bare map[string]bool) (found, unsure bool) {
	processes, err := os.ReadDir("/proc")
	if err != nil {
		return false, true
	}
	for _, process := range processes {
		pid, err := strconv.Atoi(process.Name())
		if err != nil {
			continue // no process
		}
		environment, err := environmentOf(pid)
		switch {
		case err != nil: // ended, or of another user
		case len(environment) == 0:
			unsure = startsProgram(pid, bare) || unsure
		case hasVariable(environment, mark):
			found = unix.Kill(pid, unix.SIGKILL) == nil || found
		}
	}
	return found, unsure
}

// environmentOf reads the environment of a process as /proc shows it. One read gives all of it: between two reads the process can
// start a program, and Linux then ends the old environment in its middle.
func environmentOf(pid int) ([]byte, error) {
	for size := 16 << 10; ; size *= 2 {
		file, err := os.Open("/proc/" + strconv.Itoa(pid) + "/environ")
		if err != nil {
			return nil, err
		}
		environment := make([]byte, size)
		n, err := file.Read(environment)
		_ = file.Close() // nothing was written
		switch {
		case errors.Is(err, io.EOF):
			return nil, nil
		case err != nil || n < size:
			return environment[:n], err
		}
	}
}

// hasVariable reports whether an environment as /proc shows it, with a NUL behind each variable, has a variable with its value.
func hasVariable(environment []byte, variable string) bool {
	for one := range bytes.SplitSeq(environment, []byte{0}) {
		if string(one) == variable {
			return true
		}
	}
	return false
}

// Fields of /proc/PID/stat behind the name of the program (proc(5), field 3 is the first one).
const (
	statState    = 3 - 3
	statFlags    = 9 - 3
	statEnvStart = 50 - 3
	statEnvEnd   = 51 - 3
)

// kernelThread is the flag of a thread of the kernel (PF_KTHREAD).
const kernelThread = 0x0020_0000

// startsProgram reports whether a process that showed no environment is in execve(2), or was: Linux empties the memory of the process
// before it has written the new environment. A process whose environment was cleared has an environment of no octets instead. Linux
// shows that of a process in execve(2), too, for a moment. So bare has the processes that showed it at the look before, and only a
// process that still has the same memory counts as one whose environment was cleared.
func startsProgram(pid int, bare map[string]bool) bool {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if err != nil || len(fields) <= statEnvEnd || fields[statState][0] == 'Z' || fields[statState][0] == 'X' {
		return false
	}
	if flags, err := strconv.ParseUint(string(fields[statFlags]), 10, 64); err != nil || flags&kernelThread != 0 {
		return false
	}
	if !bytes.Equal(fields[statEnvStart], fields[statEnvEnd]) || string(fields[statEnvEnd]) == "0" {
		return true
	}
	memory := strconv.Itoa(pid) + " " + string(fields[statEnvStart])
	before := bare[memory]
	bare[memory] = true
	return !before
}
